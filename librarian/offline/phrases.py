"""The phrases by which notes may be meant, and where they stand in a text."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from ahocorasick_rs import AhoCorasick, MatchKind

from kjxlkj.notes.markdown import stands_alone
from librarian.offline.vault import Vault
from librarian.offline.words import is_telling, lowered, phrase

_SEPARATORS = re.compile(r"[-_.]+")
_PARENTHESIS = re.compile(r"\s*\([^()]*\)$")
MIN_ANCHOR_NOTES = 2


class Source(IntEnum):
    """Where a phrase for a note comes from, the most telling first."""

    NAME = 0
    ALIAS = 1
    NUMBER = 2
    """A title in the other grammatical number."""
    ANCHOR = 3
    """What other notes show where they link to it."""


@dataclass(frozen=True, slots=True)
class Mention:
    phrase: int
    start: int
    end: int
    count: int


@dataclass
class Phrases:
    texts: list[str]
    candidates: list[list[tuple[int, int, int]]]
    """For each phrase the notes it may mean: (row, Source, number of notes that link this phrase to it)."""
    linked: list[int]
    """In how many notes the phrase is a link."""
    seen: list[int]
    """In how many notes the phrase stands, linked or not."""

    def __post_init__(self) -> None:
        self._automaton = AhoCorasick(self.texts, matchkind=MatchKind.Standard, store_patterns=False)

    @classmethod
    def of(cls, vault: Vault, anchors: Mapping[tuple[str, int], int]) -> Phrases:
        """`anchors`: (phrase, row) → number of notes that link this phrase to that note."""
        found: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for row in range(len(vault)):
            for text, source in _names_of(vault, row):
                found[text].setdefault(row, source)
        linked: Counter[str] = Counter()
        for (text, row), notes in anchors.items():
            linked[text] += notes
            if notes >= MIN_ANCHOR_NOTES and is_telling(text):
                found[text].setdefault(row, Source.ANCHOR)
        texts = sorted(found)
        return cls(
            texts=texts,
            candidates=[[(row, source, anchors.get((t, row), 0)) for row, source in found[t].items()] for t in texts],
            linked=[linked[text] for text in texts],
            seen=[0] * len(texts),
        )

    def mentions(self, masked: str) -> list[Mention]:
        """Where phrases stand as whole words: leftmost, then longest, never overlapping; each phrase once, at
        its first place."""
        text = lowered(masked).replace("\t", " ")
        hits = [
            (start, -end, number)
            for number, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True)
            if stands_alone(text, start, end)
        ]
        hits.sort()
        first: dict[int, tuple[int, int]] = {}
        counts: Counter[int] = Counter()
        position = 0
        for start, negative_end, number in hits:
            if start >= position:
                position = -negative_end
                first.setdefault(number, (start, position))
                counts[number] += 1
        return [Mention(number, start, end, counts[number]) for number, (start, end) in first.items()]


def _names_of(vault: Vault, row: int) -> list[tuple[str, Source]]:
    title, stem = vault.titles[row], vault.stems[row]
    names = [phrase(name) for name in (title, stem, _SEPARATORS.sub(" ", stem))]
    found = [(name, Source.NAME) for name in names]
    found += [(phrase(alias), Source.ALIAS) for alias in vault.aliases[row]]
    for name in dict.fromkeys(names):
        found.append((_PARENTHESIS.sub("", name), Source.ALIAS))
        if len(name) >= 4 and name.isascii() and name[-1].isalpha():
            other = name[:-1] if name.endswith("s") and not name.endswith("ss") else name + "s"
            found.append((other, Source.NUMBER))
    return [(text, source) for text, source in found if is_telling(text)]
