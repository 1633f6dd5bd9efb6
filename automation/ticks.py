"""Scheduled rules: launched when they are due, once each, whoever looks."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.db.models import F
from django.db.models.functions import Now

from automation.models import Rule, RuleQuerySet, RunTrigger
from automation.runs import new_run
from automation.schedules import plan_next_tick
from automation.services import launch_for_notes, matching_notes
from automation.triggers import SCHEDULE
from kjxlkj.jobs.bounded import bounded_transaction
from kjxlkj.jobs.services import refuse
from kjxlkj.notes.filters import ConditionInvalid
from kjxlkj.workspaces.models import WorkspaceState

logger = logging.getLogger(__name__)

_PLAN = ["next_tick_at", "tick_zone"]


def tick() -> int:
    """Launch the rules that are due. Returns how many were."""
    scheduled = Rule.objects.enabled().filter(trigger=SCHEDULE, workspace__state=WorkspaceState.ACTIVE)
    due = scheduled.filter(next_tick_at__lte=Now()).order_by("next_tick_at")
    launched = sum(_attempt(_tick, rule_id) for rule_id in due.values_list("id", flat=True))
    # After that, so that what was due is not lost with the former time zone.
    for rule_id in scheduled.exclude(tick_zone=F("workspace__time_zone")).values_list("id", flat=True):
        _attempt(_read_again, rule_id)
    return launched


@bounded_transaction()
def _read_again(rule_id: UUID) -> bool:
    """Three o'clock is another moment in another time zone, and on another day."""
    rule = _taken(Rule.objects.filter(pk=rule_id))
    if rule is not None:
        plan_next_tick(rule, rule.now)
        rule.save(update_fields=_PLAN)
    return rule is not None


def skip_missed() -> int:
    """For a database that was restored: what was due since its backup was launched then, or is stale by now."""
    missed = Rule.objects.enabled().filter(trigger=SCHEDULE, next_tick_at__lte=Now())
    return sum(_attempt(_read_again, rule_id) for rule_id in list(missed.values_list("id", flat=True)))


def _attempt(work: Callable[[UUID], bool], rule_id: UUID) -> bool:
    try:
        return work(rule_id)
    except (OperationalError, InterfaceError):
        raise  # the database is away, for all of them
    except Exception:
        # Broad, for the sake of the rules that come after it.
        logger.exception("rule %s could not be kept to its schedule", rule_id)
        return False


@bounded_transaction()
def _tick(rule_id: UUID) -> bool:
    """Its launch and its next moment commit together. What was missed while nobody looked is one launch, not many."""
    rule = _taken(Rule.objects.enabled().filter(pk=rule_id, next_tick_at__lte=Now()))
    if rule is None:
        return False
    tick_at = rule.next_tick_at
    plan_next_tick(rule, rule.now)
    rule.save(update_fields=_PLAN)
    try:
        launch_for_notes(rule, matching_notes(rule), RunTrigger.SCHEDULE, tick_at=tick_at)
    except ConditionInvalid as error:
        run = new_run(rule, RunTrigger.SCHEDULE, tick_at=tick_at)
        run.save(force_insert=True)
        refuse(run, error.code, error.message)
    return True


def _taken(rules: RuleQuerySet) -> Any:
    """The rule with its workspace and the database's `now`, locked; None if it is none, or somebody else has it."""
    with_now = rules.select_related("workspace").annotate(now=Now())
    return with_now.select_for_update(no_key=True, skip_locked=True, of=["self"]).first()
