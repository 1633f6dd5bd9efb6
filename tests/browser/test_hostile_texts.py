"""Stored XSS: hostile texts wherever notes, rules, people and models can put some, on every page that shows them.

What a page makes of them is looked at in the browser: nothing runs, nothing is asked for elsewhere, nothing but text.
"""

import json
import re
from urllib.parse import urlsplit

import pgtrigger
import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from automation.models import Rule, Run, RunSource
from exports.models import ExportJob
from kjxlkj.jobs.models import JobStatus
from kjxlkj.notes.cause import Cause, by
from kjxlkj.notes.models import Attachment, CauseKind
from kjxlkj.notes.services import NewNote, create_notes, update_note
from kjxlkj.workspaces.services import create_workspace
from librarian.batches import decide_together
from librarian.models import Disclosure, Exchange, Operation, OperationKind, RunReport
from tests.browser.conftest import nothing_sideways
from tests.browser.hostile import TEXTS

NO_SLASHES = str.maketrans("", "", "/\\")
ALL = "\n\n".join(TEXTS.values())

# What an attribute may say of a text: words, or an address that leads somewhere when a person goes there.
FOUND = """() => {
  const words = new Set(["value", "title", "aria-label", "alt", "placeholder", "content", "data-filter-title"]);
  const bad = [];
  for (const e of document.querySelectorAll("*")) {
    for (const {name, value} of e.attributes) {
      const told = `<${e.localName} ${name}="${value.slice(0, 80)}">`;
      if (name.startsWith("on") || name === "style" || name.startsWith("data-hx-")) bad.push(told);
      if (!/PWNED/i.test(value + name) || words.has(name)) continue;
      const links = name === "href" && e.localName === "a" && ["http:", "https:", "mailto:"].includes(e.protocol);
      if (!links || e.target) bad.push(told);
    }
    if (["base", "iframe", "object", "embed", "style", "video", "source", "math", "mglyph"].includes(e.localName)
        || (e.localName === "meta" && e.httpEquiv)
        || (e.localName === "script" && !e.src && e.type !== "application/json")) bad.push(e.outerHTML);
  }
  for (const image of document.images) if (!image.src.startsWith(location.origin + "/static/")) bad.push(image.src);
  for (const form of document.forms) {
    const action = new URL(form.getAttribute("action") || "", location.href);  // its property may be a field's
    if (action.origin !== location.origin) bad.push(action.href);
  }
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  bad.push(...ids.filter((id, place) => ids.indexOf(id) !== place).map(id => `twice: #${id}`));
  if ("PWNED" in window) bad.push("it ran");
  return bad;
}"""


@pytest.fixture
def look(visit, superuser, live_server):
    """Opens pages of the superuser, and keeps what is wrong with them."""
    page = visit(superuser)
    wrong = []
    ours = urlsplit(live_server.url).netloc

    def check_request(request):
        if urlsplit(request.url).netloc != ours or (
            re.search("PWNED", request.url) and not request.is_navigation_request()
        ):
            wrong.append(f"{page.url} asks for {request.url}")

    def refuse_dialog(dialog):
        wrong.append(f"{page.url} says {dialog.message}")
        dialog.dismiss()

    page.on("request", check_request)
    page.on("dialog", refuse_dialog)

    def open_page(name, *args, query="", ready=None):
        page.goto(reverse(f"admin:{name}", args=args) + query)
        if ready:
            expect(page.locator(ready)).not_to_be_empty()
        wrong.extend(f"{page.url}: {each}" for each in page.evaluate(FOUND))
        return page

    yield open_page
    assert not wrong, "\n".join(wrong)


def fitting(text, length=200):
    """For one line of limited length."""
    return " ".join("".join(c for c in text if c >= " " and c != "\x85").split())[:length]


@pytest.fixture
def hostile_notes(workspace, superuser):
    superuser.name = TEXTS["handler"]
    superuser.save()
    type(workspace).objects.filter(pk=workspace.pk).update(name=TEXTS["leaves an attribute"])
    new = [
        NewNote(
            fitting(text),
            f"{text}\n\n- > {text}\n\nsee [[{fitting(TEXTS['script'])}]] {text}\n",
            f"{number}/{fitting(text).translate(NO_SLASHES)}.md",
            [fitting(text, 60)],
            [fitting(text)],
            f"---\nstatus: {json.dumps(text)}\n---\n",
        )
        for number, text in enumerate([*TEXTS.values(), ALL])
    ]
    notes = create_notes(workspace, new, cause=by(superuser, ALL))
    values = {"title": TEXTS["leaves the title"], "body": ALL[3:], "aliases": []}
    update_note(notes[-1], base_version=1, cause=by(superuser, ALL), **values)
    return notes


