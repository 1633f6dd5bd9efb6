"""A run from its sources to operations: offline, over real notes, stored before it is used."""

from contextlib import suppress

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from automation.models import Run
from automation.services import create_rule, launch_rule
from kjxlkj.jobs.services import execute
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes, delete_note, retag_note
from librarian import consultation
from librarian.actions import LIBRARIAN_STRUCTURE
from librarian.models import Exchange, Operation, RunReport
from librarian.providers import offline

FILLERS = [
    "Paint",
    "Ropes",
    "Fenders",
    "Engines",
    "Radios",
    "Charts",
    "Anchors",
    "Sails",
    "Lamps",
    "Pumps",
    "Flags",
    "Tar",
]

VAULT = [
    NewNote("Release checklist", "# Release checklist\n\nTag, build, publish, tell.\n", "howto/release.md"),
    NewNote("Monday meeting", "We walked through the Release checklist again.\n", "meetings/monday.md"),
    NewNote("Untitled 3", "# Alert thresholds for disks\n\nNinety per cent is late.\n", "inbox/Untitled 3.md"),
    NewNote(
        "Pay review",
        "The Release checklist is not about pay.\n",
        "people/pay.md",
        front_matter="---\nlibrarian: never\n---\n",
    ),
    *(
        NewNote(f"About {word.lower()}", f"Keep {word.lower()} dry and out of the sun.\n", f"x/{word}.md")
        for word in FILLERS
    ),
]


@pytest.fixture(autouse=True)
def own_data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def vault(workspace, owner):
    return {note.title: note for note in create_notes(workspace, VAULT, cause=by(owner))}


def launch(workspace, owner, **plan):
    action = {"kind": "librarian_structure", "plan": plan}
    rule = create_rule(workspace, actor=owner, name=f"R{Run.objects.count()}", action_json=action)
    return launch_rule(rule, actor=owner).runs[0]


def done(run):
    execute("automation.run", run.id)
    return Run.objects.get(pk=run.pk)


@pytest.mark.django_db(transaction=True)
def test_a_run_proposes_titles_and_links_and_tells_how(workspace, owner, vault):
    run = done(launch(workspace, owner))
    assert (run.status, run.error_detail) == ("succeeded", "")
    found = {(op.kind, op.target_note.title): op for op in Operation.objects.select_related("target_note")}
    retitle = found["retitle_note", "Untitled 3"]
    assert retitle.title == "Alert thresholds for disks"
    relink = found["relink_note", "Monday meeting"]
    assert [link["text"] for link in relink.links] == ["Release checklist"]
    assert all(op.status == "pending" and op.reason and 0.5 <= op.confidence <= 1 for op in found.values())
    assert not Note.objects.filter(version__gt=1).exists()

    stages = [stage["stage"] for stage in run.result_json["stages"]]
    assert stages == ["ingest", "plan", "propose", "validate"]
    assert run.result_json["left_out"] == [
        {
            "note_id": str(vault["Pay review"].id),
            "path": "people/pay.md",
            "why": "its front matter says librarian: never",
        }
    ]
    assert "proposed" in run.result_json["outcome"]
    report = RunReport.objects.get(run=run)
    assert (report.provider_kind, report.parsed_count) == ("offline", len(found))
    exchange = Exchange.objects.get(run=run)
    assert "<librarian_response>" in exchange.response
    assert str(vault["Pay review"].id) not in exchange.prompt + exchange.response


@pytest.mark.django_db(transaction=True)
def test_the_same_notes_give_the_same_answer(workspace, owner, vault):
    first, second = done(launch(workspace, owner)), done(launch(workspace, owner))
    answers = [Exchange.objects.get(run=run).response.replace(str(run.id), "RUN") for run in (first, second)]
    assert answers[0] == answers[1]
    codes = set(Operation.objects.filter(run=second).values_list("reject_code", flat=True))
    assert codes == {"ALREADY_PENDING"}


@pytest.mark.django_db(transaction=True)
def test_the_rules_scope_and_kinds_bound_what_is_read_and_proposed(workspace, owner, vault):
    run = done(launch(workspace, owner, scope={"folder": "inbox"}, allowed_kinds=["retitle_note"]))
    assert list(Operation.objects.filter(run=run).values_list("kind", "target_path")) == [
        ("retitle_note", "inbox/Untitled 3.md")
    ]
    left_out = {row["path"]: row["why"] for row in run.result_json["left_out"]}
    assert left_out["meetings/monday.md"] == "outside of the rule's scope"


@pytest.mark.django_db(transaction=True)
def test_a_note_deleted_before_the_run_begins_is_left_out(workspace, owner, vault):
    run = launch(workspace, owner)
    delete_note(vault["Untitled 3"], base_version=1, cause=by(owner))
    run = done(run)
    assert {"path": "inbox/Untitled 3.md", "why": "deleted"}.items() <= run.result_json["left_out"][0].items()
    assert not Operation.objects.filter(run=run, target_note=vault["Untitled 3"]).exists()


def store_answer(run, response):
    """As after a kill between the answer and the finish."""
    sources = [note for note in Note.objects.order_by("path", "id") if note.metadata.get("librarian") != "never"]
    return Exchange.objects.create(
        run=run,
        stage="propose",
        index=0,
        provider_kind="offline",
        model="offline",
        sources=[{"note_id": str(note.id), "version": note.version, "cut": False} for note in sources],
        response=response,
        answered_at=timezone.now(),
    )


