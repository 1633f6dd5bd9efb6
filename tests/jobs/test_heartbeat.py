import os
import threading
from typing import Any

import pytest

from kjxlkj.jobs.heartbeat import Heart
from tests.jobs.conftest import wait_for


class Counted:
    def __init__(self, fault: Exception | None = None) -> None:
        self.beats = 0
        self._fault = fault

    def beat(self) -> None:
        self.beats += 1
        if self._fault:
            raise self._fault


@pytest.fixture
def heart(settings: Any) -> Heart:
    settings.JOB_LEASE_SECONDS = 0.6
    return Heart()


def test_it_beats_for_what_is_kept_and_no_longer(heart: Heart) -> None:
    first, second = Counted(), Counted()
    heart.keep(first)
    heart.keep(second)
    wait_for(lambda: first.beats > 2 and second.beats > 2)
    heart.let_go(first)
    stopped_at, went_on_at = first.beats, second.beats
    wait_for(lambda: second.beats > went_on_at + 3)
    assert first.beats <= stopped_at + 1  # one beat may have been on its way


def test_one_that_cannot_be_looked_after_stops_no_other(heart: Heart) -> None:
    sick, well = Counted(ZeroDivisionError()), Counted()
    heart.keep(sick)
    heart.keep(well)
    wait_for(lambda: well.beats > 3 and sick.beats > 3)


def test_a_thread_that_could_not_be_started_is_started_by_the_next(heart: Heart, monkeypatch: Any) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(threading.Thread, "start", refuse)
        heart.keep(Counted())
    lease = Counted()
    heart.keep(lease)
    wait_for(lambda: lease.beats)


def test_a_forked_process_has_a_heart_of_its_own(heart: Heart) -> None:
    heart.keep(Counted())
    child = os.fork()
    if child == 0:
        lease = Counted()
        heart.keep(lease)
        try:
            wait_for(lambda: lease.beats, 5)
        finally:
            os._exit(0 if lease.beats else 1)
    assert os.waitpid(child, 0)[1] == 0
