"""What a note's front matter says about who may read it: `librarian: never` and `librarian: local`."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

_ANYBODY = frozenset({"", "none", "true", "yes", "always", "cloud"})
_KEY = "librarian"


def why_not(metadata: Mapping[str, Any], *, is_local: bool) -> str:
    """Why a note may not be read by a provider, on this machine or elsewhere; empty if it may.

    What is not understood keeps everybody away: somebody meant to say something.
    """
    said = str(metadata.get(_KEY, "")).strip().lower()
    if said in _ANYBODY or (said == "local" and is_local):
        return ""
    return f"its front matter says {_KEY}: {said[:40]}"


def may_be_sent(*, is_local: bool) -> Q:
    """Notes that leave no trace in a request unless they pass this: stricter than `why_not`, never laxer."""
    allowed = ("true", "yes", "always", "cloud", *(("local",) if is_local else ()))
    said = Q()
    for word in allowed:
        said |= Q(**{f"metadata__{_KEY}__iexact": word})
    return ~Q(metadata__has_key=_KEY) | said | Q(**{f"metadata__{_KEY}": True})
