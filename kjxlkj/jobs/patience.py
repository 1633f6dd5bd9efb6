"""For what must be written although the database is away for a moment."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 2.0


def patiently(act: Callable[[], T], seconds: float, *, using: str = "default") -> T:
    """Call `act`, outside of any transaction, again and again while the database is away, for so long at the most.

    It may have been carried out already when its connection broke: what cannot be done twice must not be given here.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while True:
        try:
            connections[using].close_if_unusable_or_obsolete()
            return act()
        except (OperationalError, InterfaceError) as error:
            connections[using].close()
            if time.monotonic() >= deadline:
                raise
            logger.warning("The database is away, trying again: %s", error)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
