"""Budgets of a day: reserved before work starts, never overdrawn, and told of when they are used up."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from automation import actions
from automation.actions import Action
from automation.budgets import daily_budget
from automation.models import DailyUse, Run
from automation.services import create_rule, launch_rule, retry_run, update_rule
from automation.validation import RuleInvalid
from kjxlkj.errors import Invalid
from kjxlkj.jobs import services as jobs
from kjxlkj.jobs.outcomes import Retry
from kjxlkj.workspaces.services import update_workspace

# Committed, as a worker needs it.
pytestmark = pytest.mark.django_db(transaction=True)

TOKENS = 100


@pytest.fixture
def work_done(monkeypatch):
    """An action that needs at most 100 tokens and uses 30; where the list holds errors, it raises them first."""
    done, errors = [], []

    def work(run, lease):
        done.append(run.id)
        if errors:
            raise errors.pop()
        run.result_json["tokens"] = 30

    monkeypatch.setattr(actions, "_actions", dict(actions._actions))
    actions.register(
        Action(
            kind="ask_a_model",
            label="Ask",
            faults=lambda action_json: [],
            work=work,
            max_sources=lambda action_json: 1,
            budget=lambda action_json: daily_budget(action_json, TOKENS),
        )
    )
    work.errors = errors
    work.done = done
    return work


def make_rule(workspace, owner, **limits):
    return create_rule(workspace, actor=owner, name="R", action_json={"kind": "ask_a_model", "limits": limits})


def launch(rule, owner):
    return launch_rule(rule, actor=owner).runs[0]


def deliver(run):
    jobs.execute("automation.run", run.id)
    run.refresh_from_db()
    return run


def test_runs_beyond_the_day_s_number_fail_before_they_work_and_say_until_when(workspace, owner, work_done):
    update_workspace(workspace, actor=owner, time_zone="Pacific/Auckland")
    rule = make_rule(workspace, owner, max_runs_per_day=2)
    runs = [deliver(launch(rule, owner)) for _ in range(3)]
    assert [run.error_code for run in runs] == ["", "", "BUDGET_EXHAUSTED"]
    assert len(work_done.done) == 2
    assert "may run 2 times a day, and has. There is" in runs[2].error_detail
    assert "00:00 (Pacific/Auckland)" in runs[2].error_detail


def test_there_is_a_budget_again_the_next_day(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_runs_per_day=1)
    deliver(launch(rule, owner))
    spent = deliver(launch(rule, owner))
    assert spent.error_code == "BUDGET_EXHAUSTED"
    DailyUse.objects.update(day=date(2026, 1, 1))  # so long ago
    assert deliver(retry_run(spent, actor=owner)).status == "succeeded"


def test_tokens_are_reserved_at_their_most_and_what_is_left_is_given_back(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_tokens_per_day=160)
    assert [deliver(launch(rule, owner)).error_code for _ in range(3)] == ["", "", ""]
    assert DailyUse.objects.get().tokens == 90
    fourth = deliver(launch(rule, owner))
    assert fourth.error_code == "BUDGET_EXHAUSTED"
    assert "may need 100 tokens; of the 160 of a day 90 are used" in fourth.error_detail


def test_a_run_that_needs_more_than_a_day_has_never_begins(workspace, owner, work_done):
    assert deliver(launch(make_rule(workspace, owner, max_tokens_per_day=99), owner)).error_code == "BUDGET_EXHAUSTED"
    assert (work_done.done, DailyUse.objects.count()) == ([], 0)


def test_an_attempt_that_follows_another_reserves_nothing_more(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_runs_per_day=1, max_tokens_per_day=TOKENS)
    run = launch(rule, owner)
    work_done.errors.append(Retry("RATE_LIMITED", "later", delay=0))
    deliver(run)
    assert (run.status, run.reserved_tokens) == ("queued", TOKENS)
    Run.objects.filter(pk=run.pk).update(not_before=timezone.now() - timedelta(seconds=1))
    assert deliver(run).status == "succeeded"
    assert list(DailyUse.objects.values_list("runs", "tokens")) == [(1, 30)]


def test_a_rule_without_limits_is_not_counted(workspace, owner, work_done):
    deliver(launch(make_rule(workspace, owner), owner))
    assert not DailyUse.objects.exists()


def test_a_higher_limit_holds_at_once(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_runs_per_day=1)
    deliver(launch(rule, owner))
    update_rule(rule, actor=owner, action_json={"kind": "ask_a_model", "limits": {"max_runs_per_day": 2}})
    assert deliver(launch(rule, owner)).status == "succeeded"


def test_eight_workers_at_once_never_overdraw_it(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_runs_per_day=3, max_tokens_per_day=250)
    runs = [launch(rule, owner) for _ in range(8)]

    def work(run):
        try:
            return deliver(run).error_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(work, runs))
    # Two at the least: two fit at their most, and a third when one of them has given back.
    assert 2 <= codes.count("") <= 3
    assert codes.count("BUDGET_EXHAUSTED") == 8 - codes.count("")
    used = DailyUse.objects.get()
    assert (used.runs, used.tokens) == (codes.count(""), 30 * codes.count(""))


@pytest.mark.parametrize("limits", [{"max_runs_per_day": 0}, {"max_runs_per_day": "many"}, {"max_tokens_per_day": -1}])
def test_a_limit_that_is_none_is_refused_with_its_path(workspace, owner, limits):
    with pytest.raises(RuleInvalid) as raised:
        create_rule(workspace, actor=owner, name="R", action_json={"kind": "librarian_structure", "limits": limits})
    (fault,) = raised.value.details["faults"]
    assert fault["path"] == f"action_json.limits.{next(iter(limits))}"


def test_the_error_tells_when_there_is_a_budget_again(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_runs_per_day=1)
    deliver(launch(rule, owner))
    detail = deliver(launch(rule, owner)).error_detail
    day = detail.split("from ")[1].split(" ")[0]
    assert datetime.fromisoformat(day).date() == timezone.now().date() + timedelta(days=1)


def test_a_run_that_fails_gives_back_what_it_tells_it_did_not_use(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_tokens_per_day=250)
    work_done.errors.append(Invalid("ANSWER_USELESS", "The model answered nonsense."))
    assert deliver(launch(rule, owner)).error_code == "ANSWER_USELESS"
    assert DailyUse.objects.get().tokens == TOKENS, "nobody knows what it used"
    work_done.errors.append(Invalid("ANSWER_USELESS", "The model answered nonsense."))
    run = launch(rule, owner)
    Run.objects.filter(pk=run.pk).update(result_json={"tokens": 20})
    deliver(run)
    assert DailyUse.objects.get().tokens == TOKENS + 20
