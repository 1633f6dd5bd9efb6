"""What errands do, by script."""

import os
import signal
import time
from collections.abc import Callable, Sequence

from django.db import transaction

from kjxlkj.errors import DomainError
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.outcomes import Postponed, Retry
from kjxlkj.jobs.registry import Effects
from tests.jobs.testapp.models import Announcement, Effect, Errand


def announce(errands: Sequence[Errand], previous: str | None) -> None:
    Announcement.objects.bulk_create(
        Announcement(errand=errand, previous=previous or "", status=errand.status) for errand in errands
    )


def work(errand: Errand, lease: Lease) -> Effects | None:
    SCRIPTS[errand.script](errand, lease)
    return lambda: _effect(errand)


def _effect(errand: Errand) -> None:
    if errand.script == "break_in_effects":
        Effect.objects.create(errand=errand)
        raise DomainError("NO_EFFECT", "The effects could not be made.")
    Effect.objects.create(errand=errand)


def _last(seconds: float, lease: Lease) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lease.check()
        time.sleep(0.02)


def _retry_once(errand: Errand, lease: Lease) -> None:
    if errand.attempts == 1:
        raise Retry("timeout", "The other side did not answer.", delay=float(errand.argument or 0))


def _refuse(errand: Errand, lease: Lease) -> None:
    raise DomainError("NOT_POSSIBLE", "This errand cannot be run.")


def _crash(errand: Errand, lease: Lease) -> None:
    raise ZeroDivisionError("a fault of our own")


def _retry(errand: Errand, lease: Lease) -> None:
    raise Retry("rate_limited", "Too fast.", delay=float(errand.argument or 0))


def _postpone(errand: Errand, lease: Lease) -> None:
    raise Postponed("All slots are taken.", delay=float(errand.argument or 0))


def _kill(errand: Errand, lease: Lease) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _steps(errand: Errand, lease: Lease) -> None:
    for _ in range(int(errand.argument)):
        with transaction.atomic():
            lease.guard()
            Effect.objects.create(errand=errand)


SCRIPTS: dict[str, Callable[[Errand, Lease], None]] = {
    "succeed": lambda errand, lease: None,
    "break_in_effects": lambda errand, lease: None,
    "last": lambda errand, lease: _last(float(errand.argument), lease),
    "refuse": _refuse,
    "crash": _crash,
    "retry": _retry,
    "retry_once": _retry_once,
    "postpone": _postpone,
    "kill": _kill,
    "steps": _steps,
}
