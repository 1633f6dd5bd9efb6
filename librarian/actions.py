"""What the librarian offers to rules."""

from automation.actions import Action
from automation.schema import settings_faults
from librarian.pipeline import work
from librarian.plan import max_sources, queue
from librarian.settings_schema import SCHEMA

LIBRARIAN_STRUCTURE = Action(
    kind="librarian_structure",
    label="Have the librarian propose changes",
    faults=settings_faults(SCHEMA),
    work=work,
    max_sources=max_sources,
    needs_sources=True,
    queue=queue,
    schema=SCHEMA,
)
