"""Jobs as people watch them: progress that moves by itself, pages that are whole when a job has ended."""

import re
from datetime import timedelta
from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from automation.models import Run
from automation.services import cancel_run, launch_rule
from exports.models import ExportJob
from exports.services import request_markdown_export
from kjxlkj.jobs import transitions
from kjxlkj.jobs.models import Canary
from kjxlkj.jobs.services import execute
from kjxlkj.jobs.transitions import Progress
from kjxlkj.workspaces.models import Membership
from tests.browser.conftest import CONTRAST, nothing_sideways

RUNS, EXPORTS, WORKERS = "/admin/automation/run/", "/admin/exports/exportjob/", "/admin/workers/"


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.DATA_DIR = settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def launch(rule, notes, owner):
    return lambda: launch_rule(rule, actor=owner).runs[0]


@pytest.fixture
def order(workspace, notes, owner):
    return lambda: request_markdown_export(workspace, actor=owner)


@pytest.fixture(params=["run", "export"])
def job(request, launch, order):
    return launch() if request.param == "run" else order()


def page_of(job):
    return reverse(f"admin:{job._meta.app_label}_{job._meta.model_name}_change", args=[job.pk])


def claim(job, owner=""):
    """Take it as a worker does; returns how that worker reports."""
    token = uuid4()
    assert transitions.claim(type(job), job.pk, token)
    if owner:
        type(job).objects.filter(pk=job.pk).update(lease_owner=owner)
    return lambda *progress: transitions.renew(type(job), job.pk, token, Progress(*progress))


def give_back(job, **values):
    transitions.give_back(type(job), "id = %(pk)s", pk=job.pk, **values)


def work(job):
    """What a worker does, at the same time as the page is looked at."""

    def run():
        try:
            execute(job._meta.label_lower, job.pk)
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    return thread


def test_progress_moves_and_the_page_is_whole_when_the_job_has_ended(visit, owner, job):
    page = visit(owner)
    page.goto(page_of(job))
    progress, news = page.locator("#job-progress"), page.locator("#job-news")
    expect(progress).to_contain_text("Queued")
    page.evaluate("window.notReloaded = true")
    report = claim(job)
    expect(progress).to_contain_text("Running")
    expect(news).to_have_text("Running.")
    for done in (1, 2):
        report(done, 3, "notes")
        expect(progress).to_contain_text(f"Notes: {done} of 3")
        expect(progress.locator("progress")).to_have_js_property("value", done)
    give_back(job, code="timeout", detail="The other side did not answer.", delay=0)
    expect(progress).to_contain_text("Back in the queue: timeout")
    expect(page.get_by_role("button", name="Cancel the")).to_be_visible()
    thread = work(job)
    expect(news).to_have_text("Succeeded.", timeout=15_000)
    thread.join()
    expect(page.locator("#job-progress[hx-get]")).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel the")).to_have_count(0)
    if isinstance(job, ExportJob):
        expect(page.get_by_role("link", name="Download")).to_be_visible()
    else:
        expect(page.get_by_role("heading", name="What happened")).to_be_visible()
        expect(page.locator("#job")).not_to_contain_text("Nothing yet.")
    assert page.evaluate("window.notReloaded")


def test_a_job_that_failed_offers_to_be_tried_again(visit, owner, job):
    page = visit(owner)
    page.goto(page_of(job))
    page.get_by_role("button", name="Cancel the").click()
    expect(page.locator(".messagelist")).to_contain_text("is cancelled")
    expect(page.locator("#job-progress")).to_contain_text("CANCELLED")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#job-progress")).to_contain_text("Queued")


def test_an_announcement_is_made_of_a_status_alone(visit, owner, launch):
    run = launch()
    report = claim(run)
    page = visit(owner)
    page.goto(page_of(run))
    page.evaluate(
        """() => { window.said = 0;
        new MutationObserver(() => window.said++).observe(
            document.getElementById("job-news"), {childList: true, characterData: true, subtree: true}) }"""
    )
    for done in (1, 2, 3):
        report(done, 3, "notes")
        expect(page.locator("#job-progress")).to_contain_text(f"Notes: {done} of 3")
    assert page.evaluate("window.said") == 0
    assert page.locator("[aria-live], [role=status], [role=alert], [role=log]").count() == 1


