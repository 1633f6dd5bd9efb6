"""A process that the supervisor answers for, with all that it forks."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from kjxlkj.jobs.processes import kill_session, of_session

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
# Who lived for so long did not die of its start: the next pause is a short one again.
_STEADY_SECONDS = 4.0


class Child:
    """Runs in a session of its own: the terminal's Ctrl-C does not reach it, and a kill reaches all of it."""

    def __init__(
        self,
        *,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        queue: str = "",
        workers: int = 0,
    ) -> None:
        self.name = name
        self.queue = queue
        self.workers = workers
        self.started_at = 0.0
        # Set by the caretaker, obeyed by the supervisor at its next look.
        self.has_stalled = False
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._pause = _FIRST_PAUSE
        self._restart_at = 0.0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process_ids(self) -> set[int]:
        process = self._process
        return set() if process is None else {member.pid for member in of_session(process.pid)}

    def start(self) -> None:
        self.has_stalled = False
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own commands
            self._command,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def tend(self) -> None:
        """Start it anew, after a pause that grows with each failure, if it has ended or stalled."""
        if self._process is None:
            if time.monotonic() >= self._restart_at:
                self.start()
        elif self.has_stalled or not self.is_running:
            logger.error("%s %s: starting it anew", self.name, "has stalled" if self.has_stalled else "has ended")
            self.kill()
            lived = time.monotonic() - self.started_at
            self._pause = _FIRST_PAUSE if lived > _STEADY_SECONDS else min(2 * self._pause, _LONGEST_PAUSE)
            self._restart_at = time.monotonic() + self._pause

    def ask_to_stop(self) -> None:
        """Its main process alone: django-q2 hangs when each of its processes is told."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self._process is not None:
            kill_session(self._process.pid)
            self._process.wait()
        self._process = None