@pytest.fixture
def hostile_run(workspace, superuser, hostile_notes):
    Rule.objects.bulk_create(
        Rule(
            workspace=workspace,
            created_by=superuser,
            name=fitting(text),
            action_json={"kind": "librarian_structure", "instructions": text},
            condition_json={"tag": fitting(text, 60)},
        )
        for text in TEXTS.values()
    )
    with pgtrigger.ignore():  # as it is at its end, without the way there
        run = Run.objects.create(
            workspace=workspace,
            rule=Rule.objects.get(name=fitting(TEXTS["leaves the title"])),
            trigger="manual",
            created_by=superuser,
            rule_snapshot={"name": ALL, "action_json": {"kind": "librarian_structure", "instructions": ALL}},
            status=JobStatus.FAILED,
            started_at=timezone.now(),
            finished_at=timezone.now(),
            error_code="INTERNAL",
            error_detail=ALL,
            progress_label=TEXTS["script"],
            result_json={
                "outcome": ALL,
                "left_out": [{"note_id": str(hostile_notes[0].pk), "path": ALL, "why": ALL}],
                ALL: ALL,
            },
        )
    RunSource.objects.bulk_create(RunSource(run=run, rule=run.rule, note=note) for note in hostile_notes)
    return run


@pytest.fixture
def proposals(hostile_run, hostile_notes, superuser):
    """One of each kind with all texts in it, waiting and rejected, and a new title for each note."""

    def proposal(number, kind, note, **values):
        return Operation(
            workspace=hostile_run.workspace, run=hostile_run, index=number, operation_id=f"op-{number}", kind=kind,
            target_note=note, target_path=ALL[:1000], body_markdown=ALL, tags=[t[:200] for t in texts],
            links=[{"text": t, "target": t} for t in texts], confidence=0.9, base_version=1, fingerprint=str(number),
            warnings=[t[:200] for t in texts], model=TEXTS["script"], **{"title": ALL[:900], "reason": ALL, **values},
        )  # fmt: skip

    texts = list(TEXTS.values())
    rejected = {"status": "rejected", "reject_code": "REJECTED_BY_PERSON", "reject_reason": ALL,
                "decided_by": superuser, "decided_at": timezone.now()}  # fmt: skip
    kinds = [kind for kind in OperationKind.values if kind != OperationKind.RETITLE]
    made = []
    for values in ({}, rejected):
        for kind in kinds:
            made.append(
                proposal(len(made), kind, hostile_notes[len(made)] if kind != "create_note" else None, **values)
            )
    for note, text in zip(hostile_notes, texts, strict=False):
        made.append(proposal(len(made), OperationKind.RETITLE, note, title=text, reason=text, reject_reason=text))
    for note in hostile_notes[:3]:
        made.append(proposal(len(made), OperationKind.RETAG, note, change_key=ALL[:200]))
    made = Operation.objects.bulk_create(made)
    cause = Cause(CauseKind.OPERATION, superuser, hostile_run.id, made[0].id, ALL)
    update_note(hostile_notes[0], base_version=1, cause=cause, tags=["x"])
    return made


@pytest.fixture
def exchanges(hostile_run):
    RunReport.objects.create(
        run=hostile_run, provider_kind="chat", model=TEXTS["script"], parser_version="1", answers={ALL: 1},
        fallback="offline", warnings=list(TEXTS.values()), prompt_pack_version=TEXTS["handler"][:64],
        failures=[{"index": 0, "code": ALL, "detail": ALL, "note_ids": []}],
    )  # fmt: skip
    return [
        Exchange.objects.create(
            run=hostile_run, stage="propose", index=0, attempt=attempt, provider_kind="chat", model=TEXTS["script"],
            answered_model=TEXTS["handler"], host=TEXTS["base"], system_prompt=ALL, prompt=ALL, response=ALL[attempt:],
            reasoning=ALL, failure="timeout", failure_detail=ALL, finish_reason=TEXTS["style"][:32],
        )
        for attempt in (1, 2)
    ]  # fmt: skip


def test_on_the_pages_of_notes(look, hostile_notes):
    look("notes_note_changelist")
    look("notes_note_changelist", query="?q=PWNED")
    look("notes_note_changelist", query="?tag=%22%3E%3Cimg+src=/PWNED&folder=%22+onfocus=PWNED")
    look("notes_note_add")
    for note in hostile_notes:
        look("notes_note_change", note.pk)
    for note in hostile_notes[-2:]:  # the last says all that the others do
        look("notes_note_version", note.pk, 1)
    look("notes_note_edit", hostile_notes[-1].pk)
    look("notes_note_compare", hostile_notes[-1].pk, query="?old=1&new=2")


