"""Settings of gunicorn, as its configuration module (`gunicorn -c python:kjxlkj.jobs.web`)."""

import logging.config
import os
import signal
from pathlib import Path
from types import FrameType

from kjxlkj.jobs import waiting
from kjxlkj.jobs.processes import die_with_parent, keep_what_is_loaded
from kjxlkj.logs import configuration

wsgi_app = "kjxlkj.wsgi:application"
bind = os.environ.get("KJXLKJ_BIND", "127.0.0.1:8000")
# Threads, because most of a request is waiting for the database; two processes, because the rest is Python.
worker_class = "gthread"
workers = int(os.environ.get("KJXLKJ_WEB_WORKERS", 2))
threads = int(os.environ.get("KJXLKJ_WEB_THREADS", 8)) + waiting.PLACES
# For the cursors of those who follow hundreds of workspaces.
limit_request_line = 8190
# What it starts and stops is told by the supervisor.
loglevel = "warning"
timeout = 60
graceful_timeout = 10
# Its heartbeat touches a file each second: in memory, or a busy disk makes it kill its own workers.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes a private file in it
# The supervisor steers it by signals.
control_socket_disable = True

if "KJXLKJ_SUPERVISOR" in os.environ:
    die_with_parent(int(os.environ["KJXLKJ_SUPERVISOR"]), signal.SIGTERM)


def on_starting(server: object) -> None:
    """Gunicorn has set up lines of its own form by now: ours instead."""
    logging.config.dictConfig(configuration())


def post_worker_init(worker: object) -> None:
    """Of a page with many cards that saves a fifth, and the pauses of some tens of milliseconds that some requests had
    and others not."""
    keep_what_is_loaded()
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        _end_waiting_at(number)


def _end_waiting_at(number: int) -> None:
    """Whoever waits is answered before gunicorn obeys the signal, and holds up no stop."""
    obey = signal.getsignal(number)

    def heed(number: int, frame: FrameType | None) -> None:
        waiting.stop()
        if callable(obey):
            obey(number, frame)

    signal.signal(number, heed)
