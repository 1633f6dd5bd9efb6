"""Links follow their notes: by path, file name, title or alias, and through every change of those."""

import pytest

from kjxlkj.notes import services
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import NoteLink

pytestmark = pytest.mark.django_db


@pytest.fixture
def change(owner):
    def apply(note, **values):
        return services.update_note(note, base_version=note.version, cause=by(owner), **values)

    return apply


def targets(note):
    return [link.target.title if link.target else None for link in NoteLink.objects.filter(source=note)]


@pytest.mark.parametrize(
    "link",
    ["[[ref/tides.md]]", "[[ref/tides]]", "[[Tides]]", "[[tides]]", "[[High water]]", "[[HIGH  WATER]]",
     "[[flood|text]]",
     "[[Tides#Noon]]", "![[tides]]", "[x](../ref/tides.md)", "[x](/ref/tides.md#noon)", "[x](../ref/TIDES.md)"],
)  # fmt: skip
def test_a_target_is_found_by_path_stem_title_or_alias_whatever_the_case(make_note, link):
    make_note("High water", path="ref/tides.md", aliases=["Flood"])
    assert targets(make_note("Source", path="log/day.md", body=f"See {link}.")) == ["High water"]


@pytest.mark.parametrize("text", ["`[[tides]]`", "```\n[[tides]]\n```", "[x](https://example.org/tides.md)", "[[]]"])
def test_code_and_foreign_addresses_hold_no_links(make_note, text):
    make_note("Tides", path="tides.md")
    assert targets(make_note("Source", body=text)) == []


def test_a_link_waits_for_its_note(make_note):
    source = make_note("Source", body="[[Tides]]")
    assert targets(source) == [None]
    make_note("Tides")
    assert targets(source) == ["Tides"]


def test_the_better_name_wins_and_ties_have_one_answer(make_note):
    source = make_note("Source", body="[[tides]]")
    make_note("Alias", aliases=["tides"])
    assert targets(source) == ["Alias"]
    make_note("tides", path="z.md")
    assert targets(source) == ["tides"]
    make_note("Deep stem", path="a/b/tides.md")
    assert targets(source) == ["Deep stem"]
    make_note("Stem", path="a/tides.md")
    assert targets(source) == ["Stem"]
    make_note("Path", path="tides.md")
    assert targets(source) == ["Path"]


def test_a_rename_lets_go_of_old_links_and_takes_new_ones(make_note, change):
    old, new = make_note("One", body="[[Tides]]"), make_note("Two", body="[[Ebb]]")
    note = change(make_note("Tides"), title="Ebb")
    assert (targets(old), targets(new)) == ([None], ["Ebb"])
    change(note, aliases=["Tides"])
    assert (targets(old), targets(new)) == (["Ebb"], ["Ebb"])


def test_a_move_of_the_target_or_of_the_source_resolves_anew(make_note, change):
    source = make_note("Source", path="a/s.md", body="[x](t.md)")
    target = make_note("Target", path="b/t.md")
    assert targets(source) == [None]
    source = change(source, path="b/s.md")
    assert targets(source) == ["Target"]
    change(target, path="c/t.md")
    assert targets(source) == [None]


def test_deleting_gives_links_to_the_next_best_and_restoring_takes_them_back(make_note, owner):
    best = make_note("Best", path="tides.md")
    make_note("Next", path="x/tides.md")
    source = make_note("Source", body="[[tides]]")
    best = services.delete_note(best, base_version=1, cause=by(owner))
    assert targets(source) == ["Next"]
    services.restore_note(best, base_version=2, cause=by(owner))
    assert targets(source) == ["Best"]


def test_a_deleted_note_links_nowhere_until_it_is_restored(make_note, owner):
    target = make_note("Target")
    source = services.delete_note(make_note("Source", body="[[Target]]"), base_version=1, cause=by(owner))
    assert not target.backlinks.exists()
    services.restore_note(source, base_version=2, cause=by(owner))
    assert target.backlinks.get().source == source


def test_links_do_not_leave_their_workspace(make_note, outsider):
    elsewhere = outsider.owned_workspaces.get()
    services.create_note(elsewhere, services.NewNote(title="Tides"), cause=by(outsider))
    assert targets(make_note("Source", body="[[Tides]]")) == [None]


def test_retagging_leaves_links_alone(make_note, change):
    make_note("Tides")
    source = make_note("Source", body="[[Tides]]")
    before = NoteLink.objects.get().pk
    change(source, tags=["x"])
    assert NoteLink.objects.get().pk == before


def test_names_and_links_of_any_length_can_be_kept(make_note):
    long = "ä" * 3000
    source = make_note("x" * 200, path="p/" + "y" * 1000, body=f"[[{long}]] [[a#{long}]] [x]({long}.md)")
    assert len(targets(source)) == 3
