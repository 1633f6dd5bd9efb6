"""Unlinked mentions: which of them their author would have linked, judged by the links the vault already has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log1p

import numpy as np

from kjxlkj.notes.markdown import find_free, mask
from kjxlkj.notes.scanner import HIDDEN
from librarian.offline.documents import Document, Proposal, sentence
from librarian.offline.phrases import Mention, Phrases, Source
from librarian.offline.regression import Floats, Regression, sigmoid
from librarian.offline.vault import Vault
from librarian.offline.vectors import Matrix, pair_similarity
from librarian.offline.words import CJK

MAX_LINKS = 20
FULL_TRUST = 200
"""Links in the training notes from which on what was learned from them counts alone."""
RIVAL = 0.7
"""A mention that fits a second note nearly as well as the first is left alone."""
MENTION_CHANCE = 0.05
"""From which on a mention is told to somebody who judges it again."""
MENTION_CHARACTERS = 100_000
"""Of a text that is longer, what follows is in no request anyway."""

WORDS, LENGTH, EXACT, CAPITAL, NAME, ALIAS, NUMBER, CJK_LENGTH, RIVALS, SHARE, LIKENESS = range(11)
FEATURES = 23


@dataclass(frozen=True, slots=True)
class Author:
    """What is known of the note whose mentions are judged."""

    row: int
    """-1 for a note that the index does not know."""
    folder: str
    length: int
    """`free_length` of its text: with the markup of links it would give away how many there are."""
    targets: frozenset[int] = frozenset()
    phrases: frozenset[str] = frozenset()
    """Targets and phrases of its own links, which must not count as evidence for themselves."""
    counted: bool = False
    """Whether the vault's statistics include this note."""


@dataclass(frozen=True, slots=True)
class Candidate:
    mention: Mention
    target: int
    source: int
    features: list[float]


class Linker:
    def __init__(self, vault: Vault, phrases: Phrases, model: Regression | None, trust: float) -> None:
        self._vault, self._phrases = vault, phrases
        self._counted = set(range(len(vault))) - set(vault.unread)
        self._model, self._trust = model, trust

    def candidates(self, author: Author, text: str, mentions: Sequence[Mention]) -> list[Candidate]:
        """Every note that a mention may mean, with all features but LIKENESS, which is computed in bulk."""
        found = []
        for mention in mentions:
            for target, source, anchors in self._phrases.candidates[mention.phrase]:
                if target != author.row:
                    features = self._features(author, text, mention, (target, source, anchors), len(mentions))
                    found.append(Candidate(mention, target, source, features))
        return found

    def _features(
        self, author: Author, text: str, mention: Mention, candidate: tuple[int, int, int], among: int
    ) -> list[float]:
        target, source, anchors = candidate
        vault, phrases, number = self._vault, self._phrases, mention.phrase
        words = phrases.texts[number]
        rivals = phrases.candidates[number]
        own_phrase = words in author.phrases
        own_target = target in author.targets
        linked = phrases.linked[number] - own_phrase
        seen = max(phrases.seen[number] - author.counted, 0)
        rate = min(max((linked + 0.3) / (seen + 1.5), 1e-3), 1)
        all_anchors = max(sum(a for _, _, a in rivals) - own_phrase, 0)
        preference = (max(anchors - (own_phrase and own_target), 0) + 0.5) / (all_anchors + 0.5 * len(rivals))
        surface = text[mention.start : mention.end]
        exact = surface in (vault.titles[target], vault.stems[target]) or surface in vault.aliases[target]
        linkers = vault.linkers[target]
        cjk = CJK.search(words) is not None
        return [
            min(words.count(" ") + 1, 5),
            min(len(words), 30),
            exact,
            any(c.isupper() for c in surface),
            source == Source.NAME,
            source == Source.ALIAS,
            source == Source.NUMBER,
            len(words) if cjk else 0,
            log(len(rivals)),
            log((phrases.seen[number] + 0.5) / len(vault)),
            0.0,
            source == Source.ANCHOR,
            log(rate / (1.0001 - rate)),
            log1p(max(len(linkers) - own_target, 0)),
            vault.folders[target] == author.folder,
            log1p(mention.count),
            author.row >= 0 and target in self._linking_to(author.row),
            log(max(preference, 1e-3)),
            cjk,
            log1p(author.length),
            log1p(among),
            log1p(vault.sizes[target]),
            mention.start / max(1, len(text)),
        ]

    def _linking_to(self, row: int) -> list[int]:
        return self._vault.linkers[row]

    def probabilities(self, features: Floats) -> Floats:
        logits = prior(features, len(self._vault))
        if self._model is not None:
            logits = self._trust * self._model.logits(features) + (1 - self._trust) * logits
        return sigmoid(logits)

    def propose(self, sources: Sequence[Document], queries: Matrix, vectors: Matrix, minimum: float) -> list[Proposal]:
        """`queries`: one row a source; `vectors`: one row a note of the vault."""
        masked = [mask(source.body) for source in sources]
        judged = self._judged(sources, masked, queries, vectors)
        proposals = (self._proposal(*args, minimum) for args in zip(sources, masked, judged, strict=True))
        return [proposal for proposal in proposals if proposal]

    def mentioned(
        self, sources: Sequence[Document], queries: Matrix, vectors: Matrix, most: int
    ) -> list[list[tuple[int, str]]]:
        """For each source the notes that it may mean without linking them, likeliest first: row, and words as they
        stand there. Of two notes with one name both are told: somebody else is to choose."""
        masked = [mask(source.body[:MENTION_CHARACTERS]) for source in sources]
        judged = self._judged(sources, masked, queries, vectors)
        found = []
        for source, pairs in zip(sources, judged, strict=True):
            words: dict[int, str] = {}
            for chance, candidate in sorted(pairs, key=_by_chance):
                if chance >= MENTION_CHANCE:
                    words.setdefault(candidate.target, source.body[candidate.mention.start : candidate.mention.end])
            found.append(list(words.items())[:most])
        return found

    def _judged(
        self, sources: Sequence[Document], masked: Sequence[str], queries: Matrix, vectors: Matrix
    ) -> list[list[tuple[float, Candidate]]]:
        """For each source what stands there unlinked, with the chance that its author would link it."""
        found: list[tuple[int, Candidate]] = []
        for i, source in enumerate(sources):
            row = self._vault.row.get(source.id, -1)
            author = Author(row, source.folder, free_length(masked[i]), counted=row in self._counted)
            linked = self._vault.linked_from(source)
            found += [
                (i, c)
                for c in self.candidates(author, masked[i], self._phrases.mentions(masked[i]))
                if c.target not in linked and self._vault.targets[c.target]
            ]
        chances = self.probabilities(feature_table([c for _, c in found], [i for i, _ in found], queries, vectors))
        judged: list[list[tuple[float, Candidate]]] = [[] for _ in sources]
        for (i, candidate), chance in zip(found, chances, strict=True):
            judged[i].append((float(chance), candidate))
        return judged

    def _proposal(
        self, source: Document, masked: str, judged: list[tuple[float, Candidate]], minimum: float
    ) -> Proposal | None:
        chosen = [pair for pair in _best_reading(judged) if pair[0] >= minimum][:MAX_LINKS]
        # Longest first: “Release checklist” must be taken before “Release” looks for its place.
        chosen.sort(key=lambda pair: (pair[1].mention.start - pair[1].mention.end, pair[1].mention.start))
        placed: list[tuple[float, Candidate, str]] = []
        for chance, candidate in chosen:
            start, end = candidate.mention.start, candidate.mention.end
            text = source.body[start:end]
            if find_free(masked, text) == start:
                masked = masked[:start] + HIDDEN * (end - start) + masked[end:]
                placed.append((chance, candidate, text))
        if not placed:
            return None
        return Proposal(
            kind="relink_note",
            document_id=source.id,
            title=None,
            tags=None,
            links=tuple((text, self._vault.targets[c.target]) for _, c, text in placed),
            reason=sentence(self._reason(c, text) for _, c, text in placed),
            confidence=round(min(chance for chance, _, _ in placed), 4),
        )

    def _reason(self, candidate: Candidate, text: str) -> str:
        title = self._vault.titles[candidate.target] or self._vault.targets[candidate.target]
        number = candidate.mention.phrase
        linked, seen = self._phrases.linked[number], self._phrases.seen[number]
        if candidate.source == Source.NAME:
            reason = f"the title “{text}” stands here unlinked"
        elif candidate.source == Source.ALIAS:
            reason = f"“{text}”, another name of “{title}”, stands here unlinked"
        else:
            reason = f"“{text}” stands here unlinked and can mean “{title}”"
        if linked >= 2:
            reason += f" ({linked} of the {max(linked, seen)} notes that mention it link it)"
        return reason


