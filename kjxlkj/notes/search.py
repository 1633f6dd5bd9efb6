"""Full-text search: English stems and plain words together, the title over the body, words found marked."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from itertools import islice
from operator import add

from django.contrib.postgres.search import SearchHeadline, SearchQuery, SearchRank
from django.db import connection, transaction
from django.db.models import Case, F, Func, OrderBy, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest, Left, Length, Substr
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from kjxlkj.notes.models import SEARCHED_CHARACTERS, Note

# Private-use characters mark the words found, so that the snippet can be escaped whole before they become tags.
_START, _STOP = "\ue000", "\ue001"
_MARKED = re.compile(f"{_START}([^{_START}{_STOP}]*){_STOP}")

# To rank a note takes reading its vector, often from many pages: a common word would take longer than people wait.
RANKED = 1000

# To make a snippet takes parsing the text, milliseconds for a long one: what is around the words found is enough.
_BEFORE, _AROUND = 200, 1200
# Each is looked for apart.
_TERMS = 4
_TERM = re.compile(r'(-?)(?:"([^"]*)"|([^\s"]+))')
_WORD = re.compile(r"\w+")


def search_query(text: str) -> SearchQuery:
    """Words, "phrases", `or` and -exclusions, as people type them into search engines."""
    english = SearchQuery(text, config="english", search_type="websearch")
    plain = SearchQuery(text, config="simple", search_type="websearch")
    return english | plain


def matching(notes: QuerySet[Note], text: str) -> QuerySet[Note]:
    return notes.filter(search_vector=search_query(text))


@contextmanager
def by_index() -> Iterator[None]:
    """A transaction in which matches are found by the index however common a word is.

    The planner takes a scan of all notes for as quick: it does not count that most vectors lie outside of their rows,
    and thinks of disks that turn.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL random_page_cost = 1.1")
        yield


def ranked(notes: QuerySet[Note], text: str) -> QuerySet[Note]:
    """Matching notes, best first, annotated with `rank`. Of more than `RANKED`, those with the best titles."""
    best = matching(notes, text).order_by(*_by_title(text), "-updated_at", "id")[:RANKED]
    rank = SearchRank(F("search_vector"), search_query(text))
    return notes.filter(pk__in=best.values("pk")).annotate(rank=rank).order_by("-rank", "id")


def _by_title(text: str) -> Iterator[OrderBy]:
    """Titles with more of the words first, then short ones: what a note is about is its title, and little else."""
    words = islice((word for term in _terms(text) for word in term), _TERMS)
    found = [Case(When(title__icontains=_stem(word), then=1), default=0) for word in words]
    if found:
        yield reduce(add, found).desc()
    yield Length("title").asc()


def with_snippets(notes: QuerySet[Note], text: str) -> QuerySet[Note]:
    """Annotate `snippet`. It reads whole bodies: apply it to one page of ids, never to a whole result."""
    places = [_place_of(term) for term in islice(_terms(text), _TERMS)]
    # Where the last of the words comes up the others are as a rule not far, for it is what the text is about.
    start = Greatest(Value(1), *(place - _BEFORE for place in places), Value(1))
    return notes.annotate(
        snippet=SearchHeadline(
            Substr("body", start, _AROUND),
            search_query(text),
            config="english",
            start_sel=_START,
            stop_sel=_STOP,
            max_words=30,
            min_words=12,
            max_fragments=2,
            fragment_delimiter=" … ",
        )
    )


def _terms(text: str) -> Iterator[list[str]]:
    """The words and phrases to be found, each as the words it is made of."""
    for excluded, phrase, word in _TERM.findall(text):
        words = _WORD.findall(phrase or word)
        if words and not excluded and word.lower() != "or":
            yield words


def _place_of(words: list[str]) -> Coalesce:
    """Where the term ends in the body for the first time: as written, else with other endings; null if nowhere."""
    as_written = r"\W+".join(words)
    stems = r"\w*\W+".join(map(_stem, words))
    return Coalesce(*(_length_up_to(pattern) for pattern in (as_written, stems)))


def _stem(word: str) -> str:
    """What a word has in common with its other forms, roughly: “queries” and “query” have “quer”."""
    return word[: max(4, len(word) * 3 // 5)]


def _length_up_to(pattern: str) -> Length:
    searched = Left("body", SEARCHED_CHARACTERS)
    return Length(Func(searched, Value(rf"(?i)^.*?\m{pattern}"), function="SUBSTRING", arg_joiner=" FROM "))


def highlighted(snippet: str) -> SafeString:
    """A snippet as HTML: everything escaped, then the marks made into <mark>."""
    marked = _MARKED.sub(r"<mark>\1</mark>", str(escape(snippet)))
    return mark_safe(marked)  # noqa: S308  the text was escaped one line above
