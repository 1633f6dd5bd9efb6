"""What other programs keep notes in, each as a small transformation of the entries that `read_vault` yields.

Pure: nothing here writes or knows the database. A source gives paths, titles, tags and names to what its program says
of them in its own way, and tells what it could not carry over. A text stays as it is, to the byte, but for links whose
target has another path now.
"""

from kjxlkj.errors import Invalid
from kjxlkj.notes.sources.bear import BEAR
from kjxlkj.notes.sources.logseq import LOGSEQ
from kjxlkj.notes.sources.notion import NOTION
from kjxlkj.notes.sources.obsidian import OBSIDIAN
from kjxlkj.notes.sources.source import Lost, Source, as_it_is
from kjxlkj.notes.vault import Contents

AUTO = "auto"
PLAIN = Source("plain", "plain files", lambda contents: "", as_it_is)
SOURCES = {source.name: source for source in (OBSIDIAN, LOGSEQ, NOTION, BEAR, PLAIN)}


def source_named(name: str) -> Source | None:
    """None for `auto`. Raises `Invalid` SOURCE_UNKNOWN."""
    if name != AUTO and name not in SOURCES:
        raise Invalid("SOURCE_UNKNOWN", f"“{name}” is no known source. Use one of: {', '.join([AUTO, *SOURCES])}.")
    return SOURCES.get(name)


def recognised(contents: Contents) -> tuple[Source, str]:
    """What the vault is by sure signs, and which. An export of ours is plain: its manifest says what to know."""
    if not contents.is_export:
        for source in SOURCES.values():
            if sign := source.sign(contents):
                return source, sign
    return PLAIN, "our own export" if contents.is_export else ""


def wanted(path: str) -> bool:
    """Whether a source reads this small file before the others."""
    return any(source.wanted(path) for source in SOURCES.values())


__all__ = ["AUTO", "PLAIN", "SOURCES", "Lost", "Source", "recognised", "source_named", "wanted"]