def test_in_a_conflict(look, hostile_notes, superuser):
    note = hostile_notes[-1]
    page = look("notes_note_edit", note.pk)
    values = {"body": ALL[9:], "tags": list(TEXTS)[:9], "title": TEXTS["handler"], "path": "", "front_matter": ""}
    update_note(note, base_version=2, cause=by(superuser, ALL), **values)
    page.get_by_label("Body").press("End")
    page.get_by_label("Body").press("x")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("changed while you were typing")
    assert page.evaluate(FOUND) == []


def test_on_the_pages_of_rules_and_runs(look, hostile_run):
    look("automation_rule_changelist")
    look("automation_run_changelist")
    look("automation_run_change", hostile_run.pk)
    for rule in Rule.objects.all()[::4]:
        look("automation_rule_change", rule.pk)
    look("automation_rule_change", rule.pk, ready="#preview-told")
    look("automation_rule_confirm", rule.pk)


def test_on_the_pages_of_the_review(look, workspace, superuser, proposals, exchanges, hostile_run, hostile_notes):
    look("review_queue")
    look("review_queue", query="?sort=risk&single=1&folder=%22%3E%3Cimg+src=/PWNED&model=%22+onfocus=PWNED")
    look("review_bulk", query="?kind=retag_note")
    batch, _ = decide_together([each.pk for each in proposals[-2:]], "reject", actor=superuser, reason=ALL)
    look("review_batches")
    look("review_batch", batch.pk)
    look("librarian_operation_changelist")
    look("index")
    look("review_run", hostile_run.pk)
    look("review_run", hostile_run.pk, query="?status=rejected")
    for operation in proposals:
        look("review_operation", operation.pk)
    rewrite = next(each for each in proposals if each.kind == OperationKind.REWRITE)
    look("review_note", rewrite.pk)
    look("review_note", rewrite.pk, query="?as=source")
    look("review_side", rewrite.pk)
    rewrite.target_note.refresh_from_db()
    update_note(rewrite.target_note, base_version=rewrite.target_note.version, cause=by(superuser), body=ALL[9:])
    look("review_versions", rewrite.pk)
    look("review_edit", rewrite.pk)
    for operation in proposals[:4]:
        look("review_edit", operation.pk)
    Disclosure.objects.bulk_create(
        Disclosure(workspace=workspace, note=note, note_version=1, sha256="0" * 64, part="text", host=text[:255],
                   run_id=hostile_run.pk, exchange_id=exchanges[0].pk)
        for note, text in zip(hostile_notes, TEXTS.values(), strict=False)
    )  # fmt: skip
    look("librarian_disclosure_changelist")
    look("librarian_prompts", workspace.pk)
    look("review_acceptance")
    look("review_report", hostile_run.pk)
    for exchange in exchanges:
        look("review_exchange", hostile_run.pk, exchange.pk)
    look("notes_note_change", hostile_notes[0].pk)


def test_on_the_other_pages(look, hostile_run, workspace, superuser):
    Attachment.objects.bulk_create(
        Attachment(workspace=workspace, path=fitting(text), sha256="0" * 64, size=1) for text in TEXTS.values()
    )
    for number, text in enumerate(TEXTS.values()):
        create_workspace(slug=f"w{number}", name=fitting(text), owner=superuser)
    with pgtrigger.ignore():
        export = ExportJob.objects.create(
            kind="markdown",
            workspace=workspace,
            status=JobStatus.FAILED,
            finished_at=timezone.now(),
            error_code="INTERNAL",
            error_detail=ALL,
            filename=TEXTS["handler"],
            summary_json={"notes": 1, ALL: ALL},
            condition_json={"tag": ALL},
        )
    look("index")
    look("workers")
    for name in ("notes_attachment", "exports_exportjob", "workspaces_workspace", "workspaces_membership"):
        look(f"{name}_changelist")
    for attachment in Attachment.objects.order_by("path")[:5]:
        look("notes_attachment_change", attachment.pk)
    look("workspaces_user_changelist")
    look("workspaces_workspaceevent_changelist")
    look("exports_exportjob_change", export.pk)
    look("workspaces_workspace_change", workspace.pk)
    look("workspaces_user_change", superuser.pk)
    look("workspaces_membership_add")
    look("automation_rule_add", ready="#preview-told")


def test_no_text_pushes_a_page_sideways(look, proposals, exchanges, hostile_run, hostile_notes):
    page = look("index")
    page.set_viewport_size({"width": 320, "height": 640})
    narrow = [
        ("notes_note_changelist",), ("automation_rule_changelist",), ("automation_run_change", hostile_run.pk),
        ("review_queue",), ("review_report", hostile_run.pk), ("review_exchange", hostile_run.pk, exchanges[1].pk),
        *(("notes_note_version", note.pk, 1) for note in hostile_notes),
        ("notes_note_change", hostile_notes[-1].pk),
        ("notes_note_compare", hostile_notes[-1].pk),
    ]  # fmt: skip
    for where in narrow:
        with nothing_sideways(page):
            look(*where)
