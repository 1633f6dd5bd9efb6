"""What the librarian offers to rules."""

from collections.abc import Mapping
from typing import Any

from automation.actions import Action
from automation.schema import settings_faults
from kjxlkj.errors import Fault
from librarian.pipeline import work
from librarian.plan import max_sources, queue, read_plan
from librarian.providers.endpoints import parse_address
from librarian.providers.faults import provider_faults
from librarian.settings_schema import SCHEMA

_schema_faults = settings_faults(SCHEMA)


def faults(action_json: Mapping[str, Any]) -> list[Fault]:
    return _schema_faults(action_json) or provider_faults(action_json)


def _asks_somebody_else(action_json: Mapping[str, Any]) -> bool:
    """Who may charge for it."""
    provider = read_plan(action_json).provider
    return not (provider.is_offline or parse_address(provider.base_url).is_local)


LIBRARIAN_STRUCTURE = Action(
    kind="librarian_structure",
    label="Have the librarian propose changes",
    faults=faults,
    work=work,
    max_sources=max_sources,
    needs_sources=True,
    acts_outside=_asks_somebody_else,
    queue=queue,
    schema=SCHEMA,
)
