"""The word diff of two bodies of 100 kB, as a card of the review shows it: plain edits and adversarial shapes.

    python -m benchmarks.diff [bytes]

The floor beside each time is what no word diff gets around: both texts cut into words, each word looked up once.
"""

import random
import re
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import count

from benchmarks.figures import Figure, tell
from librarian.diff import hunks, only_whitespace_changed, word_diff

MOST_MILLISECONDS = 150
MOST_MEGABYTES = 50
RUNS = 5

WORD = re.compile(r"\w+\s*|\W")
Pair = tuple[str, str]
PROSE = "Deploys wait for the [[runbook]]: ask whoever is on call, note the time, and read what the last one said."


def fill(size: int, words: Callable[[int], str], between: str = " ") -> str:
    """Words, numbered, until they make up `size` bytes."""
    parts, left = [], size
    for number in count():
        parts.append(words(number) + between)
        left -= len(parts[-1].encode())
        if left <= 0:
            return "".join(parts)
    raise AssertionError


def drawn(size: int, alphabet: Sequence[str], seed: int, between: str = " ") -> str:
    rng = random.Random(seed)
    return fill(size, lambda _: rng.choice(alphabet), between)


def reordered(text: str, between: str, order: Callable[[list[str]], list[str]]) -> Pair:
    return text, between.join(order(text.split(between)))


def shuffled(items: list[str]) -> list[str]:
    return random.Random(1).sample(items, len(items))


def both(build: Callable[[int], str]) -> Pair:
    """The same builder for the old text (0) and the new (1)."""
    return build(0), build(1)


def prose_lines(size: int) -> str:
    return fill(size, lambda n: f"{n}. {PROSE}", "\n")


def edited(size: int, every: int) -> Pair:
    """Prose, with a word changed in every so many lines."""
    lines = prose_lines(size).split("\n")
    return "\n".join(lines), "\n".join(
        line.replace("whoever", "someone") if n % every == 0 else line for n, line in enumerate(lines)
    )


