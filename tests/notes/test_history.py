"""Any version of a note can be rebuilt and brought back, whatever was done to it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kjxlkj.errors import NotFound
from kjxlkj.ids import new_id
from kjxlkj.notes import services
from kjxlkj.notes.cause import by
from kjxlkj.notes.history import state_at
from kjxlkj.notes.models import Note
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.services import create_workspace

FIELDS = ("path", "title", "body", "front_matter", "tags", "aliases")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXT.map(lambda text: f"t {text}"),
        "body": TEXT,
        "path": st.sampled_from(["", "a.md", "b/c.md"]),
        "front_matter": st.sampled_from(["", "---\na: 1\n---\n", "---\na: [\n---\n"]),
        "tags": st.lists(st.sampled_from(["x", "Y z", "q/r"]), max_size=3),
        "aliases": st.lists(TEXT, max_size=2),
    },
)


class Histories(RuleBasedStateMachine):
    """Edits, deletions, restorations and rollbacks in any order; `seen[n]` is what version n said when it was made."""

    @initialize()
    def begin(self):
        name = new_id()
        self.writer = User.objects.create(email=f"{name}@example.com", name="Writer")
        workspace = create_workspace(slug=str(name), name="W", owner=self.writer)
        note = services.create_note(workspace, services.NewNote(title="first"), cause=by(self.writer))
        self.note_id = note.id
        self.seen = {1: self.content(note)}
        self.deleted = False

    def content(self, note):
        return {field: getattr(note, field) for field in FIELDS}

    def note(self):
        return Note.objects.get(pk=self.note_id)

    def wrote(self, before, note):
        assert note.version - before in {0, 1}
        current = self.note()
        assert current.version == note.version
        self.seen.setdefault(current.version, self.content(current))
        assert self.seen[current.version] == self.content(current)

    @precondition(lambda self: not self.deleted)
    @rule(values=EDITS)
    def edit(self, values):
        version = max(self.seen)
        self.wrote(version, services.update_note(self.note(), base_version=version, cause=by(self.writer), **values))

    @precondition(lambda self: not self.deleted)
    @rule(data=st.data())
    def roll_back(self, data):
        version, target = max(self.seen), data.draw(st.sampled_from(sorted(self.seen)))
        note = services.roll_back_note(self.note(), to_version=target, base_version=version, cause=by(self.writer))
        self.wrote(version, note)
        assert self.content(note) == self.seen[target]

    @precondition(lambda self: not self.deleted)
    @rule()
    def delete(self):
        version = max(self.seen)
        self.wrote(version, services.delete_note(self.note(), base_version=version, cause=by(self.writer)))
        self.deleted = True

    @precondition(lambda self: self.deleted)
    @rule()
    def restore(self):
        version = max(self.seen)
        self.wrote(version, services.restore_note(self.note(), base_version=version, cause=by(self.writer)))
        self.deleted = False

    @invariant()
    def every_version_can_be_rebuilt(self):
        if hasattr(self, "seen"):
            note = self.note()
            assert {version: state_at(note, version) for version in self.seen} == self.seen
            assert note.history.count() == note.version == max(self.seen)


@pytest.mark.django_db
def test_any_history_can_be_rebuilt_version_by_version():
    run_state_machine_as_test(Histories, settings=settings(max_examples=25, stateful_step_count=15, deadline=None))


@pytest.mark.django_db
@pytest.mark.parametrize("version", [0, 2, -1, 10**12])
def test_a_version_that_never_was_is_not_found(make_note, version):
    with pytest.raises(NotFound) as caught:
        state_at(make_note("x"), version)
    assert caught.value.code == "VERSION_NOT_FOUND"
