"""Rules and runs in the admin: by role, through the services, refusals beside their fields."""

import json
import re
from dataclasses import replace

import pytest
from django.db.models import FloatField, Func, Q, Value
from django.db.models.lookups import IsNull
from django.test import Client
from django.urls import reverse

from automation import actions, recipes, rule_preview
from automation.models import Rule, Run
from automation.services import create_rule, duplicate_rule, launch_rule, update_rule
from automation.validation import rule_faults
from automation.webhooks.signing import secret_of
from kjxlkj.workspaces.services import update_workspace

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
            ({"trigger": "schedule"}, "expected a cron line"),
            ({"trigger": "schedule", "schedule": "0 0 30 2 *"}, "never comes"),
        ],
    )
    def test_faults_stand_in_the_form_and_nothing_is_written(self, admin, workspace, rule, fields, told):
        response = browser(admin).post(ADD, form(workspace, **fields))
        assert response.status_code == 200
        assert told in html(response)
        assert Rule.objects.count() == 1

    def test_faults_of_all_fields_are_told_at_once(self, admin, workspace):
        fields = {"condition_json": '{"tog": 1}', "action_json": "{", "settle_seconds": "-1", "name": ""}
        errors = browser(admin).post(ADD, form(workspace, **fields)).context["adminform"].form.errors
        assert set(errors) == {"condition_json", "action_json", "settle_seconds", "name"}

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

    def test_what_others_changed_since_the_form_was_opened_is_not_undone(self, admin, owner, workspace, rule):
        client, page = browser(admin), reverse("admin:automation_rule_change", args=[rule.pk])
        opened = re.search(r'name="base_updated_at" value="([^"]+)"', html(client.get(page)))[1]
        update_rule(rule, actor=owner, enabled=False)
        answer = client.post(page, form(workspace, name="Renamed", base_updated_at=opened))
        assert "was changed meanwhile" in html(answer)
        assert f'value="{opened}"' in html(answer), "it stays as old as what the person sees"
        rule.refresh_from_db()
        assert (rule.name, rule.enabled) == ("R", False)
        again = re.search(r'name="base_updated_at" value="([^"]+)"', html(client.get(page)))[1]
        client.post(page, form(workspace, name="Renamed", base_updated_at=again))
        rule.refresh_from_db()
        assert rule.name == "Renamed"

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

    def test_before_a_launch_it_is_told_what_it_would_do(self, admin, editor, outsider, rule, make_note):
        confirm = reverse("admin:automation_rule_confirm", args=[rule.pk])
        assert "A launch has nothing to do" in html(browser(admin).get(confirm))
        make_note("A")
        make_note("B")
        update_rule(rule, actor=admin, max_sources=1)
        page = html(browser(admin).get(confirm))
        assert "2 notes" in page
        assert "Launch 2 runs now" in page
        assert not Run.objects.exists()
        update_rule(rule, actor=admin, enabled=False)
        page = html(browser(admin).get(confirm))
        assert "disabled" in page
        assert "now</button>" not in page
        assert browser(editor).get(confirm).status_code == 403
        assert browser(outsider).get(confirm).status_code == 404

    def test_a_refused_launch_says_why(self, admin, rule):
        response = browser(admin).post(reverse("admin:automation_rule_launch", args=[rule.pk]), follow=True)
        assert "No note meets the condition" in html(response)


