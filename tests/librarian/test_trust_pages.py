"""How proposals were received, and what a rule applies by itself, as pages."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from automation.models import Run
from automation.services import create_rule, update_rule
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db

PAGE = "/admin/review/acceptance/"
XSS = "<script>alert(1)</script>"
AUTO = {
    "kind": "librarian_structure",
    "plan": {
        "review": "auto",
        "auto_apply": {"retag_note": 0.9, "relink_note": 0.8},
        "auto_apply_gate": {"decisions": 3, "rate": 0.7},
    },
}


def client_of(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def client(viewer):
    return client_of(viewer)


def text(client, address, **query):
    answer = client.get(address, query)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def told(page):
    """Of each row of the tables, its cells."""
    rows = re.findall(r"<tr> <th scope=\"row\">(.*?)</tr>", page)
    return [re.sub(r"(<[^>]*>\s*)+", "|", row).strip("| ") for row in rows]


def rule_page(rule):
    return reverse("admin:automation_rule_change", args=[rule.pk])


class TestAcceptance:
    def test_shows_each_kind_and_band_as_a_mark_and_as_a_row(self, client, decided):
        decided("accepted", 3)
        decided("rejected", 1)
        decided("accepted", 1, kind="relink_note", confidence=0.5)
        page = text(client, PAGE)
        assert told(page) == ["Add links|50–60 %|50 %|1|1|100 %", "Retag|90–100 %|95 %|3|4|75 %"]
        assert "retag, 95 % sure on average: 3 of 4 accepted (75 %)" in page
        assert "1 of 2 marks lie below the diagonal." in page
        assert page.count('<polygon class="retag_note"') == 2  # and in the legend

    def test_says_what_will_be_here(self, client, workspace):
        assert "Nothing was decided yet." in text(client, PAGE)

    def test_filters_by_workspace_rule_and_kind(self, client, decided, workspace, rule, owner):
        other = create_rule(workspace, actor=owner, name="Other", action_json={"kind": "librarian_structure"})
        run = Run.objects.create(workspace=workspace, rule=other, trigger="manual", rule_snapshot={"name": "Other"})
        decided("accepted", 2)
        decided("accepted", 5, of=run, kind="retitle_note")
        assert len(told(text(client, PAGE, workspace=workspace.slug))) == 2
        page = text(client, PAGE, rule=other.pk)
        assert told(page) == ["Retitle|90–100 %|95 %|5|5|100 %"]
        assert f'<option value="{other.pk}" selected>Other (5)</option>' in page
        assert told(text(client, PAGE, kind="retag_note")) == ["Retag|90–100 %|95 %|2|2|100 %"]
        assert "Nothing was decided here yet." in text(client, PAGE, rule=other.pk, kind="retag_note")

    @pytest.mark.parametrize("query", [{"workspace": "\0"}, {"rule": "no-rule"}, {"kind": "no-kind"}])
    def test_what_cannot_be_a_filter_is_left_out(self, client, decided, query):
        decided("accepted")
        assert len(told(text(client, PAGE, **query))) == 1

    def test_outsiders_see_their_own_alone_whatever_they_ask_for(self, outsider, decided, rule, workspace):
        decided("accepted", model="secret-model")
        for query in ({}, {"rule": rule.pk}, {"workspace": workspace.slug}):
            page = text(client_of(outsider), PAGE, **query)
            assert "secret-model" not in page
            assert workspace.name not in page
            assert "Nothing was decided" in page

    def test_who_is_not_logged_in_is_sent_to_the_login(self, db):
        assert "/login/" in Client().get(PAGE).url

    def test_changes_nothing(self, client, workspace):
        assert client.post(PAGE).status_code == 405

    def test_names_become_no_markup(self, client, decided, rule, owner):
        update_rule(rule, actor=owner, name=f"R{XSS}")
        decided("accepted", model=f"m{XSS}")
        assert "<script>alert" not in text(client, PAGE)

    def test_the_number_of_queries_does_not_grow(self, client, decided, workspace, owner):
        def queries():
            with CaptureQueriesContext(connection) as seen:
                client.get(PAGE)
            return len(seen)

        decided("accepted")
        few = queries()
        for tenth in range(10):
            decided("rejected", 2, confidence=tenth / 10, model=f"m{tenth}")
        for number in range(3):
            more = create_rule(workspace, actor=owner, name=f"R{number}", action_json={"kind": "librarian_structure"})
            run = Run.objects.create(workspace=workspace, rule=more, trigger="manual", rule_snapshot={})
            decided("accepted", of=run)
        assert queries() == few

    def test_the_queue_a_report_and_a_rule_lead_here(self, client, workspace, rule, run, propose, notes):
        propose(op("retag_note", notes["alpha"], tags=("x",)))
        assert f'href="{PAGE}?workspace={workspace.slug}"' in text(
            client, "/admin/review/", workspace=workspace.slug, after=""
        )
        here = f'href="{PAGE}?rule={rule.pk}"'
        assert here in text(client, reverse("admin:review_report", args=[run.pk]))
        assert here in text(client, rule_page(rule))


class TestGates:
    def test_a_rule_that_applies_nothing_by_itself_does_not_speak_of_it(self, client, rule, decided):
        decided("accepted", 3)
        assert "Applies by itself" not in text(client, rule_page(rule))

    def test_a_rule_of_another_kind_does_not_either(self, client, workspace, owner):
        hook = {"kind": "webhook", "url": "https://example.com/"}
        made = create_rule(workspace, actor=owner, name="Hook", action_json=hook)
        assert "Applies by itself" not in text(client, rule_page(made))

    def test_a_rules_page_tells_what_is_open_what_is_locked_and_why(self, client, rule, owner, decided):
        update_rule(rule, actor=owner, action_json=AUTO)
        decided("accepted", 3)
        decided("accepted", 1, model="gpt")
        page = text(client, rule_page(rule))
        assert told(page) == [
            "Retag|gpt|90 % sure|90–100 %|1 (3 needed)|100 % (70 % needed)|Locked|"
            "1 of 3 decisions; people review them until then.",
            "Retag|qwen3|90 % sure|90–100 %|3 (3 needed)|100 % (70 % needed)|Open|"
            "3 of the last 3 such proposals were accepted (100 %, 70 % needed).",
        ]
        assert "Nothing of this kind was proposed yet: add links." in page

    def test_what_only_waits_has_no_rate_yet(self, client, rule, owner, decided):
        update_rule(rule, actor=owner, action_json=AUTO)
        decided("pending")
        assert "|0 (3 needed)|– (70 % needed)|Locked|" in told(text(client, rule_page(rule)))[0]

    def test_outsiders_find_no_rule(self, outsider, rule, owner):
        update_rule(rule, actor=owner, action_json=AUTO)
        assert client_of(outsider).get(rule_page(rule)).status_code in {302, 404}

    def test_the_number_of_queries_does_not_grow_with_the_gates(self, client, rule, owner, decided):
        def queries():
            with CaptureQueriesContext(connection) as seen:
                client.get(rule_page(rule))
            return len(seen)

        update_rule(rule, actor=owner, action_json=AUTO)
        decided("accepted")
        few = queries()
        for number in range(9):
            decided("accepted", 4, model=f"m{number}")
        assert queries() == few
