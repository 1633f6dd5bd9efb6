"""Runs and exports in the admin as they go on: what a poll is answered, and buttons for one and for many."""

import re
from datetime import timedelta
from html import unescape
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automation.models import Run
from automation.services import cancel_run, create_rule, launch_rule
from exports.models import ExportJob
from exports.services import cancel_export, request_markdown_export
from kjxlkj.jobs import transitions
from kjxlkj.jobs.services import execute
from kjxlkj.jobs.transitions import Progress
from kjxlkj.workspaces.models import Membership
from kjxlkj.workspaces.services import create_workspace, set_member

pytestmark = pytest.mark.django_db(transaction=True)

RUNS, EXPORTS = "/admin/automation/run/", "/admin/exports/exportjob/"


def browser(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def html(response):
    return unescape(response.content.decode())


def poll(client, page):
    """What htmx would ask, going by `page`, and the answer."""
    return client.get(poll_url(page), headers={"HX-Request": "true"})


def poll_url(page):
    found = re.search(r'hx-get="([^"]+)"', page)
    return found and found[1]


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = settings.DATA_DIR = tmp_path


@pytest.fixture
def rule(workspace, owner, make_note):
    make_note("A", body="# Text\n")
    return create_rule(workspace, actor=owner, name="Tidy", action_json={"kind": "librarian_structure"})


@pytest.fixture
def launch(rule, owner):
    return lambda: launch_rule(rule, actor=owner).runs[0]


@pytest.fixture
def order(workspace, owner):
    return lambda: request_markdown_export(workspace, actor=owner)


def claim(job) -> UUID:
    token = uuid4()
    assert transitions.claim(type(job), job.pk, token)
    return token


def page_of(job):
    return reverse(f"admin:{job._meta.app_label}_{job._meta.model_name}_change", args=[job.pk])


@pytest.fixture(params=["run", "export"])
def job(request, launch, order):
    return launch() if request.param == "run" else order()


class TestOnItsOwnPage:
    def test_progress_is_told_and_asked_for_again(self, owner, job):
        client = browser(owner)
        page = html(client.get(page_of(job)))
        assert "Queued" in page
        token = claim(job)
        transitions.renew(type(job), job.pk, token, Progress(12, 40, "notes"))
        answer = poll(client, page)
        assert (answer.status_code, poll_url(html(answer)) != poll_url(page)) == (200, True)
        assert '<progress aria-label="Progress" value="12" max="40">' in html(answer)
        assert "Notes: 12 of 40" in html(answer)
        assert "1 of 3" in html(answer)
        assert "<html" not in html(answer)

    def test_what_a_plain_reload_shows_is_the_same(self, owner, job):
        transitions.renew(type(job), job.pk, claim(job), Progress(12, 40, "notes"))
        page = html(browser(owner).get(page_of(job)))
        assert "Notes: 12 of 40" in page

    def test_nothing_new_is_answered_with_nothing(self, owner, job):
        client = browser(owner)
        answer = poll(client, html(client.get(page_of(job))))
        assert (answer.status_code, answer.content) == (204, b"")

    def test_a_status_is_announced_once_and_progress_never(self, owner, job):
        client = browser(owner)
        page = html(client.get(page_of(job)))
        token = claim(job)
        running = html(poll(client, page))
        assert '<p id="job-news" hx-swap-oob="innerHTML">Running.</p>' in running
        transitions.renew(type(job), job.pk, token, Progress(1, 2, "notes"))
        assert "job-news" not in html(poll(client, running))

    def test_the_last_answer_brings_the_rest_of_the_page_and_asks_no_more(self, owner, job):
        client = browser(owner)
        page = html(client.get(page_of(job)))
        execute(job._meta.label_lower, job.pk)
        answer = poll(client, page)
        assert answer["HX-Retarget"] == answer["HX-Reselect"] == "#job"
        told = html(answer)
        assert poll_url(told) is None
        assert 'hx-swap-oob="innerHTML">Succeeded.</p>' in told
        assert ("Download" if isinstance(job, ExportJob) else "What happened") in told
        assert "Cancel the" not in told

    def test_the_last_answer_leaves_messages_to_the_next_page(self, owner, job):
        client = browser(owner)
        page = html(client.get(page_of(job)))
        client.post(page_of(job).replace("change", "cancel"))
        assert "is cancelled" not in html(poll(client, page))
        assert "is cancelled" in html(client.get(page_of(job)))

    def test_what_sent_it_back_and_when_it_is_tried_again(self, owner, job):
        token = claim(job)
        with_token = {"pk": job.pk, "token": token}
        transitions.give_back(
            type(job),
            "id = %(pk)s AND lease_token = %(token)s",
            code="rate_limited",
            detail="Too fast.",
            delay=90,
            **with_token,
        )
        job.refresh_from_db()
        page = html(browser(owner).get(page_of(job)))
        for told in ("rate_limited", "Too fast.", f"{job.not_before:%H:%M:%S}", "Back in the queue", "1 of 3"):
            assert told in page

    def test_what_waits_for_its_time_says_so(self, owner, launch):
        run = launch()
        Run.objects.filter(pk=run.pk).update(not_before=timezone.now() + timedelta(hours=1))
        assert "starts at" in html(browser(owner).get(page_of(run)))

    def test_who_has_lost_the_right_is_told_and_asks_no_more(self, viewer, admin, owner, workspace, launch, order):
        run, export = launch(), order()
        client, ordered = browser(viewer), browser(admin)
        page, other = html(client.get(page_of(run))), html(ordered.get(page_of(export)))
        Membership.objects.filter(user=viewer).delete()
        set_member(workspace, admin, "editor", actor=owner)
        for answer in (poll(client, page), poll(ordered, other)):
            assert answer.status_code == 404
            assert "you may not see it any more" in html(answer)
            assert poll_url(html(answer)) is None

    def test_who_is_logged_out_is_told_and_led_back(self, viewer, launch):
        run = launch()
        client = browser(viewer)
        page = html(client.get(page_of(run)))
        client.logout()
        headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page_of(run)}"}
        answer = client.get(poll_url(page), headers=headers, follow=True)
        assert (answer.status_code, answer["HX-Reselect"]) == (403, "#lost")
        assert "logged out" in html(answer)
        assert page_of(run).replace("/", "%2F") in html(answer)
        assert client.get(page_of(run)).status_code == 302

    def test_a_malformed_poll_is_answered_with_the_whole(self, owner, job):
        where = page_of(job).replace("change", "progress")
        for odd in ("", "?job=nonsense", "?job=a.b.c", "?job=", f"?job={job.pk}", f"?job={job.pk}.queued.0.0"):
            answer = browser(owner).get(f"{where}{odd}", headers={"HX-Request": "true"})
            assert answer.status_code == 200
            assert "Queued" in html(answer)
        assert browser(owner).post(where).status_code == 405

    def test_a_poll_takes_few_queries(self, owner, job, django_assert_max_num_queries):
        client = browser(owner)
        page = html(client.get(page_of(job)))
        claim(job)
        with django_assert_max_num_queries(4):
            poll(client, page)


