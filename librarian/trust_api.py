"""How proposals were received, and what a rule may therefore apply by itself, over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from automation.models import Rule
from kjxlkj.api import Shape, WorkspaceScoped, acting_user, read_query, workspace_for
from kjxlkj.workspaces.roles import Right
from librarian.acceptance import acceptance, of_workspace
from librarian.auto_apply import plan_of
from librarian.gates import gates


class GateOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    model = serializers.CharField()
    confidence = serializers.CharField(source="band_label")
    least_confidence = serializers.FloatField()
    decided = serializers.IntegerField()
    accepted = serializers.IntegerField()
    needed = serializers.IntegerField(help_text="Decisions of people at the least.")
    rate = serializers.FloatField(help_text="Share accepted at the least.")
    is_open = serializers.BooleanField()
    why = serializers.CharField()


class AcceptanceOut(serializers.Serializer[Any]):
    model = serializers.CharField()
    kind = serializers.CharField()
    confidence = serializers.CharField(source="band_label")
    decided = serializers.IntegerField(help_text="By people.")
    accepted = serializers.IntegerField(help_text="Just as proposed, and not undone since.")
    rate = serializers.FloatField()
    mean_confidence = serializers.FloatField(help_text="Of those decided. Above the rate: too sure of itself.")


class GatesOut(serializers.Serializer[Any]):
    results = GateOut(many=True)


class AcceptancesOut(serializers.Serializer[Any]):
    results = AcceptanceOut(many=True)


class AcceptanceQuery(Shape):
    workspace_id = serializers.UUIDField()
    rule_id = serializers.UUIDField(required=False)


class AutoApplyViewSet(WorkspaceScoped, GenericViewSet[Rule]):
    queryset = Rule.objects.live().select_related("workspace")
    serializer_class = GateOut
    noun = "RULE"

    @extend_schema(responses=GatesOut)
    def retrieve(self, request: Request, pk: str) -> Response:
        """Of what the rule would apply by itself, what it may, and why. Empty for a rule that asks for nothing."""
        read_query(request)
        rule = self.get_object()
        plan = plan_of(rule)
        return Response(GatesOut({"results": gates(rule.pk, plan) if plan else []}).data)


class AcceptanceView(APIView):
    @extend_schema(parameters=[AcceptanceQuery], responses=AcceptancesOut)
    def get(self, request: Request) -> Response:
        """How people received what was proposed, by model, kind and confidence band."""
        asked = read_query(request, AcceptanceQuery)
        workspace = workspace_for(acting_user(request), asked["workspace_id"], Right.READ)
        operations = of_workspace(workspace.pk)
        if "rule_id" in asked:
            operations = operations.filter(run__rule_id=asked["rule_id"])
        return Response(AcceptancesOut({"results": acceptance(operations)}).data)
