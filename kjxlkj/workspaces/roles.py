"""Who may do what: the one table, and the one place that asks it (API, admin and commands alike)."""

from enum import StrEnum
from typing import Any, TypeVar

from django.db.models import QuerySet

from kjxlkj.errors import Forbidden, NotFound
from kjxlkj.workspaces.models import Membership, Role, User, Workspace, WorkspaceState

Rows = TypeVar("Rows", bound=QuerySet[Any])


class Right(StrEnum):
    READ = "read"
    WRITE = "write notes and review"
    MANAGE = "manage rules, runs, import and export"
    MEMBERS = "manage members"
    OWN = "archive or transfer the workspace"


_RIGHTS: dict[str, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset({Right.READ, Right.WRITE, Right.MANAGE, Right.MEMBERS}),
    Role.EDITOR: frozenset({Right.READ, Right.WRITE}),
    Role.VIEWER: frozenset({Right.READ}),
}


def roles_with(right: Right) -> list[str]:
    return [role for role, rights in _RIGHTS.items() if right in rights]


def role_of(user: User, workspace: Workspace) -> str | None:
    """The person's role; superusers hold every workspace, as they could restore any of them anyway.

    The system user acts for whoever has a shell on this machine, and with it the whole database.
    """
    if user.is_system:
        return Role.OWNER
    if not user.is_active:
        return None
    if user.is_superuser:
        return Role.OWNER
    return workspace.memberships.filter(user=user).values_list("role", flat=True).first()


def may(user: User, workspace: Workspace, right: Right) -> bool:
    role = role_of(user, workspace)
    return role is not None and right in _RIGHTS[role]


def require(user: User, workspace: Workspace, right: Right, *, archived: bool = False) -> None:
    """Raise `NotFound` to an outsider, `Forbidden` to a member without the right, `Forbidden` on archived writes.

    `archived`: allowed in an archived workspace too, as it changes nothing there.
    """
    role = role_of(user, workspace)
    if role is None:
        raise NotFound("WORKSPACE_NOT_FOUND", "There is no such workspace, or you are not a member of it.")
    if right not in _RIGHTS[role]:
        allowed = ", ".join(roles_with(right))
        raise Forbidden(
            "ROLE_FORBIDDEN",
            f"Your role here is {role}; to {right.value} takes one of: {allowed}. Ask the workspace's owner.",
            {"role": role, "needed": roles_with(right)},
        )
    if workspace.state == WorkspaceState.ARCHIVED and right in {Right.WRITE, Right.MANAGE} and not archived:
        raise Forbidden(
            "WORKSPACE_ARCHIVED",
            f"Workspace {workspace.slug} is archived and read-only. Its owner can reopen it.",
        )


def is_superuser(user: User) -> bool:
    """Whether a person may do what concerns the whole instance; the system user may, as in `role_of`."""
    return user.is_system or (user.is_active and user.is_superuser)


def require_superuser(user: User) -> None:
    if not is_superuser(user):
        raise Forbidden("ROLE_FORBIDDEN", "This concerns the whole instance and takes a superuser.")


def scoped(rows: Rows, user: object, right: Right = Right.READ, path: str = "workspace") -> Rows:
    """The `rows` of workspaces where `user` has `right`; `path` leads from a row to its workspace."""
    if not isinstance(user, User) or not user.is_active:
        return rows.none()
    if user.is_superuser:
        return rows
    mine = Membership.objects.filter(user=user, role__in=roles_with(right)).values("workspace_id")
    return rows.filter(**{f"{path}__in": mine})
