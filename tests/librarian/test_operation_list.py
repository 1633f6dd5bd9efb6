"""The list of all operations: who may see it, what it filters by, and that it only shows."""

import re
from html import unescape
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from automation.models import Run
from automation.services import create_rule
from librarian.models import Operation
from tests.librarian.test_dashboard import OPERATIONS, browser, listed, page, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def some(decided):
    decided("accepted", 2, via="key")
    decided("edited", model="gemma")
    decided("rejected", kind="defer")
    decided("by_itself", 3)
    decided("undone")
    decided("pending", 2)
    decided("rejected", decided_by=None, decided_at=None, reject_code="NO_CHANGE")


class TestWhoSeesIt:
    def test_every_member_sees_their_workspaces(self, some, viewer, outsider):
        assert listed(browser(viewer), OPERATIONS) == 11
        assert listed(browser(outsider), OPERATIONS) == 0

    def test_who_belongs_nowhere_does_not(self, some, make_user):
        assert browser(make_user("nobody")).get(OPERATIONS).status_code == 403
        assert Client().get(OPERATIONS).status_code == 302

    def test_a_stranger_does_not_learn_the_name_of_a_rule(self, some, rule, outsider):
        assert "R, Team" not in page(browser(outsider), f"{OPERATIONS}?rule={rule.pk}")

    def test_it_only_shows(self, some, superuser):
        client = browser(superuser)
        operation = Operation.objects.first()
        assert client.post(OPERATIONS, {"action": "delete_selected"}).status_code == 405
        for url in ("add/", f"{operation.pk}/change/", f"{operation.pk}/delete/"):
            assert client.get(OPERATIONS + url).status_code == 404
            assert client.post(OPERATIONS + url).status_code == 404


class TestFilters:
    @pytest.mark.parametrize(
        ("asked", "count"),
        [
            ("status__exact=applied", 6),
            ("status__exact=pending", 2),
            ("verdict=accepted", 2),
            ("verdict=edited", 1),
            ("verdict=rejected", 1),
            ("verdict=undone", 1),
            ("verdict=by_rule", 3),
            ("verdict=of_people", 5),
            ("kind=defer", 1),
            ("kind=proposals", 10),
            ("model=gemma", 1),
            ("model=", 0),
            ("via__exact=key", 2),
            ("decided=1", 8),
            ("decided=2001-01-01", 0),
            ("workspace=team", 11),
            ("workspace=elsewhere", 0),
            ("timed=yes", 0),
        ],
    )
    def test_by(self, some, owner, asked, count):
        assert listed(browser(owner), f"{OPERATIONS}?{asked}") == count

    def test_by_rule(self, some, decided, owner, workspace, rule):
        other = create_rule(workspace, actor=owner, name="Other", action_json={"kind": "librarian_structure"})
        run = Run.objects.create(workspace=workspace, rule=other, trigger="manual")
        decided("accepted", 4, of=run)
        client = browser(owner)
        assert listed(client, f"{OPERATIONS}?rule={other.pk}") == 4
        assert listed(client, f"/admin/automation/run/?rule={other.pk}") == 1

    @pytest.mark.parametrize(
        "asked", ["verdict=never", "decided=soon", "decided=99999999999", "decided=9999-12-31", "rule=1", "kind=%00"]
    )
    def test_what_cannot_be_is_refused(self, some, owner, asked):
        response = browser(owner).get(f"{OPERATIONS}?{asked}")
        assert response.status_code == 400 or response.url == f"{OPERATIONS}?e=1"


class TestRows:
    def test_lead_to_the_operation_and_say_what_became_of_it(self, some, owner):
        html = page(browser(owner), OPERATIONS)
        for operation in Operation.objects.all():
            assert f'href="/admin/review/{operation.pk}/"' in html
        cells = re.findall(r'<td class="field-state">([^<]+)</td>', html)
        assert sorted(cells) == sorted(
            ["accepted"] * 2
            + ["edited first", "rejected", "undone", "rejected by a check"]
            + ["applied by a rule"] * 3
            + ["pending"] * 2
        )

    def test_no_text_becomes_markup(self, decided, owner):
        decided("accepted", target_path="<script>alert(1)</script>.md", model="<b>bold</b>")
        html = page(browser(owner), f"{OPERATIONS}?model=<b>bold</b>")
        assert "<script>alert(1)" not in html
        assert "<b>bold" not in html
        assert "<b>bold</b>" in unescape(text(html))

    def test_cost_no_queries(self, some, decided, owner):
        client = browser(owner)

        def asked():
            with CaptureQueriesContext(connection) as queries:
                client.get(OPERATIONS)
            return len(queries)

        before = asked()
        decided("accepted", 60, model=str(uuid4()))
        assert asked() == before
