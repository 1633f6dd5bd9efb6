"""Operations and their review over HTTP."""

from typing import Any

from django.db.models import Count, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from automation.models import Run
from kjxlkj.api import NoParameters, WorkspaceScoped, acting_user, read_body, read_query
from kjxlkj.errors import Conflict, NotFound
from kjxlkj.workspaces.roles import Right
from librarian import services, undoing
from librarian.models import Operation, OperationStatus, Via
from librarian.reporting import with_counts
from librarian.serializers import (
    OperationOut,
    OperationQuery,
    ReportOut,
    ReviewIn,
    ReviewOut,
    RunOperationQuery,
    UndoOut,
)

# Query parameter → lookup, where they differ.
_LOOKUPS = {"rule_id": "run__rule_id", "note_id": "target_note_id", "min_confidence": "confidence__gte"}


class OperationViewSet(WorkspaceScoped, GenericViewSet[Operation]):
    """The queue over all runs."""

    queryset = Operation.objects.select_related("workspace")
    serializer_class = OperationOut
    lookup_value_regex = "[^/]+"
    noun = "OPERATION"
    ordering = ("created_at", "run_id", "index", "id")

    @extend_schema(parameters=[OperationQuery])
    def list(self, request: Request) -> Response:
        """In the order in which reviewers meet them."""
        asked: dict[str, Any] = read_query(request, OperationQuery)
        rows = self.in_workspace(self.get_queryset(), asked.pop("workspace_id", None))
        rows = rows.filter(**{_LOOKUPS.get(name, name): value for name, value in asked.items()})
        return self.get_paginated_response(OperationOut(self.paginate_queryset(rows), many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(OperationOut(self.get_object()).data)

    @extend_schema(request=NoParameters)
    def undo(self, request: Request, pk: str) -> Response:
        """Undo it if it was applied; have it wait again if a person rejected it. 409: not possible, and why."""
        operation = self.authorised(Right.WRITE)
        read_body(request, NoParameters)
        outcome = undoing.undo_operation(operation, actor=acting_user(request))
        if outcome.code:
            raise Conflict(outcome.code, outcome.message)
        return Response(OperationOut(self.get_object()).data)


class RunReviewViewSet(WorkspaceScoped, GenericViewSet[Run]):
    """What hangs on one run: its operations, their review, its report."""

    queryset = Run.objects.select_related("workspace")
    serializer_class = OperationOut
    noun = "RUN"
    ordering = ("index", "id")

    @extend_schema(parameters=[RunOperationQuery], responses=OperationOut(many=True))
    def operations(self, request: Request, pk: str) -> Response:
        """All of the run's operations, those refused by a check included, as they were answered."""
        asked = read_query(request, RunOperationQuery)
        rows: QuerySet[Operation] = self.get_object().operations.filter(**asked)
        return self.get_paginated_response(OperationOut(self.paginate_queryset(rows), many=True).data)

    @extend_schema(request=ReviewIn, responses=ReviewOut)
    def review(self, request: Request, pk: str) -> Response:
        """Decide operations of the run. Each decision succeeds or fails alone; a malformed request does nothing."""
        run = self.authorised(Right.WRITE)
        decisions = [_decision(given) for given in read_body(request, ReviewIn)["decisions"]]
        results = services.review(decisions, actor=acting_user(request), run=run)
        return Response(ReviewOut({"run": run, "results": results, **_counts(run)}).data)

    @extend_schema(request=NoParameters, responses=UndoOut)
    def undo(self, request: Request, pk: str) -> Response:
        """Undo what was accepted of the run. Notes that were changed since are skipped, and named in the answer."""
        run = self.authorised(Right.WRITE)
        read_body(request, NoParameters)
        results = undoing.undo_run(run, actor=acting_user(request))
        reverted = sum(result.status == OperationStatus.REVERTED for result in results)
        return Response(UndoOut({"run": run, "results": results, "reverted_operations": reverted}).data)

    @extend_schema(responses=ReportOut)
    def report(self, request: Request, pk: str) -> Response:
        """How the answers came about. There is one once the run has succeeded."""
        report = with_counts().filter(run=self.get_object()).first()
        if report is None:
            raise NotFound("REPORT_NOT_FOUND", "The run has no report: it has not succeeded, or asked nobody.")
        return Response(ReportOut(report).data)


def _decision(given: dict[str, Any]) -> services.Decision:
    decision = services.REJECT if given["decision"] == services.REJECT else services.APPLY
    return services.Decision(**{**given, "decision": decision}, via=Via.API)


def _counts(run: Run) -> dict[str, int]:
    counted = dict(run.operations.values_list("status").annotate(n=Count("id")))
    return {
        "applied_operations": counted.get(OperationStatus.APPLIED, 0),
        "rejected_operations": counted.get(OperationStatus.REJECTED, 0),
    }
