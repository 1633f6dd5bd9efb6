"""Full-text search: English stems and plain words together, the title over the body, words found marked."""

import re

from django.contrib.postgres.search import SearchHeadline, SearchQuery, SearchRank
from django.db.models import F, QuerySet
from django.db.models.functions import Left
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from kjxlkj.notes.models import SEARCHED_CHARACTERS, Note

# Private-use characters mark the words found, so that the snippet can be escaped whole before they become tags.
_START, _STOP = "\ue000", "\ue001"
_MARKED = re.compile(f"{_START}([^{_START}{_STOP}]*){_STOP}")


def search_query(text: str) -> SearchQuery:
    """Words, "phrases", `or` and -exclusions, as people type them into search engines."""
    english = SearchQuery(text, config="english", search_type="websearch")
    plain = SearchQuery(text, config="simple", search_type="websearch")
    return english | plain


def matching(notes: QuerySet[Note], text: str) -> QuerySet[Note]:
    return notes.filter(search_vector=search_query(text))


def ranked(notes: QuerySet[Note], text: str) -> QuerySet[Note]:
    """Matching notes, best first, annotated with `rank`."""
    rank = SearchRank(F("search_vector"), search_query(text))
    return matching(notes, text).annotate(rank=rank).order_by("-rank", "id")


def with_snippets(notes: QuerySet[Note], text: str) -> QuerySet[Note]:
    """Annotate `snippet`. It reads whole bodies: apply it to one page of ids, never to a whole result."""
    return notes.annotate(
        snippet=SearchHeadline(
            Left("body", SEARCHED_CHARACTERS),
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


def highlighted(snippet: str) -> SafeString:
    """A snippet as HTML: everything escaped, then the marks made into <mark>."""
    marked = _MARKED.sub(r"<mark>\1</mark>", str(escape(snippet)))
    return mark_safe(marked)  # noqa: S308  the text was escaped one line above
