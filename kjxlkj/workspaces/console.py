"""Who acts, and where, for commands: whoever has a shell here has the database too, so the system user may."""

from kjxlkj.errors import NotFound
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.services import create_workspace, system_user


def workspace_at_console(slug: str) -> Workspace:
    """Raises `NotFound` WORKSPACE_NOT_FOUND, naming those that there are."""
    workspace = Workspace.objects.filter(slug=slug).first()
    if workspace is None:
        known = ", ".join(Workspace.objects.values_list("slug", flat=True)[:20]) or "none yet"
        raise NotFound("WORKSPACE_NOT_FOUND", f"There is no workspace “{slug}”. There are: {known}.")
    return workspace


def new_workspace_at_console(slug: str, name: str = "") -> Workspace:
    """The workspace, made where it is missing: for the first superuser, or the system user until there is one."""
    workspace = Workspace.objects.filter(slug=slug).first()
    if workspace is not None:
        return workspace
    owner = User.objects.filter(is_superuser=True, is_active=True).order_by("created_at", "id").first()
    return create_workspace(slug=slug, name=name or slug, owner=owner or system_user())


def actor_at_console(email: str | None) -> User:
    """The active person of that address, with their own rights; the system user where none is named."""
    if email is None:
        return system_user()
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if user is None:
        raise NotFound("USER_NOT_FOUND", f"There is no active account {email}.")
    return user
