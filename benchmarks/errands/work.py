"""What an errand does: it may tell that it has begun, and may last a while."""

import time
from typing import Any

from benchmarks import signs
from benchmarks.errands.models import Errand
from kjxlkj.jobs.lease import Lease


def work(errand: Errand, lease: Lease) -> None:
    if errand.sign is not None:
        signs.tell_begun(errand.sign)
    began = time.monotonic()
    while (left := began + errand.seconds - time.monotonic()) > 0:
        # As all work does that lasts: it is told within a second that it was cancelled.
        lease.progress(int(errand.seconds - left))
        lease.check()
        time.sleep(min(left, 0.1))


def announce(*_: Any) -> None:
    """Nobody is interested."""
