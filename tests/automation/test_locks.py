"""Everything at once: whoever writes, launches, edits rules, executes and reviews never ends in a deadlock."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connections

from automation.models import Run, RunSource
from automation.services import create_rule, launch_rule, update_rule
from kjxlkj.errors import Conflict, Invalid
from kjxlkj.jobs.models import JobStatus
from kjxlkj.jobs.services import execute
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes, update_note
from kjxlkj.workspaces.models import WorkspaceEvent
from librarian.models import Operation
from librarian.services import Decision, review

SECONDS = 6


@pytest.mark.django_db(transaction=True)
def test_writers_launchers_workers_and_reviewers_do_not_wait_for_each_other_in_a_circle(
    workspace, owner, settings, tmp_path
):
    settings.DATA_DIR = tmp_path
    body = "# A heading of its own\n\n" + " ".join(f"[[Untitled {i}]]" for i in range(6))
    news = [NewNote(f"Untitled {i}", body, f"n{i}.md") for i in range(6)]
    notes = create_notes(workspace, news, cause=by(owner))
    rule = create_rule(
        workspace,
        actor=owner,
        name="R",
        trigger="note.changed",
        settle_seconds=0,
        action_json={"kind": "librarian_structure"},
    )

    def write(turn):
        note = Note.objects.get(pk=notes[turn % 6].pk)
        update_note(note, base_version=note.version, cause=by(owner), body=f"{body} {turn}")

    def edit_rule(turn):
        update_rule(rule, actor=owner, max_sources=turn % 5 + 1)

    def launch(turn):
        launch_rule(rule, actor=owner, note_ids=[notes[turn % 6].pk])

    def work(turn):
        for run in Run.objects.filter(status=JobStatus.QUEUED)[:3]:
            execute("automation.run", run.pk)

    def decide(turn):
        decisions = [Decision(row.pk, "apply", base_version=99) for row in Operation.objects.pending()[:3]]
        review(decisions, actor=owner)

    deadline = time.monotonic() + SECONDS

    def repeat(act):
        turn = 0
        try:
            while time.monotonic() < deadline:
                turn += 1
                with suppress(Conflict, Invalid):  # outrun by another: told, and nothing written
                    act(turn)
        finally:
            connections.close_all()
        return turn

    acts = [write, write, edit_rule, launch, work, work, decide]
    with ThreadPoolExecutor(len(acts)) as pool:
        turns = list(pool.map(repeat, acts))
    assert min(turns) > 2
    failed = Run.objects.filter(status=JobStatus.FAILED).values_list("error_code", "error_detail")
    assert list(failed) == []
    assert not Run.objects.filter(error_code="DATABASE_UNAVAILABLE").exists()
    fired = WorkspaceEvent.objects.filter(type__in=["note.updated", "note.retitled"], run_id__isnull=True)
    counted = RunSource.objects.filter(event__isnull=False).values_list("event_id", flat=True)
    assert set(counted) == set(fired.values_list("id", flat=True))
