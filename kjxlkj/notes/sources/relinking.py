"""Relative links of a text that has moved, or whose targets have."""

import posixpath
import re
import unicodedata

from kjxlkj.notes.front_matter import split
from kjxlkj.notes.markdown import parse_links
from kjxlkj.notes.sources.source import Places
from kjxlkj.notes.vault import is_note

# What would end the path of a link, or be read as something else.
_SPECIAL = re.compile(r"[\s()<>\\%#?\"\[\]]")
_SUFFIXES = ("", ".md", ".markdown")


class Relinking:
    """Where links led in the source, and where those files are now."""

    def __init__(self, places: Places) -> None:
        self._places = places
        # The same name may stand in a link and in an archive in two forms.
        self._composed = {unicodedata.normalize("NFC", old): old for old in places}

    def of(self, text: str, old: str, new: str) -> str:
        """The text of the file that was at `old` and is at `new`; of a link only the path changes, and only if it must.

        Links to what is no file of the source stay as they are.
        """
        front_matter, body = split(text)
        pieces, pos = [], 0
        for link in sorted(parse_links(body), key=lambda link: link.destination or (0, 0)):
            written = link.target
            if link.destination is None or (target := self._target(written, old, new)) is None:
                continue
            start, end = link.destination
            pieces += [body[pos:start], _SPECIAL.sub(_percent, target)]
            pos = end
        return front_matter + "".join(pieces) + body[pos:]

    def file(self, written: str, source: str) -> str | None:
        """The file of the source that a path meant, as it stood in the file `source`; None where there is none."""
        folder = "" if written.startswith("/") else posixpath.dirname(source)
        path = posixpath.normpath(posixpath.join("/", folder, written.lstrip("/"))).lstrip("/")
        for suffix in _SUFFIXES:
            name = path + suffix
            if name in self._places:
                return name
            if (other := self._composed.get(unicodedata.normalize("NFC", name))) is not None:
                return other
        return None

    def _target(self, written: str, old: str, new: str) -> str | None:
        """The path to write now; None where the one that stands there is right, or leads nowhere."""
        meant = self.file(written, old)
        place = self._places.get(meant) if meant is not None else None
        if meant is None or place is None or (place == meant and old == new):
            return None
        if is_note(meant) and not is_note(written):
            place = posixpath.splitext(place)[0]
        if written.startswith("/"):
            target = f"/{place}"
        else:
            target = posixpath.relpath(f"/{place}", posixpath.dirname(f"/{new}"))
        return None if posixpath.normpath(written) == target else target


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())
