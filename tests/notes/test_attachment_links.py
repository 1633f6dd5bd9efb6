"""Links that mean a file beside the notes: found, kept up to date, and never in the way of a note."""

import io

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from hypothesis import given
from hypothesis import strategies as st

from kjxlkj.notes.attachments import content_of, delete_attachments, save_attachments, store
from kjxlkj.notes.cause import by
from kjxlkj.notes.markdown import attachment_keys
from kjxlkj.notes.models import Attachment, NoteLink
from kjxlkj.notes.services import delete_note, update_note

pytestmark = pytest.mark.django_db


@pytest.fixture
def attach(workspace, tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path

    def make(*paths):
        content = store(content_of(lambda: io.BytesIO(b"x")), lambda: io.BytesIO(b"x"))
        save_attachments(workspace.id, [(path, content) for path in paths])

    return make


def meant():
    """What each link means, by how it stands in the text."""
    links = NoteLink.objects.select_related("target", "attachment")
    return {link.raw: getattr(link.target or link.attachment, "path", None) for link in links}


@pytest.mark.parametrize("first", ["note", "file"])
@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("![[Tide Table.PNG]]", "img/tide table.png"),
        ("[[img/Tide Table.png]]", "img/tide table.png"),
        ("![tides](../img/tide%20table.png)", "img/tide table.png"),
        ("![tides](<../img/tide table.png> 'At sea')", "img/tide table.png"),
        ("[the plan](plan.pdf#page=2)", "ops/plan.pdf"),
        ("[[plan.pdf#page=2|The plan]]", "ops/plan.pdf"),
        ("![[tide table.png|300]]", "img/tide table.png"),
        ("![x](tide%20table.png)", None),
        ("![x](https://example.com/plan.pdf)", "no link"),
        ("`![[plan.pdf]]`", "no link"),
    ],
)
def test_a_link_means_the_file_whichever_came_first(make_note, attach, first, link, path):
    def note():
        make_note("A", path="ops/a.md", body=f"See {link}.")

    def file():
        attach("img/tide table.png", "ops/plan.pdf")

    for step in (note, file) if first == "note" else (file, note):
        step()
    assert meant() == ({} if path == "no link" else {link: path})


def test_the_surest_name_wins_then_the_shortest_path(make_note, attach):
    attach("a/b/pic.png", "z/pic.png", "pic.png")
    make_note("A", body="![[pic.png]] ![[b/pic.png]] ![[a/b/pic.png]]")
    assert meant() == {"![[pic.png]]": "pic.png", "![[b/pic.png]]": None, "![[a/b/pic.png]]": "a/b/pic.png"}
    delete_attachments(Attachment.objects.get(path="pic.png").workspace_id, [Attachment.objects.get(path="pic.png").id])
    assert meant()["![[pic.png]]"] == "z/pic.png"


def test_a_note_comes_before_a_file_and_gives_way_when_it_goes(make_note, attach, owner):
    attach("drawing.svg")
    make_note("A", body="[[drawing.svg]]")
    drawing = make_note("Drawing", path="notes/drawing.svg.md")
    assert meant() == {"[[drawing.svg]]": "notes/drawing.svg.md"}
    assert NoteLink.objects.get().attachment is None
    delete_note(drawing, base_version=1, cause=by(owner))
    assert meant() == {"[[drawing.svg]]": "drawing.svg"}


def test_a_deleted_file_leaves_its_links_and_takes_them_up_again(make_note, attach, workspace):
    attach("a.pdf")
    make_note("A", body="[[a.pdf]]")
    delete_attachments(workspace.id, [Attachment.objects.get().id])
    assert meant() == {"[[a.pdf]]": None}
    attach("a.pdf")
    assert meant() == {"[[a.pdf]]": "a.pdf"}


def test_a_changed_text_changes_what_it_links_to(make_note, attach, owner):
    attach("a.pdf", "b.pdf")
    note = make_note("A", body="[[a.pdf]]")
    update_note(note, base_version=1, cause=by(owner), body="[[b.pdf]]")
    assert meant() == {"[[b.pdf]]": "b.pdf"}


def test_files_of_another_workspace_are_not_meant(make_note, attach, outsider):
    elsewhere = outsider.memberships.get().workspace
    attach("mine.pdf")
    save_attachments(elsewhere.id, [("theirs.pdf", content_of(lambda: io.BytesIO(b"x")))])
    make_note("A", body="[[theirs.pdf]] [[mine.pdf]]")
    assert meant() == {"[[theirs.pdf]]": None, "[[mine.pdf]]": "mine.pdf"}


def test_links_to_files_are_no_links_between_notes(make_note, attach, owner, client_for, workspace):
    attach("a.pdf")
    make_note("A", body="[[a.pdf]]")
    found = client_for(owner).get(f"/api/notes?workspace_id={workspace.id}&orphan=true").json()["results"]
    assert [note["title"] for note in found] == ["A"]


@given(st.text(st.sampled_from("aÀß/ .\\PNG"), min_size=1))
def test_keys_are_the_path_and_then_the_name(path):
    keys = attachment_keys(path)
    assert len(set(keys)) == len(keys) <= 3
    assert all(keys[0].endswith(key) for key in keys)


# As the version before has it, which knows nothing of keys.
OLD_WORKER = """
INSERT INTO notes_attachment (id, workspace_id, path, sha256, size, file, created_at, updated_at)
SELECT gen_random_uuid(), workspace_id, 'old.png', sha256, size, file, now(), now()
FROM notes_attachment WHERE path = 'b.png'
"""


@pytest.mark.django_db(transaction=True)
def test_links_that_were_there_before_are_found_by_the_migration(make_note, attach):
    attach("img/a.png", "b.png")
    make_note("A", body="![[a.png]] ![](b.png) [[nothing]]")
    before = meant()
    executor = MigrationExecutor(connection)
    newest = list(executor.loader.graph.leaf_nodes())
    try:
        executor.migrate([("notes", "0001_initial")])
        MigrationExecutor(connection).migrate([("notes", "0002_links_to_attachments")])
        with connection.cursor() as cursor:
            cursor.execute(OLD_WORKER)
            # One that was killed half-way, with its index begun.
            cursor.execute("CREATE INDEX attachment_keys ON notes_attachment (id)")
        Attachment.objects.filter(path="b.png").update(keys=attachment_keys("b.png"))
    finally:
        MigrationExecutor(connection).migrate(newest)
    assert Attachment.objects.get(path="old.png").keys == attachment_keys("old.png")
    assert meant() == before == {"![[a.png]]": "img/a.png", "![](b.png)": "b.png", "[[nothing]]": None}
