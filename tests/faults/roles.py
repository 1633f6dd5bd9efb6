"""Who is who among the processes that django-q2 forks: each leaves a note, for from outside they look alike."""

import multiprocessing
import os
from multiprocessing import util
from pathlib import Path


def leave_notes(folder: str) -> None:
    """Have each process forked from here on write what it is into `folder`, in a file named by its id."""

    def leave(_: object) -> None:
        target = vars(multiprocessing.current_process()).get("_target")
        if target is not None:
            Path(folder, str(os.getpid())).write_text(target.__name__.lower())

    _kept.append(leave)
    util.register_after_fork(leave, leave)


def role_of(process_id: int, folder: str) -> str:
    """`sentinel`, `worker`, `monitor`, `pusher`; nothing if it has not come so far."""
    try:
        return Path(folder, str(process_id)).read_text()
    except FileNotFoundError:
        return ""


# multiprocessing refers to them weakly.
_kept: list[object] = []
