"""The table of answers, damaged in the ways of the grammar, against the reader.

    python -m tests.librarian.fuzz [--seconds 60] [--seed N]

Whatever becomes of an answer: nothing but ProtocolError is raised, the time is bounded by the length, and what is
read can be written, and read again as the same.
"""

import argparse
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from librarian.protocol import ProtocolError, neutralise, parse_response, restore, serialize_response
from librarian.protocol.grammar import FLAGS, REQUEST, RESPONSE, tag_expression
from tests.librarian.answers import REQUEST_ID, all_answers

# A hundredth of the speed that is promised, so that only what is not linear gets here, on a busy machine too.
LEAST_BYTES_PER_SECOND = 200_000
FIXED_SECONDS = 0.2
MOST_OPERATIONS = 3
EXAMPLES_PER_SEED = 500

NAMES = sorted(REQUEST.names | RESPONSE.names)
TAG = re.compile(tag_expression(NAMES), FLAGS)
TEXTS = [answer.text for answer in all_answers() if len(answer.text) < 10_000]

tags = st.builds("{}{}{}".format, st.sampled_from(["<", "</", "‹\\", "‹\\\\/"]), st.sampled_from(NAMES), st.just(">"))
noise = st.one_of(
    tags,
    st.sampled_from(["<think>", "</think>", "[THINK]", "```xml\n", "\0", "\r\n", "\ufeff", "&lt;", "<!--", "]]>", "<"]),
    st.sampled_from(["<title a='b'>", "<tags/>", "<operation ", '="', "‹", "NaN", "1.2", "0,5", "{{request}}", "\r"]),
    st.text(max_size=8),
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """One of the answers after one to four mutations."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        text = draw(st.sampled_from(MUTATIONS))(draw, text)
    return text


def span(draw: st.DrawFn, text: str) -> tuple[int, int]:
    """Where to cut: mostly at tags, since that is where the reader decides."""
    edges = [edge for tag in TAG.finditer(text) for edge in tag.span()] if draw(st.integers(0, 3)) else []
    places = st.sampled_from(edges) if edges else st.integers(0, len(text))
    first, second = draw(places), draw(places)
    return min(first, second), max(first, second)


def splice(draw: st.DrawFn, text: str) -> str:
    other = draw(st.sampled_from(TEXTS))
    (start, end), (first, last) = span(draw, text), span(draw, other)
    return text[:start] + other[first:last] + text[end:]


def delete(draw: st.DrawFn, text: str) -> str:
    start, end = span(draw, text)
    return text[:start] + text[end:]


def duplicate(draw: st.DrawFn, text: str) -> str:
    start, end = span(draw, text)
    return text[:end] + text[start:end] * draw(st.integers(1, 5)) + text[end:]


def truncate(draw: st.DrawFn, text: str) -> str:
    return text[: span(draw, text)[1]]


def swap_case(draw: st.DrawFn, text: str) -> str:
    start, end = span(draw, text)
    return text[:start] + text[start:end].swapcase() + text[end:]


def insert(draw: st.DrawFn, text: str) -> str:
    start, _ = span(draw, text)
    return text[:start] + draw(noise) + text[start:]


def neutralise_part(draw: st.DrawFn, text: str) -> str:
    start, end = span(draw, text)
    change = draw(st.sampled_from([neutralise, restore]))
    return text[:start] + change(text[start:end]) + text[end:]


MUTATIONS: list[Callable[[st.DrawFn, str], str]] = [
    splice, delete, duplicate, truncate, swap_case, insert, insert, neutralise_part,
]  # fmt: skip


def check(text: str, *, strict: bool = False) -> bool:
    """Whether the text was read. Raises AssertionError, or what must never be raised."""
    began = time.process_time()
    try:
        response = parse_response(text, request_id=REQUEST_ID, max_operations=MOST_OPERATIONS, strict=strict)
    except ProtocolError as error:
        assert error.faults
        return False
    finally:
        took, size = time.process_time() - began, len(text)
        assert took < FIXED_SECONDS + size / LEAST_BYTES_PER_SECOND, f"{size} characters took {took:.2f} s"
    assert len(response.operations) <= MOST_OPERATIONS
    written = serialize_response(response)
    # Notices and reasoning are the reader's alone: what was borne once is plain after it was written.
    plain = replace(response, notices=(), reasoning="")
    assert parse_response(written, request_id=REQUEST_ID, max_operations=MOST_OPERATIONS, strict=True) == plain
    assert TAG.search(neutralise(text)) is None
    return True


def fuzz(seconds: float, first_seed: int) -> tuple[int, int]:
    """How many answers were tried, and how many of them read. At least one round, each with a seed of its own."""
    end, round_seed, tried, read = time.monotonic() + seconds, first_seed, 0, 0

    @settings(max_examples=EXAMPLES_PER_SEED, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged(), st.booleans())
    def one(text: str, strict: bool) -> None:
        nonlocal tried, read
        tried += 1
        read += check(text, strict=strict)

    while round_seed == first_seed or time.monotonic() < end:
        try:
            seed(round_seed)(one)()
        except Exception as error:
            error.add_note(f"Again: python -m tests.librarian.fuzz --seconds 0 --seed {round_seed}")
            raise
        round_seed += 1
    return tried, read


def main() -> None:
    parser = argparse.ArgumentParser(description="Damages answers of models, and has the reader read them.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"For {options.seconds:g} seconds, from seed {options.seed} on")
    tried, read = fuzz(options.seconds, options.seed)
    print(f"{tried:,} answers, {read:,} of them readable, and nothing to complain of")


if __name__ == "__main__":
    main()
