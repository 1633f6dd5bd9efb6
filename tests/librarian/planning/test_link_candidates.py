"""Names that a model is told to link to: first those that stand in the text."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes, update_note
from librarian.planning.bundling import plan_bundles
from librarian.planning.prompts import propose_prompt
from librarian.prompt_pack import builtin_pack
from librarian.protocol import parse_request
from tests.librarian.planning.test_bundling import plan

pytestmark = pytest.mark.django_db

NAMED = [
    NewNote("Release checklist", "Steps, one by one.", "work/release.md"),
    NewNote("Paylane", "Who takes the cards.", "work/paylane.md", aliases=["Payment gateway"]),
    NewNote("Where we meet (2024)", "Floors.", "places/Meeting rooms.md"),
]


@pytest.fixture(autouse=True)
def own_data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def write(workspace, owner):
    def write(*new):
        return create_notes(workspace, list(new), cause=by(owner))

    write(*(NewNote(f"Loaf {n}", f"Flour, salt, water and patience number {n}.", f"bread/{n}.md") for n in range(30)))
    return write


@pytest.fixture
def ask(workspace):
    """The bundle for some notes, and the candidates of each as they stand in the request."""

    def ask(*sources, is_local=True, **fields):
        (bundle,) = plan_bundles(workspace.id, plan(**fields), sources, is_local=is_local, pack=builtin_pack())
        request = parse_request(propose_prompt(builtin_pack(), plan(), bundle, "r")[1])
        return bundle, [list(source.link_candidates) for source in request.sources]

    return ask


def test_titles_aliases_and_file_names_that_stand_in_the_text_come_first(write, ask):
    write(*NAMED, *(NewNote(f"Rye {n}", "Rye and its sourdough starter.", f"rye/{n}.md") for n in range(3)))
    text = "A sourdough starter of rye. Then the release checklist and the Payment gateway, in the Meeting rooms."
    (source,) = write(NewNote("Bread", text, "s.md"))
    _, [candidates] = ask(source)
    assert set(candidates[:3]) == {"Release checklist", "Payment gateway", "Meeting rooms"}
    # The rest are names of similar notes.
    assert len(candidates) == 5
    assert all(name.startswith("Rye ") for name in candidates[3:])


def test_a_note_is_a_candidate_once_however_often_it_is_named(write, ask):
    write(*NAMED)
    (source,) = write(NewNote("S", "Paylane is the Payment gateway; Paylane it is.", "s.md"))
    _, [candidates] = ask(source)
    assert len({"Paylane", "Payment gateway"} & set(candidates)) == 1


def test_what_is_linked_already_or_stands_in_code_is_not_named(write, ask):
    write(*NAMED)
    text = "[There](places/Meeting%20rooms.md), in the Meeting rooms, lies the Release checklist. `Payment gateway`"
    (source,) = write(NewNote("S", text, "s.md"))
    _, [candidates] = ask(source)
    assert "Release checklist" in candidates
    assert not {"Meeting rooms", "Payment gateway"} & set(candidates)


def test_of_two_notes_with_one_name_both_are_told_by_what_means_them_alone(write, ask):
    write(*(NewNote("Release checklist", f"Steps of {place}.", f"{place}/check.md") for place in ("ab", "cd")))
    (source,) = write(NewNote("S", "See the Release checklist.", "s.md"))
    _, [candidates] = ask(source)
    assert set(candidates[:2]) == {"ab/check", "cd/check"}


@pytest.mark.parametrize(("said", "is_local"), [("never", True), ("never", False), ("local", False)])
def test_a_note_that_may_not_be_sent_is_no_candidate_though_the_text_names_it(write, ask, said, is_local):
    front_matter = f"---\nlibrarian: {said}\n---\n"
    secret, *_ = write(
        NewNote("Payroll secrets", "Numbers.", "p.md", aliases=["Quiet ledger"], front_matter=front_matter), *NAMED
    )
    (source,) = write(
        NewNote("S", "Payroll secrets, the Quiet ledger, and the Release checklist that is open to all.", "s.md")
    )
    bundle, [candidates] = ask(source, is_local=is_local)
    assert "Release checklist" in candidates
    assert not {"Payroll secrets", "Quiet ledger", "p"} & set(candidates)
    assert secret.id not in {note.id for note in bundle.mentioned}


def test_a_note_that_became_private_since_the_index_was_built_is_no_candidate(write, ask, owner):
    write(*NAMED)
    (source,) = write(NewNote("S", "The Payment gateway and the Release checklist.", "s.md"))
    assert {"Payment gateway", "Release checklist"} <= set(ask(source)[1][0])
    paylane = Note.objects.get(title="Paylane")
    update_note(paylane, base_version=1, cause=by(owner), front_matter="---\nlibrarian: never\n---\n")
    _, [candidates] = ask(source)
    assert "Release checklist" in candidates
    assert not {"Payment gateway", "Paylane"} & set(candidates)


def test_what_lies_outside_of_the_scope_is_no_candidate_though_the_text_names_it(write, ask):
    write(*NAMED)
    (source,) = write(NewNote("S", "The Payment gateway, from the Meeting rooms.", "work/s.md"))
    _, [candidates] = ask(source, scope={"folder": "work"})
    assert "Payment gateway" in candidates
    assert "Meeting rooms" not in candidates


def test_every_candidate_is_among_the_notes_that_the_request_tells_of(write, ask):
    write(*NAMED)
    (source,) = write(NewNote("Flour", "Flour and salt. The Payment gateway.", "s.md"))
    bundle, _ = ask(source)
    told = {note_id for _, note_id in bundle.excerpts[0].link_candidates}
    assert told <= {note.id for note in bundle.mentioned}
    paylane = Note.objects.get(title="Paylane").id
    assert paylane in told
    without = bundle.without({paylane})
    assert "Payment gateway" not in dict(without.excerpts[0].link_candidates)
    assert paylane not in {note.id for note in without.mentioned}


def test_the_number_of_queries_does_not_grow_with_the_sources_or_what_they_name(write, ask):
    write(*NAMED)
    texts = [
        "Nothing.",
        *(f"Number {n}: the Release checklist, the Payment gateway, the Meeting rooms." for n in range(9)),
    ]
    sources = write(*(NewNote(f"Source {n}", text, f"s/{n}.md") for n, text in enumerate(texts)))
    ask(*sources)  # has the index built

    def queries(*asked):
        with CaptureQueriesContext(connection) as seen:
            ask(*asked)
        return len(seen)

    assert queries(sources[0]) == queries(*sources)
