"""Which models are jobs, and what is to be done for each. Apps register theirs in `AppConfig.ready()`."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import Job

J = TypeVar("J", bound=Job)

Effects = Callable[[], None]

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class JobKind(Generic[J]):
    """What `kjxlkj.jobs` has to know of a concrete job.

    `work` does the slow part outside of any transaction and returns the effects: they run in the transaction
    that finishes the job, or not at all. It may be called again after having been cut off anywhere.
    `announce` is called within the transaction of every transition, with the jobs that made it together and the
    status that they had before (None: they are new).
    `acts_outside(job)`: whether it leaves more than what commits with its end, so that a database that was restored
    cannot tell whether it has been done since.
    """

    model: type[J]
    work: Callable[[J, Lease], Effects | None]
    announce: Callable[[Sequence[J], str | None], None]
    acts_outside: Callable[[J], bool] = lambda job: False

    @property
    def label(self) -> str:
        return self.model._meta.label_lower


_kinds: dict[str, JobKind[Any]] = {}


def register(kind: JobKind[Any]) -> None:
    if kind.label in _kinds:
        raise ValueError(f"{kind.label} is registered as a job already: one model, one kind")
    _kinds[kind.label] = kind


def kind_of(label: str) -> JobKind[Any]:
    return _kinds[label]


def kinds() -> Iterator[JobKind[Any]]:
    return iter(_kinds.values())


# What is to be looked after again and again, wherever somebody sweeps: each quick, and safe to be called at once by
# several hosts.
_chores: list[Callable[[], object]] = []


def register_chore(chore: Callable[[], object]) -> None:
    if chore not in _chores:
        _chores.append(chore)


def hourly(chore: Callable[[], object], *, waits: bool = False) -> Callable[[], None]:
    """A chore that is asked for with each sweep, and done once an hour. `waits`: first an hour from now."""
    next_at = time.monotonic() + _HOUR if waits else 0.0

    def do_in_time() -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + _HOUR
            chore()

    return do_in_time


def chores() -> Iterator[Callable[[], object]]:
    return iter(_chores)
