"""What everybody does at once: no event is lost between two runs, none is in two, and none is heard too late."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from threading import Event

import pytest
from django.db import connections

from automation.models import Run, RunSource
from automation.services import cancel_run, create_rule, delete_rule, update_rule
from kjxlkj.errors import Conflict
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_notes
from kjxlkj.workspaces.models import WorkspaceEvent

pytestmark = pytest.mark.django_db(transaction=True)

LIBRARIAN = {"kind": "librarian_structure", "plan": {"allowed_kinds": ["retag_note"]}}
WRITERS = 6
BATCHES = 12


def at_once(*works):
    def closing(work):
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result() for done in [pool.submit(closing, work) for work in works]]


def writer(workspace, owner, name):
    def write():
        for batch in range(BATCHES):
            news = [NewNote(f"{name}-{batch}-{i}") for i in range(5)]
            create_notes(workspace, news, cause=by(owner))

    return write


def states(rule):
    """The rule's state from each of its events on, by the event's number."""
    return list(
        WorkspaceEvent.objects.filter(type__startswith="rule.", payload__rule_id=str(rule.id))
        .order_by("seq")
        .values_list("seq", "type")
    )


def test_imports_while_a_rule_is_disabled_enabled_and_deleted(workspace, owner):
    """The log of events tells what the rule was at each note: heard exactly while it was enabled."""
    rule = create_rule(workspace, actor=owner, name="R", trigger="note.created", action_json=LIBRARIAN, max_sources=7)
    enabled = True

    def toggle():
        nonlocal enabled
        for _ in range(30):
            enabled = not enabled
            update_rule(rule, actor=owner, enabled=enabled)
        delete_rule(rule, actor=owner)

    at_once(toggle, *(writer(workspace, owner, name) for name in range(WRITERS)))
    changes = dict(states(rule))
    heard, on = set(), False
    for seq, kind, event_id in WorkspaceEvent.objects.order_by("seq").values_list("seq", "type", "id"):
        if seq in changes:
            # Created enabled, then toggled with each change.
            on = {"rule.created": True, "rule.updated": not on, "rule.deleted": False}[changes[seq]]
        elif kind == "note.created" and on:
            heard.add(event_id)
    counted = list(RunSource.objects.values_list("event_id", flat=True))
    assert len(counted) == len(set(counted))
    assert set(counted) == heard
    assert 0 < len(heard) < WorkspaceEvent.objects.filter(type="note.created").count(), "some of both were tried"
    assert max((run.sources.count() for run in Run.objects.all()), default=0) <= 7


def test_imports_while_a_rule_s_condition_is_edited(workspace, owner):
    """Each run holds what its own condition is about, and nothing that came before it or after it."""
    rule = create_rule(workspace, actor=owner, name="R", trigger="note.created", action_json=LIBRARIAN)
    names = [f"{name}-" for name in range(WRITERS)]

    def edit():
        for number in range(24):
            condition = {"title_contains": names[number % WRITERS]}
            update_rule(rule, actor=owner, condition_json=condition)

    at_once(edit, *(writer(workspace, owner, name) for name in range(WRITERS)))
    for run in Run.objects.prefetch_related("sources__note"):
        wanted = run.rule_snapshot["condition_json"].get("title_contains", "")
        assert all(wanted in source.note.title for source in run.sources.all())


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_begin_and_are_cancelled_while_events_join_them(workspace, owner, seed):
    """A run that is being claimed takes nothing more: what it did not read is in another."""
    rule = create_rule(
        workspace, actor=owner, name="R", trigger="note.created", action_json=LIBRARIAN, settle_seconds=0, max_sources=9
    )
    written, chance = Event(), Random(seed)

    def work():
        while Run.objects.unfinished().exists() or not written.is_set():
            for run in Run.objects.unfinished()[:3]:
                if chance.random() < 0.2:
                    with suppress(Conflict):  # another has done it
                        cancel_run(run, actor=owner)
                else:
                    jobs.execute("automation.run", run.id)

    def write():
        at_once(*(writer(workspace, owner, name) for name in range(3)))
        written.set()

    at_once(write, work, work)
    created = set(WorkspaceEvent.objects.filter(type="note.created").values_list("id", flat=True))
    counted = list(rule.runs.values_list("sources__event_id", flat=True))
    assert len(counted) == len(created)
    assert set(counted) == created
    for run in Run.objects.filter(status="succeeded"):
        ingest = run.result_json["stages"][0]["counts"]
        assert ingest["sources"] + ingest["left_out"] == run.sources.count(), "it read what it holds"
