"""Equal runs of two sequences, found with a bounded amount of work."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import Match, SequenceMatcher
from itertools import accumulate

Block = tuple[int, int, int]
"""Equal run: start in a, start in b, length."""

WORK = 1_000_000
"""Budget of one diff in steps of difflib's inner loop, for lines and again for words."""

_MAX_DEPTH = 3


class Matcher:
    """Finds equal runs of two sequences while its budget lasts."""

    def __init__(self, work: int) -> None:
        self.left = work

    def affords(self, steps: int) -> bool:
        """If so, they are charged."""
        if steps > self.left:
            return False
        self.left -= steps
        return True

    def blocks(self, a: Sequence[str], b: Sequence[str], depth: int = 0) -> Iterator[Block]:
        """In rising order on both sides, not overlapping."""
        head, tail = common_ends(a, b)
        if head:
            yield 0, 0, head
        middle_a, middle_b = a[head : len(a) - tail], b[head : len(b) - tail]
        if middle_a and middle_b:
            for i, j, length in self._middle(middle_a, middle_b, depth):
                yield i + head, j + head, length
        if tail:
            yield len(a) - tail, len(b) - tail, tail

    def _middle(self, a: Sequence[str], b: Sequence[str], depth: int) -> Iterable[Block]:
        in_b = Counter(b)
        steps = [0, *accumulate(1 + in_b.get(item, 0) for item in a)]
        hits = steps[-1] - len(a)
        if not hits:
            return ()
        # Each round of difflib looks at every hit at most, and finds a block of at least one item.
        worst = steps[-1] * (2 * min(len(a), len(b), hits) + 1)
        if worst <= self.left:
            counting = _Counting(a, b, steps)
            blocks = counting.get_matching_blocks()[:-1]
            self.left -= counting.taken
            return blocks
        if depth < _MAX_DEPTH and (anchors := _anchors(a, b)):
            return self._between(a, b, anchors, depth)
        if len(a) == len(b):
            return ((i, i, 1) for i in range(len(a)) if a[i] == b[i])
        return ()

    def _between(
        self, a: Sequence[str], b: Sequence[str], anchors: list[tuple[int, int]], depth: int
    ) -> Iterator[Block]:
        start_a = start_b = 0
        for i, j in [*anchors, (len(a), len(b))]:
            for x, y, length in self.blocks(a[start_a:i], b[start_b:j], depth + 1):
                yield x + start_a, y + start_b, length
            if i < len(a):
                yield i, j, 1
            start_a, start_b = i + 1, j + 1


class _Counting(SequenceMatcher[str]):
    """Counts the steps of its inner loop; `steps` has how many all items before each of `a` take."""

    def __init__(self, a: Sequence[str], b: Sequence[str], steps: list[int]) -> None:
        super().__init__(None, a, b, autojunk=False)
        self.size, self.steps, self.taken = len(a), steps, 0

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        self.taken += self.steps[self.size if ahi is None else ahi] - self.steps[alo]
        return super().find_longest_match(alo, ahi, blo, bhi)


def common_ends(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """How many items are the same at the start, and how many of the others at the end."""
    head = tail = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        head += 1
    for x, y in zip(reversed(a), reversed(b), strict=False):
        if x != y:
            break
        tail += 1
    return head, min(tail, len(a) - head, len(b) - head)


def _anchors(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Items that occur once on both sides, in the longest run that rises on both: O(n log n)."""
    count_a, count_b = Counter(a), Counter(b)
    place_in_b = {item: j for j, item in enumerate(b) if count_b[item] == 1}
    pairs = [(i, place_in_b[item]) for i, item in enumerate(a) if count_a[item] == 1 and item in place_in_b]
    # Patience sorting: the last pair of the best run of each length, and a way back from each pair.
    lowest: list[int] = []
    ends: list[int] = []
    back: list[int] = []
    for index, (_, j) in enumerate(pairs):
        length = bisect_left(lowest, j)
        back.append(ends[length - 1] if length else -1)
        lowest[length : length + 1] = [j]
        ends[length : length + 1] = [index]
    run, index = [], ends[-1] if ends else -1
    while index >= 0:
        run.append(pairs[index])
        index = back[index]
    return run[::-1]