def test_a_list_tells_of_all_its_jobs_by_one_request(visit, owner, launch):
    runs = [launch() for _ in range(3)]
    page = visit(owner)
    page.goto(RUNS)
    asked = []
    page.on("request", lambda request: "/live/" in request.url and asked.append(request.url))
    rows = [page.locator(f"#state-{run.pk}") for run in runs]
    box = page.locator("#result_list .action-select").first
    box.check()
    claim(runs[0])(5, 8, "notes")
    expect(rows[0]).to_contain_text("Notes: 5 of 8")
    execute("automation.run", runs[1].pk)
    expect(rows[1]).to_contain_text("Succeeded")
    expect(page.locator("#live-news")).to_have_text("Run of “R”: Succeeded.")
    expect(rows[2]).to_contain_text("Queued")
    expect(box).to_be_checked()
    assert all(url.count("job=") >= 2 for url in asked)
    for run in runs[::2]:
        cancel_run(run, actor=owner)
    give_back(runs[0], code="X", detail="")
    expect(rows[0]).to_contain_text("CANCELLED")
    expect(page.locator("#live[hx-get]")).to_have_count(0)


def test_an_archive_comes_into_the_list_by_itself(visit, owner, order):
    job = order()
    page = visit(owner)
    page.goto(EXPORTS)
    execute("exports.exportjob", job.pk)
    link = page.locator(f"#artifact-{job.pk} a")
    expect(link).to_be_visible()
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename.endswith(".zip")


def test_without_javascript_a_reload_shows_the_same(visit, owner, job):
    page = visit(owner, java_script_enabled=False)
    report = claim(job)
    report(1, 3, "notes")
    page.goto(page_of(job))
    expect(page.locator("#job-progress")).to_contain_text("Notes: 1 of 3")
    page.goto(page_of(job).partition(str(job.pk))[0])
    expect(page.locator(f"#state-{job.pk}")).to_contain_text("Notes: 1 of 3")
    page.get_by_role("checkbox").nth(1).check()
    page.locator("select[name=action]").select_option("cancel_selected")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("cancelled")
    expect(page.locator(f"#state-{job.pk}")).to_contain_text("to be cancelled")


@pytest.mark.parametrize("lost", ["membership", "session"])
def test_who_has_lost_the_right_is_told_and_polling_ends(visit, viewer, launch, lost):
    run = launch()
    page = visit(viewer)
    page.goto(page_of(run))
    asked = []
    page.on("request", lambda request: "/progress/" in request.url.partition("?")[0] and asked.append(request.url))
    if lost == "membership":
        Membership.objects.filter(user=viewer).delete()
    else:
        page.context.clear_cookies()
    told = page.get_by_role("alert")
    expect(told).to_contain_text("may not see it any more" if lost == "membership" else "You are logged out")
    expect(page.locator("[hx-get]")).to_have_count(0)
    assert len(asked) == 1
    if lost == "session":
        assert page_of(run).replace("/", "%2F") in told.get_by_role("link").get_attribute("href")
    # The browser itself complains of such an answer, in its console.
    assert [each for each in visit.complaints if "CSP" in each or "Content Security" in each] == []
    visit.complaints.clear()


def test_a_server_that_is_away_spoils_nothing(visit, owner, launch):
    run = launch()
    page = visit(owner)
    page.goto(page_of(run))
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.route("**/progress/**", lambda route: route.abort("connectionrefused"))
    with page.expect_event("requestfailed"):
        pass
    expect(page.locator("#job-progress")).to_contain_text("Queued")
    page.unroute("**/progress/**")
    page.route("**/progress/**", lambda route: route.fulfill(status=502, body="<p>Bad gateway</p>"))
    with page.expect_event("response", lambda response: response.status == 502):
        pass
    expect(page.locator("#job-progress")).to_contain_text("Queued")
    expect(page.get_by_text("Bad gateway")).to_have_count(0)
    page.unroute("**/progress/**")
    claim(run)
    expect(page.locator("#job-progress")).to_contain_text("Running")
    assert failed
    visit.complaints.clear()


