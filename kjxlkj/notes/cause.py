"""Why a note changes: who or what asked. Every write names one."""

from dataclasses import dataclass
from uuid import UUID

from kjxlkj.notes.models import CauseKind
from kjxlkj.workspaces.models import User


@dataclass(frozen=True, slots=True)
class Cause:
    kind: CauseKind
    actor: User | None
    run_id: UUID | None = None
    operation_id: UUID | None = None
    reason: str = ""


def by(actor: User, reason: str = "") -> Cause:
    """A person's own edit."""
    return Cause(CauseKind.PERSON, actor, reason=reason)
