"""The only code that writes people, workspaces and memberships."""

import hashlib
import secrets
from uuid import UUID
from zoneinfo import available_timezones

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email, validate_slug
from django.db import IntegrityError, transaction
from django.utils import timezone

from kjxlkj.errors import Conflict, Forbidden, NotFound, field_error
from kjxlkj.workspaces.events import NewEvent, record
from kjxlkj.workspaces.models import SYSTEM_EMAIL as SYSTEM_EMAIL  # also known from here
from kjxlkj.workspaces.models import Membership, Role, SetupLink, User, Workspace, WorkspaceState


def system_user() -> User:
    """The inactive user who owns what was made before the first owner came, and acts where no person does."""
    user = User.objects.filter(email=SYSTEM_EMAIL).first()
    if user is None:
        user, _ = User.objects.get_or_create(
            email=SYSTEM_EMAIL,
            defaults={"name": "System", "is_active": False, "is_staff": False, "password": "!"},
        )
    return user


# --- Workspaces -----------------------------------------------------------------------------------


@transaction.atomic
def create_workspace(*, slug: str, name: str, owner: User, time_zone: str = "UTC") -> Workspace:
    _check_slug(slug)
    _check_name(name)
    _check_time_zone(time_zone)
    try:
        with transaction.atomic():
            workspace = Workspace.objects.create(slug=slug, name=name.strip(), owner=owner, time_zone=time_zone)
    except IntegrityError as error:
        raise Conflict(
            "WORKSPACE_SLUG_TAKEN", f"slug: “{slug}” is taken. Choose another.", {"field": "slug"}
        ) from error
    Membership.objects.create(workspace=workspace, user=owner, role=Role.OWNER)
    record(workspace.id, [NewEvent("workspace.created", payload={"slug": slug})], actor=owner)
    return workspace


@transaction.atomic
def update_workspace(workspace: Workspace, *, actor: User, **changes: str) -> Workspace:
    """Change `slug`, `name`, `time_zone` or `state`."""
    workspace = _locked(workspace)
    checks = {"slug": _check_slug, "name": _check_name, "time_zone": _check_time_zone, "state": _check_state}
    for field, value in changes.items():
        checks[field](value)
        setattr(workspace, field, value)
    try:
        with transaction.atomic():
            workspace.save(update_fields=[*changes, "updated_at"])
    except IntegrityError as error:
        raise Conflict(
            "WORKSPACE_SLUG_TAKEN",
            f"slug: “{changes.get('slug')}” is taken. Choose another.",
            {"field": "slug"},
        ) from error
    if changes:
        record(workspace.id, [NewEvent("workspace.updated", payload={"changed": changes})], actor=actor)
    return workspace


def archive_workspace(workspace: Workspace, *, actor: User) -> Workspace:
    return update_workspace(workspace, actor=actor, state=WorkspaceState.ARCHIVED)


@transaction.atomic
def transfer_ownership(workspace: Workspace, *, to: User, actor: User | None) -> Workspace:
    """Make `to` the owner; the former owner stays as an admin (the system user leaves)."""
    workspace = _locked(workspace)
    former = workspace.owner
    if former == to:
        return workspace
    old = Membership.objects.select_for_update(no_key=True).get(workspace=workspace, role=Role.OWNER)
    if former.is_active:
        old.role = Role.ADMIN
        old.save(update_fields=["role"])
    else:
        old.delete()
    Membership.objects.update_or_create(workspace=workspace, user=to, defaults={"role": Role.OWNER})
    workspace.owner = to
    workspace.save(update_fields=["owner", "updated_at"])
    event = NewEvent("workspace.transferred", payload={"from": str(former.id), "to": str(to.id)})
    record(workspace.id, [event], actor=actor)
    return workspace


# --- Members --------------------------------------------------------------------------------------


@transaction.atomic
def set_member(workspace: Workspace, user: User, role: str, *, actor: User) -> Membership:
    """Add a person or change their role. Ownership moves by `transfer_ownership` alone."""
    workspace = _locked(workspace)
    if role not in Role.values:
        raise field_error("role", f"role: “{role}” is unknown. Use one of: {', '.join(Role.values)}.")
    if role == Role.OWNER or workspace.owner_id == user.id:
        raise Conflict(
            "OWNER_FIXED",
            "role: a workspace has exactly one owner. Transfer the ownership instead.",
            {"field": "role"},
        )
    member, created = Membership.objects.update_or_create(workspace=workspace, user=user, defaults={"role": role})
    payload = {"user_id": str(user.id), "role": role}
    record(
        workspace.id,
        [NewEvent("member.added" if created else "member.changed", payload=payload)],
        actor=actor,
    )
    return member


