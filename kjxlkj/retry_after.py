"""The `Retry-After` of HTTP."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Longer than any back-off, and no longer than somebody who waits for it would.
_LONGEST_PAUSE = 24 * 3600.0


def pause(retry_after: str) -> float:
    """The seconds of a `Retry-After`, which is a number or a date; 0 for what is neither."""
    if retry_after.strip().isascii() and retry_after.strip().isdigit():
        return min(float(retry_after), _LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_PAUSE)
