"""Titles that are none: “Untitled 3”, a file name, a date."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass

from kjxlkj.notes.markdown import first_heading, name_key, plain_text
from librarian.offline.documents import Document, Proposal
from librarian.offline.words import CJK, terms, words

MAX_HEADING = 120
MAX_SENTENCE = 60
_DAY = (
    r"(?:\d{4}[-_. ]?\d{2}[-_. ]?\d{2}|\d{1,2}[-_.]\d{1,2}[-_.]\d{4})(?:[-_.T ]?\d{2}[-_.: h]?\d{2}(?:[-_.:]?\d{2})?)?"
)
_CALENDAR = re.compile(
    r"\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec|mon|tues?|wed|wednes|thurs?|fri|sat|satur|sun)"
    r"(?:uary|ch|il|ust|ember|tember|ober|day)?\b|\d+(?:st|nd|rd|th)?",
    re.I,
)
_DATE = re.compile(_DAY)
_UNTITLED = re.compile(
    r"(?:untitled|unnamed|no title|new|note|draft|document|scratch|temp|tmp|idea|paste|pasted|clipboard|memo"
    r"|voice memo|recording|img|ohne titel|unbenannt|neue notiz|sans titre|sin título|senza titolo|无标题|未命名|無題)"
    rf"(?:[ _-](?:notes?|document|page|file|text|image))?(?:[\s_#()-]*(?:{_DAY}|\d{{0,4}}))[\s)]*(?:copy)?",
    re.I,
)
_MACHINE = re.compile(r"[0-9a-f]{8,}(?:-[0-9a-f]{4,})*|\d{5,}|(?:img|scan|doc|screenshot)[\s_-]*\d+", re.I)
_GENERIC = frozenset(
    """overview introduction intro summary notes note todo todos to-do agenda contents background description
    readme links references untitled title heading log misc""".split()  # noqa: SIM905 - words read better unquoted
)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s|(?<=[。！？])|\s[-–—]\s")
_SLUG = re.compile(r"[^\W\d][-_]+[^\W\d]")
# One hyphen may well belong to the word: “Saint-Imier”, “anti-pattern”.
_LONG_SLUG = re.compile(r"[^\W_A-Z]+(?:[-_]+[^\W_A-Z]+){2,}")
_TOP_HEADING = re.compile(r"\s*#[ \t]+([^\n]*[^\s#])")
_CLAUSE = re.compile(r"(.{20,})[,;]\s")
_LINE_START = re.compile(r"^[\s>]*(?:[-*+]\s+(?:\[[ xX]\]\s+)?|\d+[.)]\s+)?")


@dataclass(frozen=True, slots=True)
class Fault:
    says: str
    trust: float
    """How surely a better title is wanted (0..1)."""


_EMPTY = Fault("is empty", 1.0)
_PLACEHOLDER = Fault("is a placeholder", 1.0)
_CODE = Fault("is a number or a code", 0.9)
_FILE_NAME = Fault("is only the file's name", 0.9)
# The text opens with another title than the name of its file.
_OTHER_NAME = Fault("is the file's name", 0.65)
# Diaries are named by their day on purpose.
_DATED = Fault("is only a date", 0.65)


def propose(document: Document, taken: Container[str]) -> Proposal | None:
    """`taken`: the keys (`name_key`) under which notes are found already."""
    fault = _fault(document)
    found = _better(document, fault) if fault else None
    if fault is None or found is None:
        return None
    title, origin, confidence = found
    reason = f"The title {fault.says}; {origin} “{title}”"
    if fault is _DATED and document.title.strip() not in title:
        title = f"{title} ({document.title.strip()})"
    key = name_key(title)
    if key in (name_key(document.title), "") or _fault_of(title):
        return None
    if key in taken and key != name_key(document.stem):
        confidence *= 0.6
        reason += ", though another note goes by that name"
    return Proposal("retitle_note", document.id, title, None, None, reason + ".", round(confidence * fault.trust, 4))


def _better(document: Document, fault: Fault) -> tuple[str, str, float] | None:
    """A title, where it comes from, and how well it fits (0..1)."""
    heading = first_heading(document.body)
    if (
        heading
        and name_key(heading) not in _GENERIC
        and not (_fault_of(heading) or not _letters(_CALENDAR.sub("", heading)))
    ):
        return _cut(heading, MAX_HEADING), "its first heading says", 0.92
    if fault in (_FILE_NAME, _OTHER_NAME):
        if not _LONG_SLUG.fullmatch(document.title.strip()):
            return None
        words_of_it = re.sub(r"[-_]+", " ", document.title).strip()
        return _capitalised(words_of_it), "written as words it is", 0.75
    sentence = _opening(document.body)
    return (sentence, "its first sentence says", 0.62) if sentence else None


def _fault(document: Document) -> Fault | None:
    found = _fault_of(document.title)
    if found:
        return found
    title = document.title.strip()
    if name_key(title) != name_key(document.stem):
        return None
    if " " not in title and _SLUG.search(title):
        return _FILE_NAME
    heading = _TOP_HEADING.match(document.body)
    says = plain_text(heading[1]) if heading else ""
    return _OTHER_NAME if 0 < len(says) <= MAX_SENTENCE and _letters(says) != _letters(title) else None


def _fault_of(title: str) -> Fault | None:
    bare = title.strip()
    if not bare:
        return _EMPTY
    for fault, pattern in ((_DATED, _DATE), (_CODE, _MACHINE), (_PLACEHOLDER, _UNTITLED)):
        if pattern.fullmatch(bare):
            return fault
    return None


def _opening(body: str) -> str | None:
    """The first sentence that says something, as far as it fits in a title."""
    for line in plain_text(body).splitlines():
        sentence = _SENTENCE_END.split(_LINE_START.sub("", line).strip(), maxsplit=1)[0].strip(" .:;,。")
        telling = terms(_CALENDAR.sub(" ", sentence))
        if sentence.startswith("("):
            continue
        if (CJK.search(sentence) and len(telling) >= 3) or (len(words(sentence)) >= 3 and len(telling) >= 2):
            return _capitalised(_cut(sentence, MAX_SENTENCE))
    return None


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, ending with a clause or at least with a word."""
    text = " ".join(text.split()).strip(" .:")
    if len(text) <= limit:
        return text
    clause = _CLAUSE.match(text[:limit])
    if clause:
        return clause[1].rstrip()
    head = text[: limit - 1]
    return (head.rpartition(" ")[0] or head).rstrip(" ,;:-–—") + "…"


def _letters(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
