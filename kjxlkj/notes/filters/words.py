"""The words of the vocabulary: what each takes, what it means in SQL, and what of a note decides it.

No condition is ever NULL, whatever the note: under `not`, NULL would hold for nothing and its opposite too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Exists, F, Func, OuterRef, Q, TextField, Value
from django.db.models.functions import Concat, Length, Now
from django.db.models.lookups import Contains, GreaterThanOrEqual, LessThanOrEqual

from kjxlkj.notes.filters import aspects, values
from kjxlkj.notes.filters.aspects import Aspect
from kjxlkj.notes.filters.values import Takes
from kjxlkj.notes.models import NoteLink
from kjxlkj.notes.search import search_query


@dataclass(frozen=True, slots=True)
class Filter:
    """One word: how it reads, what it takes, what it means in SQL (of the value read), and what decides it."""

    label: str
    takes: Takes
    q: Callable[[Any], Q]
    aspect: Aspect

    @property
    def schema(self) -> Mapping[str, Any]:
        return self.takes.schema

    @property
    def input(self) -> str:
        return self.takes.input

    @property
    def choices(self) -> Sequence[str]:
        return self.takes.choices

    def condition(self, value: Any) -> Q:
        """Raises `BadValue`."""
        return self.q(self.takes.read(value))

    def condition_from_text(self, text: str) -> Q:
        """Of a query parameter. Raises `BadValue`."""
        return self.condition(self.takes.from_text(text))


def _in_folder(folder: str) -> Q:
    """Notes in the folder or below it; the empty folder means those that lie in none."""
    return Q(path__startswith=f"{folder}/") if folder else ~Q(path__contains="/")


def _tag_under(tag: str) -> Q:
    """The tag or one below it. Each tag stands on a line of its own, with its end marked as a level is."""
    lines = Func(F("tags"), Value("/\n"), function="array_to_string", output_field=TextField())
    lines = Concat(Value("\n"), lines, Value("/"), output_field=TextField())
    return Q(Contains(lines, f"\n{tag}/"))


def _metadata_equals(pairs: Mapping[str, Sequence[Any]]) -> Q:
    """By containment, which an index knows; unlike `metadata__key` it takes no key of digits for a position."""
    each = (reduce(or_, (Q(metadata__contains={key: value}) for value in found)) for key, found in pairs.items())
    return reduce(and_, each)


# A note that links to itself is connected with nothing.
_LINKS_OUT = NoteLink.objects.filter(source=OuterRef("pk"), target__isnull=False).exclude(target=OuterRef("pk"))
_LINKS_IN = NoteLink.objects.filter(target=OuterRef("pk")).exclude(source=OuterRef("pk"))
_IS_LINKED, _IS_LINKING = Q(Exists(_LINKS_IN)), Q(Exists(_LINKS_OUT))

# What is asked of a note's links whatever the value: who judges it by many conditions at once looks once.
IN_COMMON = (Exists(_LINKS_IN), Exists(_LINKS_OUT))


def _links_to(path: str) -> Q:
    return Q(Exists(_LINKS_OUT.filter(target__path=path)))


def _is(condition: Q) -> Callable[[bool], Q]:
    return lambda wanted: condition if wanted else ~condition


def _since(field: str) -> Callable[[int], Q]:
    return lambda days: Q(**{f"{field}__gte": Now() - Value(timedelta(days=days))})


VOCABULARY: dict[str, Filter] = {
    "folder": Filter("in folder", values.FOLDER, _in_folder, aspects.PATH),
    "path_prefix": Filter("path starts with", values.TEXT, lambda v: Q(path__startswith=v), aspects.PATH),
    "tag": Filter("has the tag", values.TAG, lambda v: Q(tags__contains=[v]), aspects.TAGS),
    "tag_any": Filter("has any of the tags", values.TAGS, lambda v: Q(tags__overlap=v), aspects.TAGS),
    "tag_all": Filter("has all of the tags", values.TAGS, lambda v: Q(tags__contains=v), aspects.TAGS),
    "tag_under": Filter("has the tag or one below it", values.TAG, _tag_under, aspects.TAGS),
    "untagged": Filter("has no tags", values.BOOLEAN, _is(Q(tags=[])), aspects.TAGS),
    "title_contains": Filter("title contains", values.TEXT, lambda v: Q(title__icontains=v), aspects.TITLE),
    "body_contains": Filter("text contains", values.TEXT, lambda v: Q(body__icontains=v), aspects.LENGTH),
    "text": Filter("matches the search", values.TEXT, lambda v: Q(search_vector=search_query(v)), aspects.SEARCHED),
    "kind": Filter("is of kind", values.KIND, lambda v: Q(kind=v), aspects.KIND),
    "has_metadata": Filter("front matter has", values.TEXT, lambda v: Q(metadata__has_key=v), aspects.METADATA),
    "lacks_metadata": Filter("front matter lacks", values.TEXT, lambda v: ~Q(metadata__has_key=v), aspects.METADATA),
    "metadata_equals": Filter("front matter says", values.PAIRS, _metadata_equals, aspects.METADATA),
    "min_length": Filter(
        "text at least this long", values.NUMBER, lambda v: Q(GreaterThanOrEqual(Length("body"), v)), aspects.LENGTH
    ),
    "max_length": Filter(
        "text at most this long", values.NUMBER, lambda v: Q(LessThanOrEqual(Length("body"), v)), aspects.LENGTH
    ),
    "created_since": Filter("created since", values.TIME, lambda v: Q(created_at__gte=v), aspects.CREATED),
    "updated_since": Filter("changed since", values.TIME, lambda v: Q(updated_at__gte=v), aspects.UPDATED),
    "created_within_days": Filter("created within days", values.DAYS, _since("created_at"), aspects.CREATED),
    "updated_within_days": Filter("changed within days", values.DAYS, _since("updated_at"), aspects.UPDATED),
    "links_to": Filter("links to the note at", values.TEXT, _links_to, aspects.LINKS_OUT),
    "linked": Filter("is linked to by a note", values.BOOLEAN, _is(_IS_LINKED), aspects.LINKS_IN),
    "orphan": Filter("has no link in or out", values.BOOLEAN, _is(~_IS_LINKED & ~_IS_LINKING), aspects.LINKS),
}
