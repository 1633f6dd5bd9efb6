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
from kjxlkj.jobs.transitions import cluster_name
from tests.jobs.testapp import poison
from tests.jobs.testapp.models import Announcement, Effect, Errand, Moment
from tests.jobs.testapp.pauses import held, pause


def announce(errands: Sequence[Errand], previous: str | None) -> None:
    Announcement.objects.bulk_create(
        Announcement(errand=errand, previous=previous or "", status=errand.status) for errand in errands
    )
    for errand in errands:
        if errand.status == "running":
            pause(errand, Moment.CLAIM)


def work(errand: Errand, lease: Lease) -> Effects | None:
    if errand.script == "stepwise":
        _stepwise(errand, lease)
        return None
    pause(errand, Moment.MIDDLE)
    SCRIPTS[errand.script](errand, lease)
    return lambda: _effects(errand)


def _effects(errand: Errand) -> None:
    for source in range(errand.sources):
        _effect(errand, source)
        if errand.script == "linger":
            time.sleep(float(errand.argument) / errand.sources)
    if errand.script == "break_in_effects":
        raise DomainError("NO_EFFECT", "The effects could not be made.")


def _effect(errand: Errand, source: int) -> None:
    Effect.objects.create(errand=errand, source=source, cluster=cluster_name())
    if source == errand.sources - 1:
        pause(errand, Moment.EFFECT)


def _last(seconds: float, lease: Lease) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lease.check()
        time.sleep(0.02)


def _stepwise(errand: Errand, lease: Lease) -> None:
    """Each effect is committed by itself, after its part of the time; what an attempt before did is left alone."""
    for source in range(errand.sources):
        _last(float(errand.argument or 0) / errand.sources, lease)
        if source == errand.sources - 1:
            pause(errand, Moment.MIDDLE)
        with transaction.atomic():
            lease.guard()
            if not errand.effects.filter(source=source).exists():
                _effect(errand, source)


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


def _share(errand: Errand, lease: Lease) -> None:
    """Holds one of `argument` slots for a while; tells as its progress how many were held at once, as far as it saw."""
    from kjxlkj.jobs.slots import slot

    with slot(lease, "something scarce", int(errand.argument)), held() as count:
        for _ in range(20):
            lease.progress(max(count(), lease.reported.done))
            _last(0.02, lease)


SCRIPTS: dict[str, Callable[[Errand, Lease], None]] = {
    "succeed": lambda errand, lease: None,
    "break_in_effects": lambda errand, lease: None,
    # Takes its time over its effects, within the transaction that finishes it.
    "linger": lambda errand, lease: None,
    "last": lambda errand, lease: _last(float(errand.argument), lease),
    "refuse": _refuse,
    "crash": _crash,
    "retry": _retry,
    "retry_once": _retry_once,
    "postpone": _postpone,
    "kill": _kill,
    "share": _share,
    **poison.SCRIPTS,
}
