"""The cursor of the feed: short, stable, and nothing that it did not make is taken for one."""

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kjxlkj.errors import BadRequest
from kjxlkj.ids import new_id
from kjxlkj.workspaces.cursor import MOST_WORKSPACES, decode_positions, encode_positions, name_of

NAMES = st.binary(min_size=8, max_size=8)
SEQS = st.integers(min_value=0, max_value=2**63 - 1)


@given(st.dictionaries(NAMES, SEQS, max_size=30))
@example({b"12345678": 0})
@example({b"12345678": 2**63 - 1, b"12345679": 127, b"1234567:": 128})
def test_what_is_decoded_is_what_was_encoded(positions):
    text = encode_positions(positions)
    assert decode_positions(text) == {name: seq for name, seq in positions.items() if seq}
    assert encode_positions(decode_positions(text)) == text
    assert text.isascii() and text.replace("-", "").replace("_", "").isalnum()


@given(st.dictionaries(NAMES, SEQS, min_size=2, max_size=9), st.randoms())
def test_the_same_positions_make_the_same_cursor(positions, chance):
    pairs = list(positions.items())
    chance.shuffle(pairs)
    assert encode_positions(dict(pairs)) == encode_positions(positions)


@given(st.one_of(st.text(max_size=60), st.from_regex(r"\AAQ?[A-Za-z0-9_-]{0,60}\Z")))
def test_any_other_text_is_refused_or_is_exactly_what_would_be_made(text):
    try:
        positions = decode_positions(text)
    except BadRequest as error:
        assert error.details["errors"][0]["field"] == "cursor"
    else:
        assert encode_positions(positions) == text


@given(st.dictionaries(NAMES, st.integers(1, 2**40), min_size=1, max_size=9), st.data())
def test_a_cursor_that_was_cut_off_or_altered_never_breaks_anything(positions, data):
    text = encode_positions(positions)
    at = data.draw(st.integers(0, len(text) - 1))
    for broken in (text[:at], text[:at] + "*" + text[at:], text + "=", f" {text}"):
        try:
            assert encode_positions(decode_positions(broken)) == broken
        except BadRequest as error:
            assert "after=latest" in error.message


def test_as_many_workspaces_as_it_may_hold_fit_into_an_address():
    positions = {name_of(new_id()): 10_000_000 + number for number in range(MOST_WORKSPACES)}
    assert len(encode_positions(positions)) < 6500
    with pytest.raises(BadRequest, match="workspace_id: you follow 401 workspaces"):
        encode_positions({**positions, b"one more": 1})


def test_a_workspace_is_named_by_the_random_end_of_its_id():
    assert name_of(UUID("01981d70-0000-7000-8123-456789abcdef")) == bytes.fromhex("8123456789abcdef")
    assert len({name_of(new_id()) for _ in range(10_000)}) == 10_000