class TestList:
    def test_it_takes_the_same_queries_for_any_number_of_rules(
        self, admin, workspace, owner, make_note, connection_queries
    ):
        make_note("A")
        client = browser(admin)
        counts = set()
        for number in range(3):
            rule = create_rule(workspace, actor=owner, name=f"R{number}", action_json=ACTION)
            launch_rule(rule, actor=owner)
            counts.add(connection_queries(lambda: client.get("/admin/automation/rule/")))
        assert len(counts) == 1

    def test_it_shows_the_last_run_and_when_a_schedule_is_due(self, viewer, workspace, owner, run):
        workspace = update_workspace(workspace, actor=workspace.owner, time_zone="Asia/Tokyo")
        create_rule(workspace, actor=owner, name="S", trigger="schedule", schedule="30 4 * * *", action_json=ACTION)
        page = html(browser(viewer).get("/admin/automation/rule/"))
        assert reverse("admin:automation_run_change", args=[run.pk]) in page
        assert "has not run" in page
        assert "04:30" in page
        assert 'role="switch"' not in page

    @pytest.mark.parametrize("htmx", [{}, {"HTTP_HX_REQUEST": "true"}])
    def test_the_switch(self, admin, viewer, outsider, rule, htmx):
        address = reverse("admin:automation_rule_enabled", args=[rule.pk])
        for user, enabled in [(viewer, True), (admin, False)]:
            client = browser(user)
            client.post(address, {"enabled": "false"}, **htmx)
            rule.refresh_from_db()
            assert rule.enabled is enabled
        browser(admin).post(address, {"enabled": "true"}, **htmx)
        rule.refresh_from_db()
        assert rule.enabled
        assert browser(outsider).post(address, {"enabled": "false"}, **htmx).status_code == 404
        assert browser(admin).get(address).status_code == 405

    def test_a_refused_switch_says_why_in_its_place(self, viewer, rule):
        address = reverse("admin:automation_rule_enabled", args=[rule.pk])
        answer = browser(viewer).post(address, {"enabled": "false"}, HTTP_HX_REQUEST="true")
        assert "Your role here is viewer" in html(answer)


class TestFormsOutOfDate:
    def test_a_part_of_a_page_is_told_in_its_place(self, admin, rule):
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
        headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/admin/automation/rule/?p=1"}
        answer = client.post(reverse("admin:automation_rule_enabled", args=[rule.pk]), headers=headers)
        assert (answer.status_code, answer["HX-Reselect"]) == (403, "#lost")
        assert 'This page is out of date: <a href="/admin/automation/rule/?p=1">reload it</a>.' in html(answer)
        assert "<html" not in html(answer)

    def test_others_get_a_page(self, admin, rule):
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
        answer = client.post(reverse("admin:automation_rule_launch", args=[rule.pk]))
        assert answer.status_code == 403
        assert "This page is out of date" in html(answer)
        assert "<html" in html(answer)


class TestSigningSecrets:
    @pytest.fixture
    def hook(self, workspace, owner):
        action = {"kind": "webhook", "url": "https://hooks.example.com/notes"}
        return create_rule(workspace, actor=owner, name="Hook", action_json=action)

    def test_who_manages_the_rule_finds_it_on_its_page_and_nowhere_else(self, admin, editor, viewer, hook):
        address = reverse("admin:automation_rule_change", args=[hook.pk])
        answer = browser(admin).get(address)
        assert secret_of(hook.pk) in html(answer)
        assert "no-store" in answer["Cache-Control"]
        for page in ("/admin/automation/rule/", reverse("admin:automation_rule_confirm", args=[hook.pk])):
            assert secret_of(hook.pk) not in html(browser(admin).get(page))
        for user in (editor, viewer):
            assert secret_of(hook.pk) not in html(browser(user).get(address))

    def test_rules_without_a_webhook_have_none(self, admin, rule):
        assert "signing secret" not in html(browser(admin).get(reverse("admin:automation_rule_change", args=[rule.pk])))


class TestCopies:
    def test_a_copy_is_disabled_and_has_a_name_of_its_own(self, admin, rule):
        update_rule(rule, actor=admin, condition_json={"folder": "inbox"}, max_sources=7)
        client = browser(admin)
        for _ in range(2):
            client.post(reverse("admin:automation_rule_duplicate", args=[rule.pk]))
        copy = Rule.objects.get(name="R (copy)")
        assert (copy.condition_json, copy.max_sources, copy.enabled) == ({"folder": "inbox"}, 7, False)
        client.post(reverse("admin:automation_rule_duplicate", args=[copy.pk]))
        assert set(Rule.objects.values_list("name", flat=True)) == {"R", "R (copy)", "R (copy 2)", "R (copy 3)"}

    def test_the_longest_name_has_copies_too(self, admin, rule):
        rule = update_rule(rule, actor=admin, name="x" * 200)
        assert duplicate_rule(rule, actor=admin).name == "x" * 193 + " (copy)"

    def test_by_role(self, editor, outsider, rule):
        address = reverse("admin:automation_rule_duplicate", args=[rule.pk])
        assert "Your role here is editor" in html(browser(editor).post(address, follow=True))
        assert browser(outsider).post(address).status_code == 404
        assert Rule.objects.count() == 1


