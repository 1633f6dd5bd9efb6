"""A run whose answers a test writes, without a provider: what comes after the answer is what is tested here."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from automation.models import Run, RunSource
from automation.services import create_rule
from kjxlkj.jobs import transitions
from kjxlkj.jobs.models import JobStatus
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes
from librarian.bundles import Excerpt
from librarian.models import Operation
from librarian.plan import Plan
from librarian.protocol import Link, ProposedOperation
from librarian.validation import Proposed, validated
from tests.librarian.models import retag
from tests.librarian.providers.server import LLMServer

NOTES = {
    "alpha": NewNote("Alpha", "Alpha talks of Beta and of Gamma plan.\n", "alpha.md", tags=["one"]),
    "beta": NewNote("Beta", "# Beta\n\nNothing here.\n", "docs/beta.md"),
    "gamma": NewNote("Gamma plan", "Plans.\n", "docs/gamma.md", tags=["plan"]),
}


@pytest.fixture
def notes(workspace, owner):
    made = create_notes(workspace, list(NOTES.values()), cause=by(owner))
    return dict(zip(NOTES, made, strict=True))


@pytest.fixture
def rule(workspace, owner):
    return create_rule(workspace, actor=owner, name="R", action_json={"kind": "librarian_structure"})


@pytest.fixture
def run(workspace, rule, notes):
    run = Run.objects.create(workspace=workspace, rule=rule, trigger="manual", rule_snapshot={"name": "R"})
    RunSource.objects.bulk_create(RunSource(run=run, rule=rule, note=note) for note in notes.values())
    return run


def op(kind, note=None, **fields):
    """One proposal; `links` as pairs."""
    links = fields.pop("links", None)
    return ProposedOperation(
        operation_id=fields.pop("operation_id", "op"),
        kind=kind,
        target_note_id=str(note.id) if note else None,
        links=None if links is None else tuple(Link(*pair) for pair in links),
        reason=fields.pop("reason", "because"),
        confidence=fields.pop("confidence", 0.9),
        **fields,
    )


@pytest.fixture
def check(run, notes):
    """Validate proposals against the notes as they are now; unsaved operations come back."""

    def validate(*proposals, plan=None, excess=False, cut=False):
        sources = Note.objects.filter(id__in=[note.id for note in notes.values()])
        sent = {note.id: Excerpt(note, note.body, cut) for note in sources}
        return validated(run, plan or Plan(), [Proposed(proposal, sent, excess=excess) for proposal in proposals])

    return validate


@pytest.fixture
def propose(check, run):
    """The same, saved: pending in the queue."""

    def saved(*proposals, **options):
        operations = check(*proposals, **options)
        there = run.operations.count()
        for operation in operations:
            operation.index += there
            operation.save(force_insert=True)
        return operations

    return saved


@pytest.fixture
def decided(run, workspace, notes, owner):
    """Operations with a history: accepted, rejected, edited, undone, by_itself, undone_by_itself or pending."""

    def make(how, count=1, *, of=None, **fields):
        applied = how not in {"rejected", "pending"}
        start = (of or run).operations.count()
        values = {
            "status": {"rejected": "rejected", "pending": "pending"}.get(
                how, "reverted" if "undone" in how else "applied"
            ),
            "edited": how == "edited",
            "decided_by": None if how.endswith("by_itself") or how == "pending" else owner,
            "decided_at": None if how == "pending" else timezone.now(),
            "reject_code": "" if applied or how == "pending" else "REJECTED_BY_PERSON",
            "kind": "retag_note",
            "model": "qwen3",
            "confidence": 0.95,
            "reason": "because",
            **fields,
        }
        return Operation.objects.bulk_create(
            Operation(
                workspace=workspace,
                run=of or run,
                index=start + number,
                operation_id=f"op-{start + number}",
                fingerprint=str(uuid4()),
                **values,
            )
            for number in range(count)
        )

    return make


@pytest.fixture
def login():
    def login(user):
        client = Client()
        client.force_login(user)
        return client

    return login


def fail(run, code="AUTH_FAILED", detail="The key was refused.\nMore of it.", ago=timedelta(0)):
    Run.objects.filter(pk=run.pk).update(
        status=JobStatus.FAILED, error_code=code, error_detail=detail, finished_at=timezone.now() - ago
    )


@pytest.fixture
def make_run(workspace, rule):
    def make(**fields):
        return Run.objects.create(**{"workspace": workspace, "rule": rule, "trigger": "manual", **fields})

    return make


@pytest.fixture
def busy(decided, make_run, propose, notes):
    """Something of everything that the page tells."""
    now = timezone.now()
    decided("accepted", 5, via="key", shown_at=now - timedelta(seconds=4))
    decided("accepted", 2, via="click", shown_at=now - timedelta(seconds=20), kind="relink_note", model="gemma")
    decided("edited", 3, decided_at=now - timedelta(days=3), model="")
    decided("rejected", 2, decided_at=now - timedelta(days=29))
    decided("rejected", 2, kind="defer", decided_at=now - timedelta(days=2))
    decided("rejected", 4, decided_at=now - timedelta(days=31))
    decided("undone", 2, via="bulk", shown_at=now - timedelta(seconds=1))
    decided("undone_by_itself")
    decided("by_itself", 6, kind="relink_note")
    propose(op("retag_note", notes["alpha"], tags=("one", "two")), op("retitle_note", notes["beta"], title="Better"))
    for ago in (1, 2, 10):
        fail(make_run(), ago=timedelta(days=ago))
    fail(make_run(), code="CANCELLED", detail="")
    running = make_run()
    transitions.claim(Run, running.pk, uuid4())


# --- Runs that ask a model ------------------------------------------------------------------------

BOATS = ["Anchors", "Bilges", "Charts", "Docks", "Engines", "Flags"]


@pytest.fixture
def own_data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def server(own_data_dir):
    with LLMServer() as server:
        server.answer = retag
        yield server


def make_boats(workspace, owner):
    new = [NewNote(name, f"What is to be known of {name.lower()}.\n", f"x/{name}.md") for name in BOATS]
    return {note.title: note for note in create_notes(workspace, new, cause=by(owner))}


@pytest.fixture
def boats(workspace, owner):
    return make_boats(workspace, owner)
