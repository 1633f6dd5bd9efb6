"""Rules and runs in the admin: by role, through the services, refusals beside their fields."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from automation.models import Rule, Run
from automation.services import create_rule, launch_rule

ADD = "/admin/automation/rule/add/"
ACTION = {"kind": "librarian_structure"}


def browser(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def html(response):
    return response.content.decode()


def form(workspace, **fields):
    values = {
        "workspace": str(workspace.pk),
        "name": "Tidy",
        "trigger": "manual",
        "settle_seconds": "5",
        "max_sources": "",
    }
    return {**values, "condition_json": "{}", "action_json": json.dumps(ACTION), "enabled": "on", **fields}


@pytest.fixture
def rule(workspace, owner):
    return create_rule(workspace, actor=owner, name="R", action_json=ACTION)


@pytest.fixture
def run(rule, owner, make_note):
    make_note("A", body="text")
    return launch_rule(rule, actor=owner).runs[0]


class TestRules:
    def test_a_rule_is_made_by_the_service(self, admin, workspace):
        assert browser(admin).post(ADD, form(workspace, condition_json='{"folder": "inbox"}')).status_code == 302
        rule = Rule.objects.get()
        assert (rule.condition_json, rule.created_by) == ({"folder": "inbox"}, admin)
        assert workspace.events.filter(type="rule.created").exists()

    def test_the_form_offers_the_offline_librarian(self, admin):
        page = html(browser(admin).get(ADD))
        assert "librarian_structure" in page
        assert "offline" in page

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"condition_json": '{"nonsense": 1}'}, "condition_json.nonsense: unknown"),
            ({"condition_json": "{"}, "Enter a valid JSON"),
            ({"condition_json": r'{"\ud800": 1}'}, "Enter a valid JSON"),
            ({"condition_json": "[" * 100_000}, "Enter a valid JSON"),
            ({"action_json": "9" * 5_000}, "Enter a valid JSON"),
            ({"action_json": json.dumps({**ACTION, "plan": {"taxonomy": ["\0"]}})}, "Enter a valid JSON"),
            ({"action_json": '{"kind": "x"}'}, "action_json.kind:"),
            ({"settle_seconds": "999999"}, "expected a whole number"),
            ({"name": "R"}, "already"),
        ],
    )
    def test_faults_stand_in_the_form_and_nothing_is_written(self, admin, workspace, rule, fields, told):
        response = browser(admin).post(ADD, form(workspace, **fields))
        assert response.status_code == 200
        assert told in html(response)
        assert Rule.objects.count() == 1

    def test_change_and_delete(self, admin, workspace, rule):
        client = browser(admin)
        client.post(reverse("admin:automation_rule_change", args=[rule.pk]), form(workspace, name="Renamed"))
        rule.refresh_from_db()
        assert rule.name == "Renamed"
        client.post(reverse("admin:automation_rule_delete", args=[rule.pk]), {"post": "yes"})
        rule.refresh_from_db()
        assert rule.deleted_at
        client.get("/admin/")  # takes the messages, which name it
        assert "Renamed" not in html(client.get("/admin/automation/rule/"))

    @pytest.mark.parametrize("role", ["editor", "viewer"])
    def test_members_without_the_right_read_only(self, role, rule, workspace, request):
        client = browser(request.getfixturevalue(role))
        where = reverse("admin:automation_rule_change", args=[rule.pk])
        assert client.get(where).status_code == 200
        assert client.post(where, form(workspace, name="X")).status_code == 403
        assert client.post(ADD, form(workspace)).status_code == 403
        client.post(reverse("admin:automation_rule_launch", args=[rule.pk]))
        assert not Run.objects.exists()

    def test_outsiders_find_nothing_and_cannot_write_into_other_workspaces(self, outsider, rule, workspace):
        client = browser(outsider)
        assert "Tidy" not in html(client.get("/admin/automation/rule/"))
        assert client.get(reverse("admin:automation_rule_change", args=[rule.pk])).status_code == 302
        assert client.post(reverse("admin:automation_rule_launch", args=[rule.pk])).status_code == 404
        assert client.post(ADD, form(workspace)).status_code == 200
        assert Rule.objects.count() == 1

    def test_launch_now(self, admin, rule, make_note):
        make_note("A")
        response = browser(admin).post(reverse("admin:automation_rule_launch", args=[rule.pk]), follow=True)
        assert Run.objects.get().created_by == admin
        assert "/admin/review/" in html(response)
        assert browser(admin).get(reverse("admin:automation_rule_launch", args=[rule.pk])).status_code == 405

    def test_a_refused_launch_says_why(self, admin, rule):
        response = browser(admin).post(reverse("admin:automation_rule_launch", args=[rule.pk]), follow=True)
        assert "No note meets the condition" in html(response)


class TestRuns:
    def test_list_and_page(self, viewer, run):
        client = browser(viewer)
        assert "queued" in html(client.get("/admin/automation/run/")).lower()
        page = html(client.get(reverse("admin:automation_run_change", args=[run.pk])))
        assert "1 note" in page
        assert "Cancel the run" not in page

    def test_cancel_and_retry(self, admin, viewer, run):
        cancel = reverse("admin:automation_run_cancel", args=[run.pk])
        browser(viewer).post(cancel)
        run.refresh_from_db()
        assert run.status == "queued"
        browser(admin).post(cancel)
        run.refresh_from_db()
        assert (run.status, run.error_code) == ("failed", "CANCELLED")
        assert "CANCELLED" in html(browser(viewer).get("/admin/"))
        browser(admin).post(reverse("admin:automation_run_retry", args=[run.pk]))
        assert Run.objects.filter(trigger="retry").count() == 1

    def test_outsiders_find_nothing(self, outsider, run):
        client = browser(outsider)
        assert str(run.pk) not in html(client.get("/admin/automation/run/"))
        assert client.post(reverse("admin:automation_run_cancel", args=[run.pk])).status_code == 404
