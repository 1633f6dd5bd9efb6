"""A review queue to measure: made-up answers of a librarian, taken through the real pipeline.

Django has to be set up when this is imported.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.utils import timezone

from automation.models import Run
from automation.services import create_rule, launch_rule
from kjxlkj.jobs.services import execute
from kjxlkj.notes.models import Note
from kjxlkj.workspaces.console import actor_at_console, workspace_at_console
from librarian.consultation import SOURCES_PER_REQUEST
from librarian.models import Exchange, Operation
from librarian.protocol import Link, ProposedOperation, Response, serialize_response
from librarian.questions import request_id

MANY, FEW = "many", "few"
NOTES_OF_MANY, NOTES_OF_FEW = 800, 6
NOTES_IN_A_RUN = 100


def add_proposals(slug: str) -> None:
    """Operations of a rule named `MANY`, and a handful of one named `FEW`."""
    notes = Note.objects.filter(workspace__slug=slug).order_by("path")
    ids = list(notes.values_list("id", flat=True)[: NOTES_OF_MANY + NOTES_OF_FEW])
    run_rule(slug, MANY, ids[:NOTES_OF_MANY])
    run_rule(slug, FEW, ids[NOTES_OF_MANY:])
    print(f"{notes.count():,} notes, {Operation.objects.pending().count():,} pending operations")


def run_rule(slug: str, name: str, note_ids: Sequence[UUID], notes_in_a_run: int = NOTES_IN_A_RUN) -> list[Run]:
    """Runs of a new rule over these notes, about three operations for each.

    The answers stand where a run looks for what it was told already, before it asks anybody.
    """
    workspace, actor = workspace_at_console(slug), actor_at_console(None)
    action = {"kind": "librarian_structure", "limits": {"max_sources": notes_in_a_run}}
    rule = create_rule(workspace, actor=actor, name=name, trigger="manual", action_json=action)
    runs = launch_rule(rule, actor=actor, note_ids=note_ids).runs
    for run in runs:
        sources = list(Note.objects.filter(id__in=run.sources.values("note_id")).order_by("path", "id"))
        for index, start in enumerate(range(0, len(sources), SOURCES_PER_REQUEST)):
            asked = sources[start : start + SOURCES_PER_REQUEST]
            Exchange.objects.create(
                run=run,
                stage="propose",
                index=index,
                provider_kind="offline",
                model="offline",
                sources=[{"note_id": str(note.id), "version": note.version, "cut": False} for note in asked],
                response=_answer(request_id(run, index), asked),
                answered_at=timezone.now(),
            )
        execute("automation.run", run.id)
    return list(runs)


def _answer(request_id: str, notes: Sequence[Note]) -> str:
    proposals = [(note, values) for number, note in enumerate(notes) for values in _proposals(number, notes)]
    operations = tuple(
        ProposedOperation(
            operation_id=f"op-{number}",
            target_note_id=str(note.id),
            reason="A reason as long as reasons are: this is how the neighbouring notes have it.",
            confidence=0.8,
            **values,
        )
        for number, (note, values) in enumerate(proposals)
    )
    return serialize_response(Response(request_id, "ok", "made up", operations))


def _proposals(number: int, notes: Sequence[Note]) -> Iterator[Mapping[str, Any]]:
    """A new title, a tag, and a link to the neighbour, or for every fourth note a rewrite."""
    note = notes[number]
    word = next((word for word in note.body.split() if len(word) > 7 and word.isalpha()), "nothing")
    yield {"kind": "retitle_note", "title": f"{note.title[:180]} (reviewed)"}
    yield {"kind": "retag_note", "tags": (*note.tags, "reviewed")}
    if number % 4:
        yield {"kind": "relink_note", "links": (Link(word, notes[number - 1].path),)}
    else:
        yield {"kind": "rewrite_note", "body_markdown": f"{note.body}\n\nReviewed, {word} too.\n"}
