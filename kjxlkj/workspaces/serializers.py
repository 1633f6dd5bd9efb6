"""Wire shapes of workspaces, members, events and logins."""

from typing import Any

from rest_framework import serializers

from kjxlkj.api import Shape
from kjxlkj.workspaces.models import Membership, Role, User, Workspace, WorkspaceEvent, WorkspaceState

# A proxy that gives up on a silent server after half a minute never does so here.
LONGEST_WAIT = 25


class WorkspaceOut(serializers.ModelSerializer[Workspace]):
    owner_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Workspace
        fields = ["id", "slug", "name", "state", "owner_id", "time_zone", "created_at", "updated_at"]
        read_only_fields = fields


class WorkspaceCreate(Shape):
    slug = serializers.CharField(max_length=64, help_text="In addresses and commands: a-z, 0-9, - and _.")
    name = serializers.CharField(max_length=200)
    time_zone = serializers.CharField(max_length=64, default="UTC", help_text="As in Europe/Berlin.")


class WorkspaceChange(Shape):
    slug = serializers.CharField(max_length=64, required=False)
    name = serializers.CharField(max_length=200, required=False)
    time_zone = serializers.CharField(max_length=64, required=False)
    state = serializers.ChoiceField(WorkspaceState.choices, required=False)
    owner_id = serializers.UUIDField(required=False, help_text="Hands the workspace over to this person.")


class MemberOut(serializers.ModelSerializer[Membership]):
    user_id = serializers.UUIDField(read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)

    class Meta:
        model = Membership
        fields = ["user_id", "email", "name", "role", "created_at"]
        read_only_fields = fields


class MemberRole(Shape):
    role = serializers.ChoiceField([role for role in Role.choices if role[0] != Role.OWNER])


class EventOut(serializers.ModelSerializer[WorkspaceEvent]):
    workspace_id = serializers.UUIDField(read_only=True)
    actor_id = serializers.UUIDField(read_only=True, allow_null=True)

    class Meta:
        model = WorkspaceEvent
        fields = [
            "id", "workspace_id", "seq", "type", "actor_id", "run_id", "note_id", "payload", "request_id", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class EventQuery(Shape):
    workspace_id = serializers.UUIDField(required=False, help_text="Of this one only; otherwise of all that are yours.")
    after = serializers.RegexField(
        r"\A(latest|\d{1,19})\Z",
        required=False,
        help_text="Where to begin: 0, the first event (as without it); latest, what happens from now on; "
        "with workspace_id also a number, the last one seen.",
        error_messages={"invalid": "expected a number from 0 to 2^63 - 1, or latest."},
    )
    wait = serializers.IntegerField(
        min_value=0,
        max_value=LONGEST_WAIT,
        default=0,
        help_text="Seconds to wait for an event where there is none yet.",
    )
    type = serializers.RegexField(
        r"\A[a-z_]+(\.[a-z_]*)?(,[a-z_]+(\.[a-z_]*)?)*\Z",
        max_length=1000,
        required=False,
        help_text="One or several, separated by commas; with a dot at the end all that begin so: run.,note.created",
        error_messages={"invalid": "expected types as in note.created, or note. for all of them, separated by commas."},
    )
    note_id = serializers.UUIDField(required=False)
    run_id = serializers.UUIDField(required=False)


class EventFeed(serializers.Serializer[Any]):
    results = EventOut(many=True)
    next = serializers.URLField(allow_null=True, help_text="There is more already: ask at once.")
    previous = serializers.URLField(allow_null=True)
    cursor = serializers.CharField(help_text="Ask again with cursor= this.")
    last_seq = serializers.IntegerField(
        allow_null=True, help_text="With workspace_id: the same as a number, for after=. Otherwise null."
    )


class Login(Shape):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)


class LoginOut(serializers.Serializer[User]):
    token = serializers.CharField(help_text="Shown once. Send it as “Authorization: Token …”.")
    expiry = serializers.DateTimeField(allow_null=True)
