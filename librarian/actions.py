"""What the librarian offers to rules."""

from automation.actions import Action
from librarian.pipeline import work
from librarian.plan import max_sources, plan_faults, queue

LIBRARIAN_STRUCTURE = Action(
    kind="librarian_structure",
    label="Have the librarian propose changes",
    faults=plan_faults,
    work=work,
    max_sources=max_sources,
    needs_sources=True,
    queue=queue,
)