class TestOnAList:
    def test_one_poll_tells_of_every_unfinished_job(self, owner, launch):
        runs = [launch() for _ in range(4)]
        cancel_run(runs[0], actor=owner)
        client = browser(owner)
        page = html(client.get(RUNS))
        assert [str(run.pk.hex) in poll_url(page) for run in runs] == [False, True, True, True]
        transitions.renew(Run, runs[1].pk, claim(runs[1]), Progress(3, 9, "notes"))
        execute("automation.run", runs[2].pk)
        answer = html(poll(client, page))
        cells = re.findall(r'<div id="state-([^"]+)" class="state" hx-swap-oob="true">', answer)
        assert set(cells) == {str(runs[1].pk), str(runs[2].pk)}
        assert "Notes: 3 of 9" in answer
        assert [str(run.pk.hex) in poll_url(answer) for run in runs] == [False, True, False, True]
        # Ends are announced, and nothing else.
        assert 'hx-swap-oob="innerHTML">Run of “Tidy”: Succeeded.</p>' in answer
        assert poll(client, answer).status_code == 204

    def test_polling_ends_with_the_last_of_them(self, owner, launch):
        run = launch()
        client = browser(owner)
        page = html(client.get(RUNS))
        execute("automation.run", run.pk)
        assert poll_url(html(poll(client, page))) is None
        assert poll_url(html(client.get(RUNS))) is None

    def test_the_file_appears_in_its_row(self, owner, order):
        job = order()
        client = browser(owner)
        page = html(client.get(EXPORTS))
        execute("exports.exportjob", job.pk)
        answer = html(poll(client, page))
        assert f'<div id="artifact-{job.pk}"' in answer
        assert f"{EXPORTS}{job.pk}/download/" in answer
        assert "Export of Team: Succeeded." in answer

    def test_rows_of_others_are_not_told(self, owner, outsider, viewer, launch, order):
        run, export = launch(), order()
        of_run, of_export = (poll_url(html(browser(owner).get(page))) for page in (RUNS, EXPORTS))
        answer = browser(outsider).get(of_run)
        assert "Tidy" not in html(answer)
        assert f'<div id="state-{run.pk}"' in html(answer)
        assert "not for you to see" in html(answer)
        assert poll_url(html(answer)) is None
        refused = browser(viewer).get(of_export)
        assert (refused.status_code, "You may not see this list" in html(refused)) == (403, True)
        assert str(export.pk) not in html(refused)

    def test_a_malformed_poll_ends(self, owner, launch):
        launch()
        answer = browser(owner).get(f"{RUNS}live/?job=x&job=1.2.3&job=")
        assert (answer.status_code, poll_url(html(answer))) == (200, None)

    def test_the_queries_are_as_many_for_many_rows(self, owner, launch, connection_queries):
        client = browser(owner)
        counts = []
        for number in (2, 12):
            runs = [launch() for _ in range(number)]
            page = html(client.get(RUNS))
            for run in runs:
                claim(run)
            counts.append(
                (connection_queries(lambda: client.get(RUNS)), connection_queries(lambda page=page: poll(client, page)))
            )
        assert counts[0] == counts[1]
        assert counts[0][1] <= 4

    def test_an_address_of_a_full_page_is_one_that_servers_take(self, owner, launch):
        for _ in range(55):
            launch()
        url = poll_url(html(browser(owner).get(f"{RUNS}?all=")))
        assert url.count("job=") == 50
        assert len(url) < 4000

    def test_failures_of_one_code_are_a_link_away(self, owner, launch):
        gone, waiting = launch(), launch()
        cancel_run(gone, actor=owner)
        page = html(browser(owner).get(f"{RUNS}?status__exact=failed&error_code=CANCELLED"))
        assert str(gone.pk) in page
        assert str(waiting.pk) not in page


