import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kjxlkj.notes.tags import MAX_TAG_CHARACTERS, MAX_TAGS, TagInvalid, normalise_tag, normalise_tags


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Web Design", "web-design"),
        ("#Web_Design", "web-design"),
        ("web \t design", "web-design"),
        ("web - design", "web-design"),
        ("a--b", "a--b"),
        ("C++", "c++"),
        ("Area//Sub Area/", "area/sub-area"),
        ("/a/ b /", "a/b"),
        ("# #a", "a"),
        ("/#a", "a"),
        ("c#", "c#"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Cafe\u0301", "caf\u00e9"),
        ("日本 語", "日本-語"),
        ("a\x00b", "ab"),
        ("no\u00a0break", "no-break"),
        ("", ""),
        (" #/_ ", ""),
    ],
)
def test_a_label_is_brought_to_its_normal_form(written, normal):
    assert normalise_tag(written) == normal


@given(st.text() | st.text(alphabet="aA#/_- \t\u0345\u0390\u01f0e\u0301"))
def test_normalising_twice_changes_nothing(text):
    once = normalise_tag(text)
    assert normalise_tag(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not any(character.isspace() for character in once)


def test_every_single_character_is_stable():
    """Every one that there is, and one that is none."""
    letters = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in {"Cn", "Co", "Cs"}]
    unstable = [c for c in [*letters, "\U0010ffff"] if normalise_tag(normalise_tag(c)) != normalise_tag(c)]
    assert unstable == []


@given(st.text())
def test_canonically_equal_labels_are_one_tag(text):
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    assert normalise_tag(composed) == normalise_tag(decomposed)


def test_a_set_is_sorted_and_holds_each_tag_once():
    assert normalise_tags(["b", "#B", "a", "", "A a"]) == ["a", "a-a", "b"]


def test_a_tag_over_the_limit_is_named():
    assert normalise_tags(["x" * MAX_TAG_CHARACTERS]) == ["x" * MAX_TAG_CHARACTERS]
    with pytest.raises(TagInvalid) as refused:
        normalise_tags(["x" * (MAX_TAG_CHARACTERS + 1)])
    assert refused.value.code == "TAG_TOO_LONG"
    assert refused.value.details["field"] == "tags"


def test_more_tags_than_the_limit_are_refused_but_repeats_do_not_count():
    labels = [f"tag {number}" for number in range(MAX_TAGS)]
    assert len(normalise_tags(labels + [label.upper() for label in labels])) == MAX_TAGS
    with pytest.raises(TagInvalid) as refused:
        normalise_tags([*labels, "one more"])
    assert refused.value.code == "TOO_MANY_TAGS"
