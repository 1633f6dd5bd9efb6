"""WCAG 2.2 AA on every page, wide and light, at 320 pixels and dark: by axe-core, and by what has the focus.

A new page is one line in PAGES. What its address needs is named there and made in `places`.
"""

import io

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from automation.services import create_rule
from exports.audit import record
from exports.models import AuditAction, ExportJob
from exports.services import request_markdown_export
from kjxlkj.notes.attachments import content_of, save_attachments, store
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Attachment, Note
from kjxlkj.notes.services import update_note
from kjxlkj.workspaces.models import Membership
from kjxlkj.workspaces.services import new_setup_token
from librarian.batches import decide_together
from librarian.models import Disclosure, Exchange, RunReport
from tests.browser.axe import faults
from tests.browser.conftest import nothing_sideways
from tests.exports.conftest import finished
from tests.librarian.conftest import op
from tests.notes.test_attachment_pages import PNG

# What can have the focus and does not show it, after a key: by an outline of two pixels at least, within the window.
UNSEEN = """() => {
  const seen = color => color !== "transparent" && !/, 0\\)$/.test(color);
  const can = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  const bad = [];
  let stops = 0;
  for (const e of document.querySelectorAll(can)) {
    if (e.disabled || e.tabIndex < 0 || !e.checkVisibility()) continue;
    e.focus();
    if (document.activeElement !== e) continue;
    stops += 1;
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && seen(style.outlineColor);
    const shown = box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0 && box.left < innerWidth
      && box.top < innerHeight;
    const name = (e.textContent || e.name || "").trim().slice(0, 30);
    if (!outlined || !shown) bad.push(`no focus in sight: ${e.tagName} ${e.className} ${name}`);
  }
  return [stops, bad];
}"""

MOVING = """() => [...document.querySelectorAll("*")].flatMap(e => ["", "::before", "::after"].map(part => [e, part]))
  .filter(([e, part]) => { const style = getComputedStyle(e, part);
    return /[1-9]/.test(style.transitionDuration) || style.animationName !== "none"; })
  .map(([e, part]) => `${e.tagName}.${e.className}${part}`)"""

# The name of an address, with a query where it takes one, and the places that it leads to.
PAGES = [
    ("admin:index",),
    ("admin:review_queue",),
    ("admin:review_queue?sort=risk&single=1",),
    ("admin:review_bulk?kind=retag_note",),
    ("admin:review_batches",),
    ("admin:review_batch", "batch"),
    ("admin:review_note", "rewrite"),
    ("admin:review_side", "rewrite"),
    ("admin:review_versions", "rewrite"),
    ("admin:librarian_operation_changelist",),
    ("admin:review_run", "run"),
    ("admin:review_report", "run"),
    ("admin:review_exchange", "run", "exchange"),
    ("admin:review_operation", "retag"),
    ("admin:review_operation", "rewrite"),
    ("admin:review_operation", "decided"),
    ("admin:review_acceptance",),
    ("admin:librarian_prompts", "workspace"),
    ("admin:librarian_disclosure_changelist",),
    ("admin:review_edit", "retag"),
    ("admin:review_edit", "relink"),
    ("admin:notes_note_changelist?q=alpha",),
    ("admin:notes_note_changelist?tag=one",),
    ("admin:notes_note_add",),
    ("admin:notes_note_change", "alpha"),
    ("admin:notes_note_edit", "alpha"),
    ("admin:notes_note_version", "alpha", "version"),
    ("admin:notes_note_compare?old=1&new=3", "alpha"),
    ("admin:notes_attachment_changelist",),
    ("admin:notes_attachment_change", "picture"),
    ("admin:automation_rule_changelist",),
    ("admin:automation_rule_recipes",),
    ("admin:automation_rule_add",),
    ("admin:automation_rule_change", "rule"),
    ("admin:automation_rule_confirm", "rule"),
    ("admin:automation_run_changelist",),
    ("admin:automation_run_change", "run"),
    ("admin:exports_exportjob_changelist",),
    ("admin:exports_exportjob_change", "export"),
    ("admin:exports_exportjob_change", "backup"),
    ("admin:exports_exportjob_change", "check"),
    ("admin:exports_exportjob_delete_file", "backup"),
    ("admin:exports_auditentry_changelist?action__exact=downloaded",),
    ("admin:exports_auditentry_change", "audited"),
    ("admin:workers",),
    ("admin:workspaces_workspace_changelist",),
    ("admin:workspaces_workspace_add",),
    ("admin:workspaces_workspace_change", "workspace"),
    ("admin:workspaces_membership_changelist",),
    ("admin:workspaces_membership_add",),
    ("admin:workspaces_membership_change", "membership"),
    ("admin:workspaces_user_changelist",),
    ("admin:workspaces_user_change", "owner"),
    ("admin:workspaces_workspaceevent_changelist",),
    ("admin:password_change",),
]


@pytest.fixture
def operations(propose, notes):
    return propose(
        op("retag_note", notes["alpha"], tags=("one", "two")),
        op("retitle_note", notes["beta"], title="Betamax"),
        op("relink_note", notes["alpha"], links=[("Gamma plan", "Gamma plan")]),
        op("rewrite_note", notes["gamma"], body_markdown="Other plans.\n"),
        op("create_note", target_path="new/n.md", title="New", body_markdown="# New\n\n- [x](https://example.org)\n"),
        op("defer", notes["beta"], reason="Which?"),
        # Alike, and so a group.
        op("retag_note", notes["beta"], tags=("shared",)),
        op("retag_note", notes["gamma"], tags=("plan", "shared")),
    )


