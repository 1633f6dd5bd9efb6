"""The list of all operations, decided ones too: where the overview's figures lead. Decisions have their own pages."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from automation.rule_filter import RuleFilter
from kjxlkj.workspaces.list_filters import DaysFilter, LinkedFilter, ListFilter
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, WorkspaceFilter
from librarian.figures import TIMED
from librarian.models import Operation, OperationKind, OperationStatus
from librarian.verdicts import MEANING, OF_PEOPLE, Verdict, verdict_of

_SHOWN = (
    "kind",
    "target_path",
    "title",
    "status",
    "workspace__name",
    "run__rule__name",
    "model",
    "confidence",
    "edited",
    "decided_by_id",
    "decided_at",
    "via",
)


class VerdictFilter(ListFilter):
    title = "what became of it"
    parameter_name = "verdict"
    of_people = "of_people"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*Verdict.choices, (self.of_people, "decided by a person")]

    def narrowed(self, rows: QuerySet[Operation], value: str) -> QuerySet[Operation]:
        return rows.filter(OF_PEOPLE if value == self.of_people else MEANING[Verdict(value)])


class KindFilter(ListFilter):
    title = parameter_name = "kind"
    proposals = "proposals"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.proposals, "all but questions"), *OperationKind.choices]

    def narrowed(self, rows: QuerySet[Operation], value: str) -> QuerySet[Operation]:
        if value == self.proposals:
            return rows.exclude(kind=OperationKind.DEFER)
        return rows.filter(kind=OperationKind(value))


class DecidedFilter(DaysFilter):
    title = parameter_name = "decided"
    lookup = "decided_at"


class ModelFilter(LinkedFilter):
    title = parameter_name = lookup = "model"


class OperationRuleFilter(RuleFilter):
    path = "run__rule"


class TimedFilter(ListFilter):
    title = "time of the decision"
    parameter_name = "timed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "measured")]

    def narrowed(self, rows: QuerySet[Operation], value: str) -> QuerySet[Operation]:
        return rows.filter(TIMED)


@admin.register(Operation)
class OperationAdmin(ScopedAdmin):
    list_display = ["name", "kind", "state", "workspace", "rule", "model", "percent", "decided_at", "via"]
    list_display_links = None
    list_filter = [
        WorkspaceFilter,
        "status",
        VerdictFilter,
        KindFilter,
        DecidedFilter,
        ModelFilter,
        OperationRuleFilter,
        "via",
        TimedFilter,
    ]
    sortable_by = ["decided_at"]

    def get_ordering(self, request: HttpRequest) -> list[str]:
        """The newest first, by the index that the key has anyway (see kjxlkj.ids); of decisions, the last first."""
        return ["-decided_at", "-pk"] if DecidedFilter.parameter_name in request.GET else ["-pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.select_related("workspace", "run__rule").only(*_SHOWN)

    @admin.display(description="operation")
    def name(self, operation: Operation) -> SafeString:
        return format_html(
            '<a href="{}">{}</a>',
            reverse("admin:review_operation", args=[operation.pk]),
            operation.target_path or operation.title or "a question",
        )

    @admin.display(description="status")
    def state(self, operation: Operation) -> str:
        by_person = operation.decided_by_id is not None
        verdict = verdict_of(operation.status, edited=operation.edited, by_person=by_person)
        if verdict:
            return str(verdict.label)
        return "rejected by a check" if operation.status == OperationStatus.REJECTED else operation.status

    @admin.display(description="rule")
    def rule(self, operation: Operation) -> str:
        return operation.run.rule.name

    @admin.display(description="confidence")
    def percent(self, operation: Operation) -> str:
        return f"{round(100 * operation.confidence)} %"

    def get_urls(self) -> list[URLPattern]:
        """One operation has its page among the review pages."""
        view = self.admin_site.admin_view(require_safe(self.changelist_view))
        return [path("", view, name="librarian_operation_changelist")]