class TestButtons:
    def test_an_export_is_cancelled_and_tried_again(self, admin, order):
        job = order()
        client = browser(admin)
        assert "Cancel the export" in html(client.get(page_of(job)))
        answer = client.post(f"{EXPORTS}{job.pk}/cancel/", follow=True)
        assert "The export is cancelled." in html(answer)
        assert "CANCELLED" in html(answer)
        assert "Try again" in html(answer)
        answer = client.post(f"{EXPORTS}{job.pk}/retry/", follow=True)
        again = ExportJob.objects.exclude(pk=job.pk).get()
        assert answer.redirect_chain[-1][0] == page_of(again)
        assert again.created_by == admin

    def test_a_running_job_is_only_asked_to_stop(self, owner, job):
        claim(job)
        answer = browser(owner).post(page_of(job).replace("change", "cancel"), follow=True)
        assert "to be cancelled" in html(answer)
        job.refresh_from_db()
        assert (job.status, job.cancel_requested) == ("running", True)

    @pytest.mark.parametrize("action", ["cancel", "retry"])
    def test_what_is_too_late_is_refused_in_words(self, owner, order, action):
        job = order()
        execute("exports.exportjob", job.pk)
        answer = browser(owner).post(f"{EXPORTS}{job.pk}/{action}/", follow=True)
        assert ("finished" if action == "cancel" else "only a failed export") in html(answer)
        assert ExportJob.objects.count() == 1

    @pytest.mark.parametrize("role", ["editor", "viewer", "outsider"])
    @pytest.mark.parametrize("action", ["cancel", "retry"])
    def test_nobody_else_finds_an_export(self, request, order, role, action):
        job = order()
        answer = browser(request.getfixturevalue(role)).post(f"{EXPORTS}{job.pk}/{action}/")
        assert answer.status_code == 404
        job.refresh_from_db()
        assert job.status == "queued"
        assert ExportJob.objects.count() == 1

    def test_a_backup_is_the_business_of_superusers(self, superuser, owner):
        backup = ExportJob.objects.create(kind="sql")
        assert "Cancel the export" in html(browser(superuser).get(page_of(backup)))
        assert browser(owner).post(f"{EXPORTS}{backup.pk}/cancel/").status_code == 404


