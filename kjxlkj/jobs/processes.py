"""Processes that end together."""

import ctypes
import gc
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Have this process signalled when the one that forked it ends, however it ends. Linux only.

    Elsewhere an orphan remains when its parent is killed outright; everything that stops in order is the same.
    """
    if not sys.platform.startswith("linux"):
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def forks_die_with_us() -> None:
    """Every process forked from here on dies with the one that forked it, and so on downwards.

    django-q2's processes survive the death of the one above them, and go on consuming.
    """
    parents: list[int] = []

    def before() -> None:
        parents[:] = [os.getpid()]

    def in_child() -> None:
        die_with_parent(parents[0])

    os.register_at_fork(before=before, after_in_child=in_child)


def work_in_the_background() -> None:
    """This process, and what it forks, interrupts nobody by waking up: a page is served first.

    It gets as much of the processors as before, in fewer and longer turns. Linux only.
    """
    if sys.platform.startswith("linux"):
        # A sandbox may refuse it, and nothing depends on it.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def keep_what_is_loaded() -> None:
    """No garbage collection need look through it again, here and in what is forked."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def limit_memory(megabytes: int) -> None:
    """Refuse this process, and what it forks, more than that: it gets a MemoryError instead of the kernel's kill.

    0 is no limit. What is shared with the process that forked it counts, too.
    """
    if megabytes:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def of_session(session: int) -> Iterator[psutil.Process]:
    """The living processes of a session, whoever their parent is by now."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue


def resident_megabytes(process_id: int) -> int:
    """0 if it has ended."""
    try:
        return int(psutil.Process(process_id).memory_info().rss // 2**20)
    except psutil.NoSuchProcess:
        return 0


def kill_session(session: int, timeout: float = 5.0) -> None:
    """SIGKILL to everything in a session, at once and again until nothing is left of it."""
    remaining = list(of_session(session))
    while remaining and timeout > 0:
        for process in remaining:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(remaining, timeout=0.2)
        timeout -= 0.2
        remaining = list(of_session(session))
