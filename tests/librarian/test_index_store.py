"""The index's file: built where there is none, and anew where it cannot be read."""

import json

import pytest

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_notes
from librarian.index_store import index_of


@pytest.fixture
def folder(workspace, owner, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    create_notes(workspace, [NewNote(f"N{i}", f"Text {i}.\n", f"n{i}.md") for i in range(9)], cause=by(owner))
    index_of(workspace.id)
    return tmp_path / "index" / str(workspace.id)


def _index_file(folder):
    return folder / json.loads((folder / "current.json").read_text())["file"]


def _cut_short(folder):
    _index_file(folder).write_bytes(b"PK half of it")


def _gone(folder):
    _index_file(folder).unlink()


def _name_lost(folder):
    (folder / "current.json").write_text("")


@pytest.mark.django_db
@pytest.mark.parametrize("damage", [_cut_short, _gone, _name_lost])
def test_an_index_that_cannot_be_read_is_built_anew(workspace, folder, damage):
    damage(folder)
    assert len(index_of(workspace.id).vault.ids) == 9
    assert _index_file(folder).stat().st_size > 100


@pytest.mark.django_db
def test_an_index_that_is_fresh_is_not_built_again(workspace, folder):
    built = _index_file(folder).stat().st_mtime_ns
    index_of(workspace.id)
    assert _index_file(folder).stat().st_mtime_ns == built
