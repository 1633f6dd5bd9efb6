"""People, workspaces, who may do what in them, and the log of what happened."""

from typing import ClassVar

import pgtrigger
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from kjxlkj.ids import new_id

SYSTEM_EMAIL = "system@kjxlkj.invalid"


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person (or, inactive, the system itself), known by an e-mail address."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_staff = models.BooleanField("may use the admin", default=True)
    is_active = models.BooleanField("active", default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["email"]
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower_case"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return str(self)

    @property
    def is_system(self) -> bool:
        """Whether this is the account that acts where no person does, and that nobody can log in to."""
        return self.email == SYSTEM_EMAIL and not self.is_active


class WorkspaceState(models.TextChoices):
    ACTIVE = "active"
    ARCHIVED = "archived"


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    def visible_to(self, user: object) -> "WorkspaceQuerySet":
        """Workspaces whose existence `user` may know of."""
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(memberships__user=user)


# A constraint trigger, because the rule spans two tables and an ownership transfer breaks it half-way:
# it is checked when the transaction commits.
_ONE_OWNER = """
    IF EXISTS (SELECT 1 FROM workspaces_workspace w WHERE w.id = {workspace} AND NOT EXISTS (
        SELECT 1 FROM workspaces_membership m
        WHERE m.workspace_id = w.id AND m.user_id = w.owner_id AND m.role = 'owner'))
    THEN RAISE EXCEPTION 'workspace %: its owner must hold its one owner membership', {workspace}
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
"""


class Workspace(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=64, unique=True, help_text="In addresses and commands: a-z, 0-9 and -.")
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=16, choices=WorkspaceState.choices, default=WorkspaceState.ACTIVE)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="owned_workspaces")
    time_zone = models.CharField(max_length=64, default="UTC")
    event_seq = models.BigIntegerField(
        default=0, editable=False, help_text="The last event's number. Its row lock orders the events."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=WorkspaceState.values), name="workspace_state_known"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="workspace_one_owner",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("owner_id"),  # type: ignore[no-untyped-call]  # it has no types
                timing=pgtrigger.Deferred,
                func=_ONE_OWNER.format(workspace="NEW.id"),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


class Membership(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["workspace", "user"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_once"),
            models.UniqueConstraint(fields=["workspace"], condition=Q(role=Role.OWNER), name="membership_one_owner"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="membership_one_owner_left",
                when=pgtrigger.After,
                operation=pgtrigger.Update | pgtrigger.Delete,
                timing=pgtrigger.Deferred,
                func=_ONE_OWNER.format(workspace="OLD.workspace_id"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class EventQuerySet(models.QuerySet["WorkspaceEvent"]):
    def after(self, seq: int) -> "EventQuerySet":
        return self.filter(seq__gt=seq).order_by("seq")


class WorkspaceEvent(models.Model):
    """What happened: audit log, trigger of rules and feed in one. Written by `events.record` alone.

    Run and note are named by id without a foreign key: this room lies below theirs, and a log outlives its
    subjects.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="events")
    seq = models.BigIntegerField()
    type = models.CharField(max_length=64)
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    run_id = models.UUIDField(null=True)
    note_id = models.UUIDField(null=True)
    payload = models.JSONField(default=dict)
    request_id = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["workspace", "seq"]
        constraints = [models.UniqueConstraint(fields=["workspace", "seq"], name="event_seq_once")]
        indexes = [
            models.Index(fields=["note_id"], name="event_note", condition=Q(note_id__isnull=False)),
            models.Index(fields=["run_id"], name="event_run", condition=Q(run_id__isnull=False)),
        ]
        triggers = [pgtrigger.Protect(name="event_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"


class SetupLink(models.Model):
    """The one-time way in for the first owner. Only the token's hash is kept; at most one row stands open."""

    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(used_at__gte=F("created_at")),
                name="setup_used_after_made",
            )
        ]

    def __str__(self) -> str:
        return "used" if self.used_at else "open"
