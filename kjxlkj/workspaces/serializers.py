"""Wire shapes of workspaces, members, events and logins."""

from typing import Any

from rest_framework import serializers

from kjxlkj.api import Shape
from kjxlkj.workspaces.models import Membership, Role, User, Workspace, WorkspaceEvent, WorkspaceState


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
    workspace_id = serializers.UUIDField()
    after = serializers.IntegerField(
        min_value=0, max_value=2**63 - 1, default=0, help_text="The last number seen; the answer begins behind it."
    )
    type = serializers.CharField(max_length=64, required=False)
    note_id = serializers.UUIDField(required=False)
    run_id = serializers.UUIDField(required=False)


class EventFeed(serializers.Serializer[Any]):
    results = EventOut(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    last_seq = serializers.IntegerField(help_text="Ask again with after= this.")


class Login(Shape):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)


class LoginOut(serializers.Serializer[User]):
    token = serializers.CharField(help_text="Shown once. Send it as “Authorization: Token …”.")
    expiry = serializers.DateTimeField(allow_null=True)