def retitling(run, note):
    return (
        f"<librarian_response><request_id>{run.id}-0</request_id><status>ok</status><summary>s</summary><operations>"
        "<operation><operation_id>kept</operation_id><kind>retitle_note</kind>"
        f"<target_note_id>{note.id}</target_note_id><title>From the stored answer</title>"
        "<reason>r</reason><confidence>0.9</confidence></operation></operations></librarian_response>"
    )


@pytest.mark.django_db(transaction=True)
def test_a_run_taken_up_again_uses_the_answer_that_it_has(workspace, owner, vault):
    run = launch(workspace, owner)
    store_answer(run, retitling(run, vault["Untitled 3"]))
    done(run)
    assert [op.title for op in Operation.objects.filter(run=run)] == ["From the stored answer"]
    assert Exchange.objects.filter(run=run).count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_answer_about_a_text_that_has_changed_since_is_asked_for_again(workspace, owner, vault):
    run = launch(workspace, owner)
    store_answer(run, retitling(run, vault["Untitled 3"]))
    retag_note(vault["Untitled 3"], ["disks"], base_version=1, cause=by(owner))
    assert done(run).status == "succeeded"
    changed = [str(vault["Untitled 3"].id)]
    asked = list(Exchange.objects.filter(run=run).order_by("index"))
    assert [[source["note_id"] for source in exchange.sources] for exchange in asked[1:]] == [changed]
    retitle = Operation.objects.get(run=run, target_note=vault["Untitled 3"], kind="retitle_note")
    assert (retitle.title, retitle.base_version) == ("Alert thresholds for disks", 2)


@pytest.mark.django_db(transaction=True)
def test_a_stored_answer_that_cannot_be_read_fails_the_run_with_the_protocols_code(workspace, owner, vault):
    run = launch(workspace, owner)
    store_answer(run, "Sorry!")
    run = done(run)
    assert (run.status, run.error_code) == ("failed", "LIBRARIAN_PARSE_FAILED")
    assert "line 1" in run.error_detail
    assert [stage["stage"] for stage in run.result_json["stages"]] == ["ingest", "plan", "propose", "validate"]
    assert not Operation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_finished_run_delivered_again_does_nothing(workspace, owner, vault):
    run = done(launch(workspace, owner))
    before = Operation.objects.count()
    execute("automation.run", run.id)
    assert Operation.objects.count() == before
    assert Run.objects.get(pk=run.pk).attempts == 1


@pytest.mark.django_db(transaction=True)
def test_an_action_that_nobody_offers_any_more_fails_visibly(workspace, owner, vault):
    run = launch(workspace, owner)
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(rule_snapshot={"action_json": {"kind": "gone"}})
    run = done(run)
    assert (run.status, run.error_code) == ("failed", "ACTION_UNKNOWN")


@pytest.mark.django_db(transaction=True)
def test_a_run_without_a_free_slot_at_its_provider_comes_back_and_asks_nothing_twice(
    workspace, owner, vault, settings, monkeypatch
):
    settings.PROVIDER_SLOTS = {"offline": 1}
    monkeypatch.setattr(consultation, "SOURCES_PER_REQUEST", 8)
    first, second = launch(workspace, owner), launch(workspace, owner)
    answer, asked = offline.answer, []

    def while_the_other_comes(workspace_id, request_id, plan, sources):
        asked.append(request_id)
        if request_id == f"{first.id}-1":
            assert done(second).status == "queued"
        return answer(workspace_id, request_id, plan, sources)

    monkeypatch.setattr(offline, "answer", while_the_other_comes)
    assert done(first).status == "succeeded"
    second.refresh_from_db()
    assert (second.status, second.error_code, second.attempts) == ("queued", "POSTPONED", 0)
    assert second.error_detail == "All 1 slots of provider offline are taken."
    assert second.not_before is not None
    Run.objects.filter(pk=second.pk).update(not_before=None)
    assert done(second).status == "succeeded"
    assert asked == [f"{run.id}-{index}" for run in (first, second) for index in (0, 1)]


@pytest.mark.django_db(transaction=True)
def test_an_answer_outlasts_a_connection_that_dies_before_it_is_stored(workspace, owner, vault, settings, monkeypatch):
    settings.PROVIDER_SLOTS = {"offline": 1}
    answer, asked = offline.answer, []

    def answered_as_the_connection_dies(workspace_id, request_id, plan, sources):
        asked.append(request_id)
        given = answer(workspace_id, request_id, plan, sources)
        with suppress(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return given

    monkeypatch.setattr(offline, "answer", answered_as_the_connection_dies)
    run = done(launch(workspace, owner))
    assert Exchange.objects.filter(run=run).count() == 1
    if run.status == "queued":  # what came after it may have failed for the same reason
        Run.objects.filter(pk=run.pk).update(not_before=None)
        run = done(run)
    assert run.status == "succeeded"
    assert len(asked) == 1


def test_runs_that_wait_for_a_model_ask_for_a_queue_of_their_own():
    action = {"kind": "librarian_structure", "provider": {"provider_kind": "lmstudio"}}
    assert LIBRARIAN_STRUCTURE.queue(action) == "llm"
    assert LIBRARIAN_STRUCTURE.queue({"kind": "librarian_structure"}) == "default"