@pytest.fixture
def places(workspace, owner, notes, rule, run, operations, decided, settings, tmp_path):
    settings.DATA_DIR = settings.MEDIA_ROOT = tmp_path
    picture = store(content_of(lambda: io.BytesIO(PNG)), lambda: io.BytesIO(PNG))
    save_attachments(workspace.pk, [("img/alpha.png", picture), ("copy.png", picture)])
    update_note(
        notes["alpha"],
        base_version=1,
        cause=by(owner, "Better"),
        body="Alpha, **new**. [[Beta]], [[No]]. ![[alpha.png]]\n",
    )
    update_note(
        notes["alpha"],
        base_version=2,
        cause=by(owner),
        title="Alpha one",
        tags=["two"],
        front_matter="---\na: 1\n---\n",
    )
    update_note(notes["gamma"], base_version=1, cause=by(owner), body="Plans, and more of them.\n")
    create_rule(
        workspace,
        actor=owner,
        name="Off",
        action_json={"kind": "librarian_structure"},
        condition_json={"any": [{"tag": "one"}, {"path_prefix": "docs/"}]},
    )
    RunReport.objects.create(run=run, provider_kind="chat", model="qwen3", parser_version="1", warnings=[])
    exchange = Exchange.objects.create(
        run=run, stage="propose", index=0, provider_kind="chat", model="qwen3", prompt="?" * 2000, response="!\n" * 90,
        answered_at=timezone.now(),
    )  # fmt: skip
    Disclosure.objects.create(
        workspace=workspace, note=notes["alpha"], note_version=1, sha256="0" * 64, part="text", host="models.example",
        run_id=run.pk, exchange_id=exchange.pk,
    )  # fmt: skip
    backup = finished("sql", actor=owner, verified=False)
    difference = {"table": "public.notes_note", "what": "digest", "expected": "0" * 64, "found": "1" * 64}
    ExportJob.objects.filter(pk=backup.pk).update(verification_json={"ok": False, "differences": [difference]})
    return {
        "workspace": workspace.pk,
        "membership": Membership.objects.get(user=owner).pk,
        "owner": owner.pk,
        "alpha": notes["alpha"].pk,
        "picture": Attachment.objects.get(path="img/alpha.png").pk,
        "version": 3,
        "rule": rule.pk,
        "run": run.pk,
        "exchange": exchange.pk,
        "backup": backup.pk,
        "check": ExportJob.objects.create(kind="verify", subject=backup, created_by=owner).pk,
        "audited": record(AuditAction.DOWNLOADED, job=backup, actor=owner, via="api", address="192.0.2.7").pk,
        "export": request_markdown_export(workspace, actor=owner).pk,
        "batch": decide_together([operations[1].pk], "reject", actor=owner, reason="No")[0].pk,
        "retag": operations[0].pk,
        "relink": operations[2].pk,
        "rewrite": operations[3].pk,
        "decided": decided("rejected", target_note=notes["beta"], tags=["x"])[0].pk,
    }


@pytest.fixture
def addresses(places):
    def address(name, *needed):
        route, mark, query = name.partition("?")
        return reverse(route, args=[places[each] for each in needed]) + mark + query

    return [address(*page) for page in PAGES]


def faults_in_all_looks(page, addresses):
    """By fault, the pages that have it. Each is loaded once, and looked at wide and light, narrow and dark."""
    found = {}
    for address in addresses:
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(address)
        of_page = [*faults(page), *unseen_focus(page)]
        of_page += [f"moves: {each}" for each in page.evaluate(MOVING)]
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 320, "height": 640})
        with nothing_sideways(page):
            of_page += [*faults(page), *unseen_focus(page)]
        for fault in of_page:
            found.setdefault(fault, set()).add(address)
    return "\n\n".join(f"{fault}\n  on {', '.join(sorted(pages))}" for fault, pages in found.items())


def unseen_focus(page):
    page.keyboard.press("Tab")  # else a focus that is set by a script does not show
    stops, unseen = page.evaluate(UNSEEN)
    assert stops > 2, page.url
    return unseen


def test_every_page_is_without_fault_shows_the_focus_and_keeps_still(visit, superuser, addresses):
    found = faults_in_all_looks(visit(superuser), addresses)
    assert not found, found


def test_axe_finds_no_fault_before_the_login(visit, editor):
    page = visit(editor)
    page.context.clear_cookies()
    found = faults_in_all_looks(page, ["/admin/login/", f"/setup/{new_setup_token()}/"])
    assert not found, found


def test_axe_finds_no_fault_where_somebody_else_was_faster(visit, superuser, places):
    page = visit(superuser)
    page.goto(reverse("admin:notes_note_edit", args=[places["alpha"]]))
    values = {"title": "Theirs", "tags": ["theirs"], "body": "Theirs.\n", "path": "theirs.md", "front_matter": ""}
    update_note(Note.objects.get(pk=places["alpha"]), base_version=3, cause=by(superuser), **values)
    for label in ("Title", "Path", "Tags", "Body"):
        page.get_by_label(label, exact=False).first.fill("mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("changed while you were typing")
    expect(page.get_by_label("Body")).to_have_value("mine")
    assert faults(page) == []
    page.set_viewport_size({"width": 320, "height": 640})
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    with nothing_sideways(page):
        assert faults(page) == []


def test_axe_finds_no_fault_where_a_form_is_refused(visit, superuser, places):
    page = visit(superuser)
    page.goto(reverse("admin:notes_note_compare", args=[places["alpha"]]) + "?old=0&new=9")
    expect(page.get_by_role("alert")).to_have_count(2)
    assert faults(page) == []
    visit.complaints.clear()  # of the 400
    for name, button in (("notes_note_add", "Save"), ("automation_rule_add", "Save")):
        page.goto(reverse(f"admin:{name}"))
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.locator(".errorlist").first).to_be_visible()
        assert faults(page) == []
