"""A run whose answers a test writes, without a provider: what comes after the answer is what is tested here."""

import pytest

from automation.models import Run, RunSource
from automation.services import create_rule
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes
from librarian.plan import Plan
from librarian.protocol import Link, ProposedOperation
from librarian.validation import Proposed, validated

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

    def validate(*proposals, plan=None, excess=False):
        sources = list(Note.objects.filter(id__in=[note.id for note in notes.values()]))
        return validated(run, plan or Plan(), sources, [Proposed(proposal, excess) for proposal in proposals])

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
