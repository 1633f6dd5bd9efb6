"""Lists in the admin, filtered by the rule that their rows come from."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest

from automation.models import Rule
from kjxlkj.workspaces.list_filters import ListFilter
from kjxlkj.workspaces.roles import scoped

# Choices of a filter: who has more rules follows a link to what they look for.
_CHOICES = 40


class RuleFilter(ListFilter):
    title = parameter_name = "rule"
    path: ClassVar[str] = "rule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rules = scoped(Rule.objects.live(), request.user).order_by("name", "id")
        found = rules.values_list("pk", "name", "workspace__name")[:_CHOICES]
        offered = [(str(pk), f"{name}, {workspace}") for pk, name, workspace in found]
        chosen = request.GET.get("rule")
        return offered if not chosen or chosen in dict(offered) else [*offered, (chosen, "the chosen one")]

    def narrowed(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(**{self.path: value})
