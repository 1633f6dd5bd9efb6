"""What of a note a condition is decided on: read in SQL, told in words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, JSONObject, Length, NullIf

from kjxlkj.notes.models import NoteLink

# More would be a list to search in, not an answer.
_NAMED = 20
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Aspect:
    """`expression` over `Note` reads it; `tell` says what was read, `tell_of` what of it a word's value is about."""

    expression: Combinable
    tell: Callable[[Any], str] = str
    tell_of: Callable[[Any, Any], str] | None = None

    def told(self, found: Any, value: Any) -> str:
        return self.tell_of(found, value) if self.tell_of else self.tell(found)


def _neighbours(own: str, other: str) -> ArraySubquery:
    """By path, or title, the notes at the other end of a note's links; a link to itself connects nothing."""
    links = NoteLink.objects.filter(**{own: OuterRef("pk")}, target__isnull=False).exclude(**{other: OuterRef("pk")})
    name = Coalesce(NullIf(F(f"{other}__path"), Value("")), F(f"{other}__title"))
    return ArraySubquery(links.order_by(name).values_list(name, flat=True).distinct()[: _NAMED + 1])


def _tell_path(path: str) -> str:
    return path or "no path"


def _tell_tags(tags: Sequence[str]) -> str:
    return _cut(", ".join(tags)) or "no tags"


def _tell_length(length: int) -> str:
    return f"{length:,} character{'' if length == 1 else 's'}"


def _tell_searched(found: Mapping[str, Any]) -> str:
    return f"“{found['title']}”, {_tell_length(found['length'])} of text"


def _tell_metadata(metadata: Mapping[str, Any], value: str | Mapping[str, Any]) -> str:
    """The keys that are asked for: of a long front matter the others would hide them."""
    keys = [value] if isinstance(value, str) else value
    return ", ".join(f"{key}: {_cut(str(metadata[key]))}" if key in metadata else f"no “{key}”" for key in keys)


def _tell_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _tell_links(way: str) -> Callable[[Sequence[str]], str]:
    def tell(names: Sequence[str]) -> str:
        if not names:
            return f"no links {way}"
        count = f"more than {_NAMED} notes" if len(names) > _NAMED else f"{len(names)} note{'s' * (len(names) > 1)}"
        return f"links {way} {count}: {_cut(', '.join(names[:_NAMED]))}"

    return tell


def _cut(text: str) -> str:
    return f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text


_IN, _OUT = _neighbours("target", "source"), _neighbours("source", "target")
_tell_in, _tell_out = _tell_links("from"), _tell_links("to")

PATH = Aspect(F("path"), _tell_path)
TAGS = Aspect(F("tags"), _tell_tags)
TITLE = Aspect(F("title"), "“{}”".format)
KIND = Aspect(F("kind"))
LENGTH = Aspect(Length("body"), _tell_length)
SEARCHED = Aspect(JSONObject(title="title", length=Length("body")), _tell_searched)
METADATA = Aspect(F("metadata"), tell_of=_tell_metadata)
CREATED = Aspect(F("created_at"), _tell_time)
UPDATED = Aspect(F("updated_at"), _tell_time)
LINKS_IN = Aspect(_IN, _tell_in)
LINKS_OUT = Aspect(_OUT, _tell_out)
LINKS = Aspect(JSONObject(into=_IN, out=_OUT), lambda links: f"{_tell_in(links['into'])}; {_tell_out(links['out'])}")
