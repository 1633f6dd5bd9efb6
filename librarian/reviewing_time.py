"""How much work reviewing is: how long a proposal was looked at, and how much of it was put right.

Kept with the operation, of the operation: for how good proposals are, not for how good people are.
"""

import math
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from librarian.diff import word_diff
from librarian.models import Operation

# Somebody who left the page open over lunch did not read for an hour.
LONGEST_SECONDS = 600.0


def measure(operation: Operation, via: str, seconds: float | None) -> None:
    """Note on `operation` (unsaved) how it is being decided, if the instance measures that."""
    if not settings.REVIEW_TIMES:
        return
    operation.via = via
    if seconds is not None and math.isfinite(seconds):
        operation.shown_at = timezone.now() - timedelta(seconds=min(max(seconds, 0.0), LONGEST_SECONDS))


def measure_edits(operation: Operation, proposed: Operation) -> None:
    """Note on `operation` (unsaved) how far it is from what was `proposed`."""
    if settings.REVIEW_TIMES and operation.edited:
        operation.edited_characters = characters_between(_text_of(proposed), _text_of(operation))


def characters_between(old: str, new: str) -> int:
    """How many characters go and come, as a word diff shows them."""
    return sum(len(part.old) + len(part.new) for part in word_diff(old, new) if part.op != "equal")


def _text_of(operation: Operation) -> str:
    links = [f"{link['text']} {link['target']}" for link in operation.links or []]
    return "\n".join([operation.title, operation.body_markdown, *(operation.tags or []), *links])