FEW = tuple("abcdefgh")
SHAPES: dict[str, Callable[[int], Pair]] = {
    "one word changed": lambda n: (prose_lines(n), prose_lines(n)[: n // 2] + "x" + prose_lines(n)[n // 2 :]),
    "a word changed in every line": lambda n: edited(n, 1),
    "a word changed in every tenth line": lambda n: edited(n, 10),
    "all written anew": lambda n: both(lambda side: fill(n, lambda i: f"{'on'[side]}{i}")),
    "all written anew, in lines": lambda n: both(lambda side: fill(n, lambda i: f"{'on'[side]}{i}", "\n")),
    "inserted text": lambda n: ("", prose_lines(n)),
    "white space alone": lambda n: (prose_lines(n), prose_lines(n).replace(" ", "  ")),
    "lines wrapped anew": lambda n: (prose_lines(n), prose_lines(n).replace(", ", ",\n")),
    "all on one line": lambda n: (prose_lines(n), prose_lines(n).replace("\n", " ")),
    "two words in another order": lambda n: both(lambda side: drawn(n, "ab", side)),
    "eight words in another order": lambda n: both(lambda side: drawn(n, FEW, side)),
    "a thousand words in another order": lambda n: both(lambda side: drawn(n, [f"w{i}" for i in range(1000)], side)),
    "two lines in another order": lambda n: both(lambda side: drawn(n, "ab", side, "\n")),
    "eight lines in another order": lambda n: both(lambda side: drawn(n, FEW, side, "\n")),
    "a thousand lines in another order": lambda n: both(
        lambda side: drawn(n, [f"w{i}" for i in range(1000)], side, "\n")
    ),
    "lines of two words each": lambda n: both(lambda side: fill(n, lambda i: drawn(40, "ab", 2 * i + side), "\n")),
    "one word": lambda n: ("a " * (n // 2), "b " + "a " * (n // 2) + "c"),
    "one word, half as often": lambda n: ("b " + "a " * (n // 4) + "c", "a " * (n // 2)),
    "one line": lambda n: ("a\n" * (n // 2), "b\n" + "a\n" * (n // 2 - 5) + "c\n"),
    "blank lines": lambda n: ("\n" * n, " \n" * (n // 2)),
    "all words once, shuffled": lambda n: reordered(fill(n, lambda i: f"w{i}"), " ", shuffled),
    "all words once, reversed": lambda n: reordered(fill(n, lambda i: f"w{i}"), " ", lambda items: items[::-1]),
    "all lines once, shuffled": lambda n: reordered(fill(n, lambda i: f"w{i}", "\n"), "\n", shuffled),
    "all lines once, reversed": lambda n: reordered(fill(n, lambda i: f"w{i}", "\n"), "\n", lambda items: items[::-1]),
    "long lines once, shuffled": lambda n: reordered(prose_lines(n), "\n", shuffled),
    "halves swapped": lambda n: reordered(
        fill(n, lambda i: f"w{i}"), " ", lambda w: w[len(w) // 2 :] + w[: len(w) // 2]
    ),
    "every second word changed": lambda n: both(lambda side: fill(n, lambda i: "the" if i % 2 else f"{'on'[side]}{i}")),
    "every second line changed": lambda n: both(
        lambda side: fill(n, lambda i: "the" if i % 2 else f"{'on'[side]}{i}", "\n")
    ),
    "anchors between repeated words": lambda n: both(
        lambda side: fill(n, lambda i: f"only{i} " + drawn(200, "ab", i + side * 7919))
    ),
    "anchors between repeated lines": lambda n: both(
        lambda side: fill(n, lambda i: f"only{i}\n" + drawn(200, "ab", i + side * 7919, "\n"), "")
    ),
    "Fibonacci words": lambda n: (fibonacci("a ", "b ", n), fibonacci("b ", "a ", n)),
    "punctuation": lambda n: ("|-" * (n // 2), "-|-" * (n // 3)),
    "a table's rules": lambda n: ("| --- " * (n // 6), "|:---:" * (n // 6)),
    "Chinese in another order": lambda n: both(lambda side: drawn(n, "日本語文書", side, "")),
    "Chinese, one sign more": lambda n: ("日本" * (n // 6), "本日本" * (n // 9)),
    "one long word": lambda n: ("a" * n, "a" * (n - 1) + "b"),
    "spaces": lambda n: (" " * n, " " * (n - 1) + "\t"),
    "spaces between letters": lambda n: ("a " * (n // 2), "a  " * (n // 3)),
}


def fibonacci(one: str, other: str, size: int) -> str:
    while len(other) < size:
        one, other = other, other + one
    return other[:size]


def show(old: str, new: str) -> None:
    hunks(word_diff(old, new))
    only_whitespace_changed(old, new)


def cut(old: str, new: str) -> None:
    known = set(WORD.findall(old))
    known.update(WORD.findall(new))


def milliseconds(work: Callable[[str, str], object], pair: Pair) -> float:
    """Of the process alone, as in the benchmark of the protocol; the best of several."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work(*pair)
        times.append(time.process_time() - start)
    return min(times) * 1000


def megabytes(pair: Pair) -> float:
    """At the most, both texts aside."""
    tracemalloc.start()
    show(*pair)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main(size: int = 100_000) -> None:
    print(f"{'shape':<40}{'kB':>10}{'ms':>8}{'floor':>8}{'MB':>8}")
    times, sizes = {}, {}
    for name, build in SHAPES.items():
        pair = build(size)
        times[name], floor, sizes[name] = milliseconds(show, pair), milliseconds(cut, pair), megabytes(pair)
        kilobytes = "/".join(str(len(text.encode()) // 1000) for text in pair)
        print(f"{name:<40}{kilobytes:>10}{times[name]:>8.1f}{floor:>8.1f}{sizes[name]:>8.1f}", flush=True)
    slowest, largest = max(times, key=times.__getitem__), max(sizes, key=sizes.__getitem__)
    tell(Figure("diff of two bodies of 100 kB, slowest shape", times[slowest], MOST_MILLISECONDS, "ms", remark=slowest))
    tell(Figure("diff of two bodies of 100 kB, memory", sizes[largest], MOST_MEGABYTES, "MB", remark=largest))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
