"""What has come of rules: the last run of each in a list, the last runs of one on its page."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Max

from automation.models import Rule, Run, RunTrigger
from automation.trace import with_outcome

_SHOWN = 10


def with_last_runs(rules: Iterable[Any]) -> list[Rule]:
    """The rules, each with its `last_run`, of which the queryset has told the id."""
    listed = list(rules)
    runs = with_outcome(Run.objects.defer("rule_snapshot")).in_bulk(
        [rule.last_run_id for rule in listed if rule.last_run_id]
    )
    for rule in listed:
        rule.last_run = runs.get(rule.last_run_id)
    return listed


def page_context(rule: Rule) -> dict[str, Any]:
    runs = Run.objects.filter(rule=rule)
    fired = runs.filter(trigger__in=[RunTrigger.EVENT, RunTrigger.SCHEDULE])
    return {
        "runs": with_outcome(runs.defer("rule_snapshot")).order_by("-created_at", "-id")[:_SHOWN],
        "last_fired": fired.aggregate(last=Max("created_at"))["last"],
    }