def _by_chance(pair: tuple[float, Candidate]) -> tuple[float, int, int]:
    chance, candidate = pair
    return -chance, candidate.mention.start, candidate.target


def _best_reading(judged: list[tuple[float, Candidate]]) -> list[tuple[float, Candidate]]:
    """One note a mention, one mention a note, the likeliest first; none where two notes fit alike."""
    ranked = sorted(judged, key=_by_chance)
    readings: dict[int, list[tuple[float, Candidate]]] = {}
    for pair in ranked:
        readings.setdefault(pair[1].mention.phrase, []).append(pair)
    best, targets = [], set()
    for first, *others in readings.values():
        clear = not others or others[0][0] < RIVAL * first[0]
        if clear and first[1].target not in targets:
            targets.add(first[1].target)
            best.append(first)
    return best


def free_length(masked: str) -> int:
    return len(masked) - masked.count(HIDDEN)


def feature_table(candidates: Sequence[Candidate], authors: Sequence[int], queries: Matrix, vectors: Matrix) -> Floats:
    """`authors[i]`: the row of `queries` for candidate i."""
    table = np.array([c.features for c in candidates], np.float64).reshape(len(candidates), FEATURES)
    table[:, LIKENESS] = np.sqrt(pair_similarity(queries, authors, vectors, [c.target for c in candidates]))
    return table


def prior(features: Floats, notes: int) -> Floats:
    """Log-odds where the vault has no links to learn from: names of several words and capitalised ones are
    references, everyday words are not, and what could mean two notes is left alone. The more notes, the likelier
    a title stands somewhere by chance. Set by judgement; benchmarks/offline.py measures it."""
    f = features.T
    several = f[WORDS] >= 2
    logits = -0.7 + 1.7 * several + 0.4 * (f[WORDS] >= 3) + 0.6 * f[CAPITAL] + 0.7 * f[EXACT] * f[CAPITAL]
    logits += np.where(f[CJK_LENGTH] > 0, np.clip(0.6 * (f[CJK_LENGTH] - 1), 0, 2.4), 0)
    logits -= 0.3 * f[ALIAS] + 0.6 * f[NUMBER] + 3.0 * f[RIVALS]
    logits -= 1.5 * np.clip(f[SHARE] - np.log(0.15), 0, None)
    return np.asarray(logits + 1.0 * f[LIKENESS] - 0.3 * log(max(notes / 100, 1)))