@pytest.fixture
def busy_instance(settings, launch, order, owner):
    """Clusters in every state, jobs in every state."""
    settings.JOB_QUEUES = {"default": 2, "llm": 8, "long": 1}
    now = timezone.now()
    for name, queue, workers, answered in [
        ("notes-1.example.org:2211:a1b2c3:default", "default", 2, 2),
        ("notes-1.example.org:2211:a1b2c3:long", "long", 1, 70),
        ("notes-2.example.org:31007:0d9e8f:llm", "llm", 8, 3),
        ("notes-3.example.org:412:77aa88:default", "default", 4, 55),
    ]:
        Canary.objects.create(
            cluster=name,
            queue=queue,
            workers=workers,
            asked_at=now,
            answered_at=now - timedelta(seconds=answered),
            well_at=now - timedelta(seconds=answered),
        )
    for number in range(24):
        run = launch()
        if number % 5 == 0:
            cancel_run(run, actor=owner)
        else:
            execute("automation.run", run.pk)
        finished = now - timedelta(minutes=(number * 7) % 56)
        took = timedelta(seconds=number / 3)
        Run.objects.filter(pk=run.pk).update(finished_at=finished, started_at=finished - took)
    back = launch()
    claim(back)
    give_back(back, code="rate_limited", detail="The provider asks to wait.", delay=75)
    running, export, _ = launch(), order(), launch()
    claim(running, "notes-1.example.org:2211:a1b2c3:default/2298")(12, 40, "notes")
    claim(export, "notes-1.example.org:2211:a1b2c3:long/2301")(1300, 9000, "files")
    return {"running": running, "export": export, "back": back}


def test_the_page_of_workers_is_live(visit, superuser, busy_instance):
    page = visit(superuser)
    page.goto("/admin/")
    page.get_by_role("navigation", name="Site").get_by_role("link", name="Workers").click()
    running = busy_instance["running"]
    table = page.get_by_role("region", name="At work now")
    expect(table).to_contain_text("Notes: 12 of 40")
    page.get_by_text("The last hour as a table").click()
    link = page.locator(f"#work-{running.pk}")
    link.focus()
    Run.objects.filter(pk=running.pk).update(progress_done=30)
    expect(table).to_contain_text("Notes: 30 of 40", timeout=10_000)
    # What a person was at is as it was.
    expect(link).to_be_focused()
    expect(page.locator("#throughput")).to_be_visible()
    assert page.locator("[aria-live], [role=status], [role=log]").count() == 0
    before = page.locator("#throughput").inner_text()
    assert re.search(r"\d", before)
    execute("automation.run", Run.objects.filter(status="queued", not_before=None).first().pk)
    expect(page.locator("#throughput")).not_to_have_text(before, timeout=10_000)
    link.click()
    expect(page).to_have_url(re.compile(str(running.pk)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_every_page_of_jobs_fits(visit, superuser, busy_instance, scheme, width):
    page = visit(superuser, viewport={"width": width, "height": 700}, color_scheme=scheme)
    pages = [page_of(job) for job in busy_instance.values()]
    pages += [RUNS, EXPORTS, WORKERS, "/admin/"]
    pages += [f"/admin/django_q/{name}/" for name in ("ormq", "failure", "success", "schedule")]
    for url in pages:
        with nothing_sideways(page):
            page.goto(url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_of_jobs_stand_out_from_their_ground(visit, superuser, busy_instance, scheme):
    page = visit(superuser, color_scheme=scheme, reduced_motion="reduce")
    for url in [*(page_of(job) for job in busy_instance.values()), RUNS, EXPORTS, WORKERS, "/admin/"]:
        page.goto(url)
        assert page.evaluate(CONTRAST) == [], url


@pytest.mark.parametrize("width", [1280, 375])
def test_a_superuser_backs_up_everything_and_sees_what_is_in_it(visit, order, superuser, width):
    order()
    page = visit(superuser, viewport={"width": width, "height": 900})
    with nothing_sideways(page):
        page.goto(EXPORTS)
    page.get_by_role("button", name="Back up the database (SQL)").click()
    expect(page.get_by_text("The SQL backup is ordered.")).to_be_visible()
    job = ExportJob.objects.get(kind="sql")
    execute("exports.exportjob", job.pk)
    page.goto(f"{EXPORTS}{job.pk}/change/")
    with nothing_sideways(page):
        page.get_by_text("Tables (").click()
        expect(page.get_by_role("row", name="public.notes_note 3")).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("Download")).click()
    assert download.value.path().read_bytes()[:5] == b"PGDMP"
