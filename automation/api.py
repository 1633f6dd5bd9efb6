"""Rules and runs over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from automation import actions, services
from automation.models import Rule, Run
from automation.preview import preview
from automation.serializers import (
    LaunchIn,
    LaunchOut,
    PreviewAbout,
    PreviewIn,
    PreviewOut,
    RuleChange,
    RuleCreate,
    RuleOut,
    RuleQuery,
    RunDetail,
    RunOut,
    RunQuery,
    SourceOut,
    VocabularyOut,
    WebhookSecret,
)
from automation.trace import with_outcome
from automation.triggers import TRIGGERS
from automation.webhooks.action import WEBHOOK
from automation.webhooks.signing import secret_of
from kjxlkj.api import NoParameters, WorkspaceScoped, acting_user, read_body, read_query, workspace_for
from kjxlkj.errors import NotFound
from kjxlkj.notes.filters import VOCABULARY, condition_schema
from kjxlkj.workspaces.roles import Right


class RuleViewSet(WorkspaceScoped, GenericViewSet[Rule]):
    queryset = Rule.objects.live().select_related("workspace")
    serializer_class = RuleOut
    lookup_value_regex = "[^/]+"
    noun = "RULE"
    ordering = ("name", "id")

    @extend_schema(parameters=[RuleQuery])
    def list(self, request: Request) -> Response:
        asked = read_query(request, RuleQuery)
        rules = self.in_workspace(self.get_queryset(), asked.pop("workspace_id", None))
        wanted = {name: value for name, value in asked.items() if value is not None}
        return self.get_paginated_response(RuleOut(self.paginate_queryset(rules.filter(**wanted)), many=True).data)

    @extend_schema(request=RuleCreate, responses={201: RuleOut})
    def create(self, request: Request) -> Response:
        given = read_body(request, RuleCreate)
        actor = acting_user(request)
        workspace = workspace_for(actor, given.pop("workspace_id"), Right.MANAGE)
        return Response(RuleOut(services.create_rule(workspace, actor=actor, **given)).data, 201)

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(RuleOut(self.get_object()).data)

    @extend_schema(request=RuleChange, responses=RuleOut)
    def partial_update(self, request: Request, pk: str) -> Response:
        rule = self.authorised(Right.MANAGE)
        given = read_body(request, RuleChange)
        return Response(RuleOut(services.update_rule(rule, actor=acting_user(request), **given)).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Its runs stay, and those queued go on."""
        services.delete_rule(self.authorised(Right.MANAGE), actor=acting_user(request))
        return Response(status=204)

    @extend_schema(request=LaunchIn, responses={202: LaunchOut, 200: LaunchOut})
    @action(detail=True, methods=["post"])
    def launch(self, request: Request, pk: str) -> Response:
        """Start the rule now for every note that matches. 202: new runs; 200: this event was counted before."""
        rule = self.authorised(Right.MANAGE)
        launch = services.launch_rule(rule, actor=acting_user(request), **read_body(request, LaunchIn))
        return Response(LaunchOut(launch).data, 202 if launch.created else 200)

    @extend_schema(request=PreviewAbout, responses=PreviewOut)
    @action(detail=True, methods=["post"], url_path="preview")
    def preview_saved(self, request: Request, pk: str) -> Response:
        """What the rule would do, and why it would or would not for a chosen note or past event. Changes nothing."""
        rule = self.get_object()
        about = read_body(request, PreviewAbout)
        values = {field: getattr(rule, field) for field in services.RULE_FIELDS}
        return Response(PreviewOut(preview(rule.workspace_id, values, rule=rule, **about)).data)

    @extend_schema(responses=WebhookSecret)
    @action(detail=True, url_path="webhook-secret")
    def webhook_secret(self, request: Request, pk: str) -> Response:
        """What the rule's deliveries are signed with, for their receiver. For those who may manage rules."""
        rule = self.authorised(Right.MANAGE)
        read_query(request)
        if rule.action_json.get("kind") != WEBHOOK.kind:
            raise NotFound("WEBHOOK_NOT_FOUND", f"Rule “{rule.name}” sends no webhook.")
        return Response(WebhookSecret({"secret": secret_of(rule.pk)}).data, headers={"Cache-Control": "no-store"})

    @extend_schema(operation_id="automation_rules_preview_unsaved", request=PreviewIn, responses=PreviewOut)
    @action(detail=False, methods=["post"], url_path="preview")
    def preview_unsaved(self, request: Request) -> Response:
        """The same for a rule that is not saved. Without an action: which notes the condition holds for."""
        given = read_body(request, PreviewIn)
        workspace = workspace_for(acting_user(request), given.pop("workspace_id"), Right.READ)
        about = {name: given.pop(name, None) for name in ("note_id", "event_id")}
        return Response(PreviewOut(preview(workspace.id, given, **about)).data)


class VocabularyView(APIView):
    @extend_schema(operation_id="automation_vocabulary", responses=VocabularyOut)
    def get(self, request: Request) -> Response:
        """What rules are made of, for editors: the words of conditions, the triggers, the actions."""
        read_query(request)
        vocabulary = {
            "conditions": [{"name": name, "word": word} for name, word in VOCABULARY.items()],
            "condition_schema": condition_schema(),
            "triggers": TRIGGERS,
            "actions": actions.actions(),
        }
        return Response(VocabularyOut(vocabulary).data)


class RunViewSet(WorkspaceScoped, GenericViewSet[Run]):
    queryset = Run.objects.select_related("workspace")
    serializer_class = RunOut
    lookup_value_regex = "[^/]+"
    noun = "RUN"
    ordering = ("-created_at", "-id")

    @extend_schema(parameters=[RunQuery])
    def list(self, request: Request) -> Response:
        asked: dict[str, Any] = read_query(request, RunQuery)
        runs = self.in_workspace(with_outcome(self.get_queryset()), asked.pop("workspace_id", None))
        return self.get_paginated_response(RunOut(self.paginate_queryset(runs.filter(**asked)), many=True).data)

    @extend_schema(responses=RunDetail)
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(RunDetail(self.get_object()).data)

    @extend_schema(request=NoParameters, responses=RunDetail)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """A queued run ends at once, a running one when its worker next looks."""
        run = self.get_object()  # the service asks for the right, which an archived workspace leaves
        read_body(request, NoParameters)
        return Response(RunDetail(services.cancel_run(run, actor=acting_user(request))).data)

    @extend_schema(request=NoParameters, responses={202: RunDetail})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """A new run over the same notes, with the rule as it is now."""
        run = self.authorised(Right.MANAGE)
        read_body(request, NoParameters)
        return Response(RunDetail(services.retry_run(run, actor=acting_user(request))).data, 202)


class RunSourceViewSet(WorkspaceScoped, GenericViewSet[Run]):
    """What a run is about."""

    queryset = Run.objects.select_related("workspace")
    serializer_class = SourceOut
    noun = "RUN"
    ordering = ("id",)

    @extend_schema(responses=SourceOut(many=True))
    def sources(self, request: Request, pk: str) -> Response:
        """The notes that were chosen for it. Which of them were left out, and why, is in its result."""
        read_query(request)
        sources = (
            self.get_object().sources.select_related("note").only("run_id", "note__path", "note__title", "event_id")
        )
        return self.get_paginated_response(SourceOut(self.paginate_queryset(sources), many=True).data)