class TestRecipes:
    def test_each_fills_the_form_with_a_good_rule(self, superuser, workspace):
        client = browser(superuser)
        page = html(client.get("/admin/automation/rule/recipes/"))
        for recipe in recipes.offered(superuser):
            assert recipe.title in page
            assert rule_faults(recipe.values) == []
            filled = client.get(ADD, {"recipe": recipe.slug}).context["adminform"].form
            data = {name: filled[name].value() for name in filled.fields}
            data = {name: value for name, value in data.items() if value is not None}
            assert client.post(ADD, {**data, "workspace": str(workspace.pk)}).status_code == 302
            assert Rule.objects.get(name=recipe.values["name"]).action_json == recipe.values["action_json"]

    def test_what_is_for_superusers_or_has_no_action_is_not_offered(self, admin, superuser, monkeypatch):
        offered = {recipe.slug for recipe in recipes.offered(admin)}
        assert {"tag-inbox", "link-new-notes", "nightly-export"} == offered
        assert recipes.initial("weekly-backup", admin) == {}
        absent = recipes.Recipe("x", "X", "", {"action_json": {"kind": "absent"}})
        monkeypatch.setattr(recipes, "RECIPES", (*recipes.RECIPES, absent))
        assert "x" not in {recipe.slug for recipe in recipes.offered(superuser)}

    def test_by_role(self, editor, admin):
        assert browser(editor).get("/admin/automation/rule/recipes/").status_code == 403
        assert browser(admin).get(ADD, {"recipe": "nonsense"}).status_code == 200


class TestActionsForSuperusers:
    @pytest.fixture
    def reserved(self, monkeypatch, workspace, owner):
        rule = create_rule(workspace, actor=owner, name="Reserved", action_json=ACTION)
        action = replace(actions.find("librarian_structure"), superusers_only=True)
        monkeypatch.setitem(actions._actions, "librarian_structure", action)
        return rule

    def test_the_list_lets_them_alone_switch_and_launch(self, admin, superuser, workspace, owner, reserved):
        other = create_rule(workspace, actor=owner, name="Other", action_json={"kind": "export_markdown"})
        for user, shown in [(superuser, True), (admin, False)]:
            page = html(browser(user).get("/admin/automation/rule/"))
            for name in ("enabled", "confirm"):
                assert (reverse(f"admin:automation_rule_{name}", args=[reserved.pk]) in page) is shown
                assert reverse(f"admin:automation_rule_{name}", args=[other.pk]) in page

    def test_they_are_offered_to_them_alone(self, admin, superuser, reserved):
        for user, offered in [(superuser, True), (admin, False)]:
            kinds = {each["kind"] for each in browser(user).get(ADD).context["declarations"]["actions"]}
            assert ("librarian_structure" in kinds) is offered
            assert ("tag-inbox" in {recipe.slug for recipe in recipes.offered(user)}) is offered

    def test_others_read_their_rules(self, admin, superuser, workspace, reserved):
        page = reverse("admin:automation_rule_change", args=[reserved.pk])
        assert 'name="_save"' not in html(browser(admin).get(page))
        assert browser(admin).post(page, form(workspace, name="Mine")).status_code == 403
        assert browser(admin).get(reverse("admin:automation_rule_confirm", args=[reserved.pk])).status_code == 403
        assert browser(superuser).post(page, form(workspace, name="Ours")).status_code == 302