@transaction.atomic
def remove_member(workspace: Workspace, user_id: UUID, *, actor: User) -> None:
    workspace = _locked(workspace)
    if workspace.owner_id == user_id:
        raise Conflict("OWNER_FIXED", "The owner cannot be removed. Transfer the ownership first.")
    deleted, _ = Membership.objects.filter(workspace=workspace, user_id=user_id).delete()
    if not deleted:
        raise NotFound("MEMBER_NOT_FOUND", "This person is not a member of the workspace.")
    record(workspace.id, [NewEvent("member.removed", payload={"user_id": str(user_id)})], actor=actor)


def _locked(workspace: Workspace) -> Workspace:
    """As it is now. Before any row of a member: who owns it cannot change meanwhile, and nobody waits in a circle."""
    return Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)


# --- The first owner ------------------------------------------------------------------------------


def has_owner() -> bool:
    """Whether there is one, or has been: a setup page that opened again would be a way in."""
    return User.objects.filter(is_superuser=True).exists() or SetupLink.objects.filter(used_at__isnull=False).exists()


@transaction.atomic
def new_setup_token() -> str | None:
    """A fresh one-time token for the setup page, replacing the one before; None once there is an owner."""
    if has_owner():
        return None
    token = secrets.token_urlsafe(24)
    SetupLink.objects.filter(used_at__isnull=True).delete()
    SetupLink.objects.create(token_hash=_hash(token))
    return token


def setup_is_open(token: str) -> bool:
    return not has_owner() and SetupLink.objects.filter(token_hash=_hash(token), used_at__isnull=True).exists()


@transaction.atomic
def set_up_first_owner(token: str, *, email: str, password: str, name: str = "") -> User:
    """Spend the one-time token. The link's row lock lets one of two simultaneous visitors through."""
    links = SetupLink.objects.select_for_update(no_key=True)
    link = links.filter(token_hash=_hash(token), used_at__isnull=True).first()
    if link is None or has_owner():
        raise Forbidden(
            "SETUP_LOCKED",
            "This setup link is spent or unknown. The console shows a new one while there is no owner.",
        )
    owner = create_owner(email=email, password=password, name=name)
    link.used_at = timezone.now()
    link.save(update_fields=["used_at"])
    return owner


@transaction.atomic
def create_owner(*, email: str, password: str, name: str = "") -> User:
    """A superuser. The first one takes over every workspace that the system user holds."""
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise field_error("email", f"email: “{email}” is not an e-mail address.") from error
    for field, value, limit in (("email", email, 254), ("name", name.strip(), 150)):
        if len(value) > limit or "\0" in value:
            raise field_error(field, f"{field}: at most {limit} characters, and no NUL.")
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        raise field_error("password", "password: " + " ".join(error.messages)) from error
    first = not has_owner()
    try:
        with transaction.atomic():
            user = User.objects.create_superuser(email, password, name=name.strip())
    except IntegrityError as error:
        raise Conflict("EMAIL_TAKEN", f"email: {email} is in use already.", {"field": "email"}) from error
    if first:
        for workspace in Workspace.objects.filter(owner__email=SYSTEM_EMAIL):
            transfer_ownership(workspace, to=user, actor=None)
    return user


# --- Checks ---------------------------------------------------------------------------------------


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _check_slug(slug: str) -> None:
    try:
        validate_slug(slug)
    except ValidationError as error:
        raise field_error("slug", f"slug: “{slug}” may hold letters, digits, - and _ only.") from error
    if slug != slug.lower() or len(slug) > 64:
        raise field_error("slug", "slug: at most 64 lower-case characters.")


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 200 or "\0" in name:
        raise field_error("name", "name: give 1 to 200 characters.")


def _check_time_zone(time_zone: str) -> None:
    if time_zone not in available_timezones():
        raise field_error("time_zone", f"time_zone: “{time_zone}” is unknown. Use a name like Europe/Berlin.")


def _check_state(state: str) -> None:
    if state not in WorkspaceState.values:
        raise field_error("state", f"state: “{state}” is unknown. Use active or archived.")
