"""What a rule may use in a day of its workspace: reserved before it is used, so that nobody overdraws it together.

A day begins at midnight in the workspace's time zone. A run counts once, however often it is tried. Tokens and costs of
language models are charged at their most before each request, and given back in part once it is known what it took.
The instance may have bounds of its own, over all rules (`settings.LLM_TOKENS_PER_DAY`, `LLM_COST_PER_DAY`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Sum
from django.db.models.functions import Greatest
from django.utils import timezone

from automation.models import DailyUse, Run
from kjxlkj.errors import Invalid
from kjxlkj.jobs.lease import Lease


@dataclass(frozen=True, slots=True)
class Budget:
    """Of one rule and day; None: no bound. Costs in US dollars."""

    runs_per_day: int | None = None
    tokens_per_day: int | None = None
    cost_per_day: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request takes, or may take at the most, on the budgets of a day."""

    tokens: int = 0
    cost: Decimal = Decimal(0)


# What an action's schema takes among its `limits`.
DAILY_LIMITS: Mapping[str, Any] = {
    "max_runs_per_day": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 100_000,
        "title": "Runs in a day at the most",
        "description": "Empty: no bound. What comes later on the day fails, and says when to try again.",
    },
    "max_tokens_per_day": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 1_000_000_000,
        "title": "Tokens in a day at the most",
        "description": "Of language models, over all runs of the rule. Empty: no bound.",
    },
    "max_cost_per_day": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1_000_000,
        "title": "Cost in a day at the most (USD)",
        "description": "Of language models, over all runs of the rule; the provider's prices have to be given. Empty: "
        "no bound.",
    },
}


# For an action that limits nothing else.
LIMITS: Mapping[str, Any] = {
    "type": "object",
    "title": "Limits",
    "properties": {"max_runs_per_day": DAILY_LIMITS["max_runs_per_day"]},
}


def daily_budget(action_json: Mapping[str, Any]) -> Budget:
    """What `limits` say."""
    limits = action_json.get("limits") or {}
    cost = limits.get("max_cost_per_day")
    # By way of its text: 0.1 is a tenth, not what a float makes of it.
    return Budget(
        limits.get("max_runs_per_day"), limits.get("max_tokens_per_day"), None if cost is None else Decimal(str(cost))
    )


# All of it or nothing.
_USE = """
    INSERT INTO automation_dailyuse AS used (rule_id, day, runs, tokens, cost)
    VALUES (%(rule)s, %(day)s, %(runs)s, %(tokens)s, %(cost)s)
    ON CONFLICT (rule_id, day) DO UPDATE SET
        runs = used.runs + %(runs)s, tokens = used.tokens + %(tokens)s, cost = used.cost + %(cost)s
    WHERE (%(most_runs)s::bigint IS NULL OR used.runs + %(runs)s <= %(most_runs)s)
      AND (%(most_tokens)s::bigint IS NULL OR used.tokens + %(tokens)s <= %(most_tokens)s)
      AND (%(most_cost)s::numeric IS NULL OR used.cost + %(cost)s <= %(most_cost)s)
    RETURNING runs"""


def reserve(run: Run, lease: Lease, budget: Budget) -> None:
    """Count the run. Raises `Invalid` BUDGET_EXHAUSTED, which says when there is a budget again."""
    if run.reserved_on is not None or budget.runs_per_day is None:
        return
    today = _today(run)
    with transaction.atomic():
        lease.guard()
        if not _used(run, today, Budget(runs_per_day=budget.runs_per_day), runs=1):
            times = f"{budget.runs_per_day:,} time{'s' if budget.runs_per_day > 1 else ''}"
            raise _exhausted(run, today, f"The rule may run {times} a day, and has")
        run.reserved_on = today
        run.save(update_fields=["reserved_on"])


def charge(run: Run, budget: Budget, most: Charge) -> date:
    """Take `most` of the budgets of today, within the caller's transaction. Returns the day that it was taken of.

    Raises `Invalid` BUDGET_EXHAUSTED, which says when there is a budget again.
    """
    today = _today(run)
    _check_instance(run, today, most)
    of_the_rule = Budget(tokens_per_day=budget.tokens_per_day, cost_per_day=budget.cost_per_day)
    if not _used(run, today, of_the_rule, charge=most):
        used = DailyUse.objects.filter(rule_id=run.rule_id, day=today).first() or DailyUse()
        raise _exhausted(run, today, "The next request of the rule " + _lacks(budget, used.tokens, used.cost, most))
    return today


def correct(run: Run, day: date, charged: Charge, came_to: Charge) -> None:
    """What was charged on that day came to something else; within the caller's transaction."""
    DailyUse.objects.filter(rule_id=run.rule_id, day=day).update(
        tokens=Greatest(F("tokens") + (came_to.tokens - charged.tokens), 0),
        cost=Greatest(F("cost") + (came_to.cost - charged.cost), Decimal(0)),
    )


def _today(run: Run) -> date:
    return timezone.now().astimezone(ZoneInfo(run.workspace.time_zone)).date()


def _used(run: Run, day: date, budget: Budget, *, runs: int = 0, charge: Charge = Charge()) -> bool:
    if budget.tokens_per_day is not None and charge.tokens > budget.tokens_per_day:
        return False
    if budget.cost_per_day is not None and charge.cost > budget.cost_per_day:
        return False
    values: dict[str, Any] = {
        "rule": run.rule_id,
        "day": day,
        "runs": runs,
        "tokens": charge.tokens,
        "cost": charge.cost,
        "most_runs": budget.runs_per_day,
        "most_tokens": budget.tokens_per_day,
        "most_cost": budget.cost_per_day,
    }
    with connection.cursor() as cursor:
        cursor.execute(_USE, values)
        return cursor.fetchone() is not None


def _check_instance(run: Run, day: date, most: Charge) -> None:
    bounds = Budget(tokens_per_day=settings.LLM_TOKENS_PER_DAY, cost_per_day=settings.LLM_COST_PER_DAY)
    if bounds.tokens_per_day is None and bounds.cost_per_day is None:
        return
    with connection.cursor() as cursor:
        # Until the commit: nobody else adds to the sum in between.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('kjxlkj budget of the instance', 0))")
    used = DailyUse.objects.filter(day=day).aggregate(tokens=Sum("tokens"), cost=Sum("cost"))
    lacks = _lacks(bounds, used["tokens"] or 0, used["cost"] or Decimal(0), most)
    if lacks:
        raise _exhausted(run, day, f"The next request {lacks} for all rules of the instance together")


def _lacks(budget: Budget, tokens: int, cost: Decimal, most: Charge) -> str:
    """What of `budget` does not suffice where so much is used already; empty: it does."""
    if budget.tokens_per_day is not None and tokens + most.tokens > budget.tokens_per_day:
        of_a_day = f"of the {budget.tokens_per_day:,} of a day {tokens:,} are used or reserved"
        return f"may need {most.tokens:,} tokens; {of_a_day}"
    if budget.cost_per_day is not None and cost + most.cost > budget.cost_per_day:
        of_a_day = f"of the {budget.cost_per_day:f} of a day {cost:f} are used or reserved"
        return f"may cost {most.cost:f} dollars; {of_a_day}"
    return ""


def _exhausted(run: Run, today: date, what: str) -> Invalid:
    zone = ZoneInfo(run.workspace.time_zone)
    again = datetime.combine(today + timedelta(days=1), time.min, zone)
    return Invalid(
        "BUDGET_EXHAUSTED",
        f"{what}. There is a budget again from {again:%Y-%m-%d %H:%M} ({zone.key}); then retry the run.",
        {"again_at": again.isoformat()},
    )
