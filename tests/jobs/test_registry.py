import time

import pytest

from kjxlkj.jobs import registry


def test_a_model_has_one_kind_only() -> None:
    with pytest.raises(ValueError, match=r"testapp\.errand is registered"):
        registry.register(registry.kind_of("testapp.errand"))


def test_a_chore_that_waits_is_done_an_hour_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    done: list[str] = []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    at_once = registry.hourly(lambda: done.append("at once"))
    later = registry.hourly(lambda: done.append("later"), waits=True)
    for clock[0] in (1000.0, 4599.0, 4600.0, 4601.0):
        at_once()
        later()
    assert done == ["at once", "at once", "later"]
