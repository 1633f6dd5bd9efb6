"""Budgets of a day: reserved before work starts, never overdrawn, and told of when they are used up."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connections, transaction
from django.utils import timezone

from automation import actions
from automation.actions import Action
from automation.budgets import Budget, Charge, charge, correct
from automation.models import DailyUse, Run
from automation.services import create_rule, launch_rule, retry_run, update_rule
from automation.validation import RuleInvalid
from kjxlkj.errors import Invalid
from kjxlkj.jobs import services as jobs
from kjxlkj.jobs.outcomes import Retry
from kjxlkj.workspaces.services import update_workspace

# Committed, as a worker needs it.
pytestmark = pytest.mark.django_db(transaction=True)

DAY_BUDGET = Budget(tokens_per_day=250, cost_per_day=Decimal("0.50"))
MOST = Charge(100, Decimal("0.20"))


@pytest.fixture
def work_done(monkeypatch):
    """An action; where the list holds errors, it raises them first."""
    done, errors = [], []

    def work(run, lease):
        done.append(run.id)
        if errors:
            raise errors.pop()

    monkeypatch.setattr(actions, "_actions", dict(actions._actions))
    actions.register(
        Action(
            kind="ask_a_model",
            label="Ask",
            faults=lambda action_json: [],
            work=work,
            max_sources=lambda action_json: 1,
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


def test_an_attempt_that_follows_another_reserves_nothing_more(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_runs_per_day=1)
    run = launch(rule, owner)
    work_done.errors.append(Retry("RATE_LIMITED", "later", delay=0))
    deliver(run)
    assert (run.status, run.reserved_on is not None) == ("queued", True)
    Run.objects.filter(pk=run.pk).update(not_before=timezone.now() - timedelta(seconds=1))
    assert deliver(run).status == "succeeded"
    assert list(DailyUse.objects.values_list("runs", flat=True)) == [1]


def test_a_rule_without_limits_is_not_counted(workspace, owner, work_done):
    deliver(launch(make_rule(workspace, owner), owner))
    assert not DailyUse.objects.exists()


def test_a_higher_limit_holds_at_once(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_runs_per_day=1)
    deliver(launch(rule, owner))
    update_rule(rule, actor=owner, action_json={"kind": "ask_a_model", "limits": {"max_runs_per_day": 2}})
    assert deliver(launch(rule, owner)).status == "succeeded"


def test_eight_workers_at_once_never_overdraw_it(workspace, owner, work_done):
    rule = make_rule(workspace, owner, max_runs_per_day=3)
    runs = [launch(rule, owner) for _ in range(8)]

    def work(run):
        try:
            return deliver(run).error_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(work, runs))
    assert (codes.count(""), codes.count("BUDGET_EXHAUSTED")) == (3, 5)
    assert DailyUse.objects.get().runs == 3


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


# --- What requests to models are charged ----------------------------------------------------------


def charged(run, budget=DAY_BUDGET, most=MOST):
    with transaction.atomic():
        return charge(run, budget, most)


def used():
    return DailyUse.objects.values_list("tokens", "cost").get()


def test_a_request_is_charged_at_its_most_and_corrected_to_what_it_came_to(workspace, owner, work_done):
    run = launch(make_rule(workspace, owner), owner)
    day = charged(run)
    assert used() == (100, Decimal("0.20"))
    correct(run, day, MOST, Charge(30, Decimal("0.05")))
    assert used() == (30, Decimal("0.05"))


def test_a_request_that_could_overdraw_the_day_is_refused_and_charges_nothing(workspace, owner, work_done):
    run = launch(make_rule(workspace, owner), owner)
    charged(run)
    charged(run)
    with pytest.raises(Invalid) as refused:
        charged(run)
    assert refused.value.code == "BUDGET_EXHAUSTED"
    assert "may need 100 tokens; of the 250 of a day 200 are used or reserved" in refused.value.message
    assert used() == (200, Decimal("0.40"))
    with pytest.raises(Invalid, match=r"may cost 0\.20 dollars; of the 0\.50 of a day 0\.4\d* are used"):
        charged(run, most=Charge(1, Decimal("0.20")))


def test_a_request_that_needs_more_than_a_day_has_is_refused_on_a_day_without_any(workspace, owner, work_done):
    run = launch(make_rule(workspace, owner), owner)
    with pytest.raises(Invalid, match="may need 251 tokens; of the 250"):
        charged(run, most=Charge(251))
    assert not DailyUse.objects.exists()


def test_a_charge_whose_transaction_fails_was_never_made(workspace, owner, work_done):
    run = launch(make_rule(workspace, owner), owner)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        charge(run, DAY_BUDGET, MOST)
        raise ZeroDivisionError
    assert not DailyUse.objects.exists()


def test_all_rules_together_never_overdraw_the_instance(workspace, owner, work_done, settings):
    settings.LLM_TOKENS_PER_DAY = 350
    runs = [
        launch(create_rule(workspace, actor=owner, name=f"R{n}", action_json={"kind": "ask_a_model"}), owner)
        for n in range(8)
    ]

    def ask(run):
        try:
            charged(run, Budget())
        except Invalid as error:
            return error.message
        finally:
            connections.close_all()
        return ""

    with ThreadPoolExecutor(8) as pool:
        refusals = [message for message in pool.map(ask, runs) if message]
    assert len(refusals) == 5
    assert all("for all rules of the instance together" in message for message in refusals)
    assert sum(DailyUse.objects.values_list("tokens", flat=True)) == 300


def test_the_instance_may_bound_what_a_day_costs(workspace, owner, work_done, settings):
    settings.LLM_COST_PER_DAY = Decimal("0.3")
    run = launch(make_rule(workspace, owner), owner)
    charged(run, Budget())
    with pytest.raises(Invalid, match=r"may cost 0\.20 dollars; of the 0\.3 of a day"):
        charged(run, Budget())