def select(client, where, action, jobs):
    return html(client.post(where, {"action": action, "_selected_action": [str(job.pk) for job in jobs]}, follow=True))


class TestMany:
    def test_each_is_cancelled_or_refused_alone(self, admin, owner, launch):
        runs = [launch() for _ in range(3)]
        cancel_run(runs[1], actor=owner)
        page = select(browser(admin), RUNS, "cancel_selected", runs)
        assert {run.status for run in Run.objects.all()} == {"failed"}
        assert "2 runs: cancelled" in page
        assert "1 refused. “Tidy”" in page
        assert "nothing left to cancel" in page

    def test_each_failed_one_is_tried_again(self, admin, owner, launch):
        runs = [launch() for _ in range(3)]
        for run in runs[:2]:
            cancel_run(run, actor=owner)
        page = select(browser(admin), RUNS, "retry_selected", runs)
        assert Run.objects.filter(trigger="retry").count() == 2
        assert "2 runs: tried again" in page
        assert "1 refused. “Tidy”" in page

    def test_exports_likewise(self, admin, owner, order):
        jobs = [order() for _ in range(2)]
        cancel_export(jobs[0], actor=owner)
        client = browser(admin)
        assert "1 export: tried again" in select(client, EXPORTS, "retry_selected", jobs)
        page = select(client, EXPORTS, "cancel_selected", jobs)
        assert "1 export: cancelled" in page
        assert "1 refused. Team" in page

    def test_long_lists_of_refusals_are_cut(self, admin, owner, launch):
        runs = [launch() for _ in range(8)]
        page = select(browser(admin), RUNS, "retry_selected", runs)
        assert "8 refused." in page
        assert "And 3 more." in page

    def test_who_may_not_is_not_offered_it(self, viewer, outsider, launch):
        run = launch()
        assert "cancel_selected" not in html(browser(viewer).get(RUNS))
        for user in (viewer, outsider):
            select(browser(user), RUNS, "cancel_selected", [run])
            run.refresh_from_db()
            assert run.status == "queued"

    def test_the_right_is_that_of_each_rows_workspace(self, editor, workspace, launch):
        """Who manages another workspace is offered the action, and refused here."""
        create_workspace(slug="own", name="Own", owner=editor)
        run = launch()
        assert "1 refused." in select(browser(editor), RUNS, "cancel_selected", [run])
        run.refresh_from_db()
        assert run.status == "queued"
