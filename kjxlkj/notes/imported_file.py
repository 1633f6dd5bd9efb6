"""A file of a vault against the note that it is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kjxlkj.notes.checks import CHECKS
from kjxlkj.notes.files import ReadFile, file_of
from kjxlkj.notes.models import Note, NoteKind
from kjxlkj.notes.services import NewNote

# What the manifest of an export, or the source, tells where the front matter could not.
_RECORDED_FIELDS = ("title", "tags", "aliases")


@dataclass(frozen=True, slots=True)
class ImportedFile:
    path: str
    text: str
    said: ReadFile
    recorded: Mapping[str, Any]

    @property
    def recorded_id(self) -> UUID | None:
        try:
            return UUID(str(self.recorded.get("id")))
        except ValueError:
            return None

    def new_note(self) -> NewNote:
        """Raises errors of `notes.checks`."""
        kind = self.recorded.get("kind", NoteKind.MARKDOWN)
        values = {"path": self.path, "body": self.said.body, "front_matter": self.said.front_matter, "kind": kind}
        return NewNote(**_checked({**values, **self._names()}), metadata=self.said.metadata)

    def differing(self, note: Note) -> dict[str, Any]:
        """The fields of the note that the file says differently. Raises errors of `notes.checks`."""
        if self.text == file_of(note)[0]:
            said = {name: value for name, value in self.recorded.items() if name in _RECORDED_FIELDS}
        else:
            said = {"body": self.said.body, "front_matter": self.said.front_matter, **self._names()}
        return {name: value for name, value in _checked(said).items() if value != getattr(note, name)}

    def _names(self) -> dict[str, Any]:
        said = {"title": self.said.title, "tags": self.said.tags, "aliases": self.said.aliases}
        return {name: self.recorded.get(name, value) for name, value in said.items()}


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """In the form in which notes have them."""
    return {name: CHECKS[name](value) for name, value in values.items()}
