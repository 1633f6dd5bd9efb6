"""What a rule may use in a day of its workspace: reserved before work starts, so that nobody overdraws it together.

A day begins at midnight in the workspace's time zone. A run reserves once, however often it is tried; what it turns
out not to have needed is given back at its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from automation.models import DailyUse, Run
from kjxlkj.errors import Invalid
from kjxlkj.jobs.lease import Lease


@dataclass(frozen=True, slots=True)
class Budget:
    """None: no bound. `tokens` is the most that one run uses, and what it reserves."""

    runs_per_day: int | None = None
    tokens_per_day: int | None = None
    tokens: int = 0

    @property
    def is_bounded(self) -> bool:
        return self.runs_per_day is not None or self.tokens_per_day is not None


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
}


# For an action that limits nothing else.
LIMITS: Mapping[str, Any] = {
    "type": "object",
    "title": "Limits",
    "properties": {"max_runs_per_day": DAILY_LIMITS["max_runs_per_day"]},
}


def daily_budget(action_json: Mapping[str, Any], tokens: int = 0) -> Budget:
    """What `limits` say. `tokens`: the most that one run uses."""
    limits = action_json.get("limits") or {}
    return Budget(limits.get("max_runs_per_day"), limits.get("max_tokens_per_day"), tokens)


# All of it or nothing.
_RESERVE = """
    INSERT INTO automation_dailyuse AS used (rule_id, day, runs, tokens) VALUES (%(rule)s, %(day)s, 1, %(tokens)s)
    ON CONFLICT (rule_id, day) DO UPDATE SET runs = used.runs + 1, tokens = used.tokens + %(tokens)s
    WHERE (%(most_runs)s::bigint IS NULL OR used.runs < %(most_runs)s)
      AND (%(most_tokens)s::bigint IS NULL OR used.tokens + %(tokens)s <= %(most_tokens)s)
    RETURNING runs"""


def reserve(run: Run, lease: Lease, budget: Budget) -> None:
    """Raises `Invalid` BUDGET_EXHAUSTED, which says when there is a budget again."""
    if run.reserved_on is not None or not budget.is_bounded:
        return
    zone = ZoneInfo(run.workspace.time_zone)
    today = timezone.now().astimezone(zone).date()
    with transaction.atomic():
        lease.guard()
        if not _reserved(run, today, budget):
            raise _exhausted(run, today, zone, budget)
        run.reserved_on, run.reserved_tokens = today, budget.tokens
        run.save(update_fields=["reserved_on", "reserved_tokens"])


def _reserved(run: Run, today: date, budget: Budget) -> bool:
    if budget.tokens_per_day is not None and budget.tokens > budget.tokens_per_day:
        return False
    values: dict[str, Any] = {
        "rule": run.rule_id,
        "day": today,
        "tokens": budget.tokens,
        "most_runs": budget.runs_per_day,
        "most_tokens": budget.tokens_per_day,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, values)
        return cursor.fetchone() is not None


def _exhausted(run: Run, today: date, zone: ZoneInfo, budget: Budget) -> Invalid:
    if budget.tokens > (budget.tokens_per_day or budget.tokens):
        return Invalid(
            "BUDGET_EXHAUSTED",
            f"It may need {budget.tokens:,} tokens, and the rule has {budget.tokens_per_day:,} a day: it will never"
            " run. Raise max_tokens_per_day, or lower max_total_tokens.",
        )
    used = DailyUse.objects.filter(rule_id=run.rule_id, day=today).first() or DailyUse()
    again = datetime.combine(today + timedelta(days=1), time.min, zone)
    if budget.runs_per_day is not None and used.runs >= budget.runs_per_day:
        what = f"The rule may run {budget.runs_per_day:,} time{'s' if budget.runs_per_day > 1 else ''} a day, and has"
    else:
        what = (
            f"It may need {budget.tokens:,} tokens; of the {budget.tokens_per_day or 0:,} of a day"
            f" {used.tokens:,} are used or reserved"
        )
    return Invalid(
        "BUDGET_EXHAUSTED",
        f"{what}. There is a budget again from {again:%Y-%m-%d %H:%M} ({zone.key}); then retry the run.",
        {"again_at": again.isoformat()},
    )


def settle(run: Run, used_tokens: int) -> None:
    """Give back what was reserved and not used; in the transaction that ends the run."""
    unused = run.reserved_tokens - used_tokens
    if run.reserved_on is not None and unused:
        days = DailyUse.objects.filter(rule_id=run.rule_id, day=run.reserved_on)
        days.update(tokens=Greatest(F("tokens") - unused, 0))
        run.reserved_tokens = used_tokens
