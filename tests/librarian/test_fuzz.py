"""A short run of `make fuzz`, the same each time; and that it would notice."""

import time

import pytest

from tests.librarian import fuzz
from tests.librarian.answers import all_answers


def test_damaged_answers_are_read_or_refused():
    tried, read = fuzz.fuzz(seconds=0, first_seed=1)
    assert tried >= fuzz.EXAMPLES_PER_SEED
    assert 0 < read < tried


def test_every_answer_of_the_table_holds_undamaged():
    for answer in all_answers():
        fuzz.check(answer.text)
        fuzz.check(answer.text, strict=True)


def crashing(text, **options):
    raise IndexError(len(text))


def slow(text, **options):
    end = time.process_time() + fuzz.FIXED_SECONDS + 0.2
    while time.process_time() < end:
        pass
    raise IndexError(len(text))


@pytest.mark.parametrize(("reader", "told"), [(crashing, IndexError), (slow, AssertionError)])
def test_a_crash_and_a_slow_reader_are_noticed(monkeypatch, reader, told):
    monkeypatch.setattr(fuzz, "parse_response", reader)
    with pytest.raises(told):
        fuzz.check("short")
