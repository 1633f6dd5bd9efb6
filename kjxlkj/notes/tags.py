"""Labels of notes in their one normal form."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from kjxlkj.errors import Invalid

MAX_TAGS = 64
MAX_TAG_CHARACTERS = 64

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_LEADING = re.compile(r"\A[#/\s_]+")
_GAP = re.compile(r"[\s_-]*[\s_][\s_-]*")
_EDGE = re.compile(r"\A[\s_]+|[\s_]+\Z")


class TagInvalid(Invalid):
    """A label, or a set of labels, that is over a limit."""


@lru_cache(2048)  # a workspace's notes share their labels
def normalise_tag(text: str) -> str:
    """The normal form of a label, or "" where nothing is left of it. Normalising twice changes nothing."""
    folded = unicodedata.normalize("NFD", _CONTROL.sub("", text)).casefold()
    segments = (_GAP.sub("-", _EDGE.sub("", segment)) for segment in _LEADING.sub("", folded).split("/"))
    return unicodedata.normalize("NFC", "/".join(filter(None, segments)))


def normalise_tags(labels: Iterable[str]) -> list[str]:
    """Sorted, each once, empty ones dropped. Raises TagInvalid for what is over the limits."""
    tags = sorted({tag for label in labels if (tag := normalise_tag(label))})
    for tag in tags:
        if len(tag) > MAX_TAG_CHARACTERS:
            raise TagInvalid(
                "TAG_TOO_LONG",
                f"The tag “{tag[:MAX_TAG_CHARACTERS]}…” has {len(tag)} characters. Shorten it to {MAX_TAG_CHARACTERS}.",
                {"field": "tags", "tag": tag, "limit": MAX_TAG_CHARACTERS},
            )
    if len(tags) > MAX_TAGS:
        raise TagInvalid(
            "TOO_MANY_TAGS",
            f"There are {len(tags)} tags. A note can have {MAX_TAGS}: remove {len(tags) - MAX_TAGS}.",
            {"field": "tags", "count": len(tags), "limit": MAX_TAGS},
        )
    return tags