class TestPreview:
    NEW = "/admin/automation/rule/preview/"

    def test_of_a_new_rule(self, admin, workspace, make_note):
        make_note("In", path="inbox/in.md")
        make_note("Out", path="out.md")
        page = html(browser(admin).post(self.NEW, form(workspace, condition_json='{"folder": "inbox"}', why="out")))
        assert "1 note</strong> meets" in page
        assert "inbox/in.md" in page
        assert "A launch makes 1 run" in page
        assert "the rule does not take it" in page
        assert not Rule.objects.exists()

    def test_it_tells_every_fault_and_counts_what_it_can(self, admin, workspace, make_note):
        make_note("A")
        fields = {"action_json": "{", "settle_seconds": "999999", "condition_json": "{}", "name": ""}
        answer = browser(admin).post(self.NEW, form(workspace, **fields))
        assert {fault["path"] for fault in answer.context["faults"]} == {"action_json", "settle_seconds"}
        assert "1 note</strong> meets" in html(answer)
        answer = browser(admin).post(self.NEW, form(workspace, condition_json='{"any": [{"tag": ""}, {"tog": 1}]}'))
        paths = [fault["path"] for fault in answer.context["faults"]]
        assert paths == ["condition_json.any[0].tag", "condition_json.any[1].tog"]
        assert "meets" not in html(answer)

    def test_the_next_times_are_those_of_the_workspace(self, admin, workspace):
        workspace = update_workspace(workspace, actor=workspace.owner, time_zone="Asia/Tokyo")
        answer = browser(admin).post(self.NEW, form(workspace, trigger="schedule", schedule="30 4 * * *"))
        assert len(answer.context["times"]) == 3
        assert all(time.endswith("04:30") for time in answer.context["times"])
        answer = browser(admin).post(self.NEW, form(workspace, trigger="schedule", schedule="x"))
        assert answer.context["times"] == []
        assert [fault["path"] for fault in answer.context["faults"]] == ["schedule"]

    def test_of_a_saved_rule_as_it_is_being_changed(self, admin, workspace, rule, make_note):
        make_note("A", tags=["a"])
        make_note("B")
        address = reverse("admin:automation_rule_preview", args=[rule.pk])
        page = html(browser(admin).post(address, form(workspace, condition_json='{"tag": "a"}')))
        assert "1 note</strong> meets" in page
        rule.refresh_from_db()
        assert rule.condition_json == {}

    def test_who_may_only_read_sees_the_rule_as_it_is_saved(self, viewer, workspace, rule, make_note):
        make_note("A")
        address = reverse("admin:automation_rule_preview", args=[rule.pk])
        page = html(browser(viewer).post(address, form(workspace, condition_json='{"tag": "a"}', why="A")))
        assert "1 note</strong> meets" in page
        assert "the rule takes it" in page

    def test_by_role_and_workspace(self, viewer, outsider, workspace, rule, make_note):
        make_note("Secret")
        assert browser(viewer).post(self.NEW, form(workspace)).status_code == 403
        elsewhere = browser(outsider).post(self.NEW, form(workspace, why="Secret"))
        assert "Choose a workspace" in html(elsewhere)
        assert "Secret</a>" not in html(elsewhere)
        address = reverse("admin:automation_rule_preview", args=[rule.pk])
        assert browser(outsider).post(address, form(workspace)).status_code == 404
        assert browser(viewer).get(address).status_code == 405

    @pytest.mark.parametrize("why", ["nowhere", "%", "01900000-0000-7000-8000-000000000000", "_" * 5000])
    def test_a_note_that_is_not_there(self, admin, workspace, make_note, why):
        make_note("A")
        assert "No note is called" in html(browser(admin).post(self.NEW, form(workspace, why=why)))

    @pytest.mark.parametrize("why", ["Alpha", "alpha", "docs/alpha.md", "docs", "lph"])
    def test_a_note_is_found_by_title_or_path(self, admin, workspace, make_note, why):
        make_note("Alpha", path="docs/alpha.md")
        make_note("Alphabet", path="docs/alphabet.md")
        found = browser(admin).post(self.NEW, form(workspace, why=why)).context["note"]
        assert found.title == "Alpha"

    def test_a_note_is_found_by_its_id_and_by_a_title_that_looks_like_one(self, admin, workspace, make_note):
        hexadecimal = "0123456789abcdef0123456789abcdef"
        for note in (make_note(hexadecimal), make_note("Other")):
            for why in (note.title, str(note.pk), note.pk.hex):
                assert browser(admin).post(self.NEW, form(workspace, why=why)).context["note"] == note

    def test_a_search_for_the_note_takes_no_longer_than_a_preview_may(
        self, admin, workspace, make_note, monkeypatch, settings
    ):
        make_note("A")
        settings.PREVIEW_TIMEOUT_SECONDS = 0.2
        asleep = Func(Value(30.0), function="pg_sleep", output_field=FloatField())
        monkeypatch.setattr(rule_preview, "Q", lambda **_: Q(IsNull(asleep, False)))
        page = html(browser(admin).post(self.NEW, form(workspace, why="A")))
        assert "took longer than 0.2 seconds" in page


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
