"""Jobs that are bad for whoever runs them end with a code that says so, and others go on."""

from collections.abc import Callable, Sequence

import pytest

from tests.faults.errands import add, wait_until_ended
from tests.faults.running import Running
from tests.jobs.conftest import history
from tests.jobs.testapp.models import Errand

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults"),
]

# What each ends with, and what the detail tells.
POISONS = {
    "kill": ("WORKER_LOST", "killed"),
    "bloat": ("JOB_OUT_OF_MEMORY", "300 MB"),
    "loop": ("JOB_TIMEOUT", "2 seconds"),
    "sleep": ("JOB_TIMEOUT", "2 seconds"),
    "shrug_off_errors": ("JOB_TIMEOUT", "2 seconds"),
    "import_nothing": ("JOB_IMPORT_FAILED", "tests.jobs.testapp.nowhere"),
}
# Not to be stopped from inside.
STUBBORN = ("shrug_off_everything", "seize")


def end(errands: Sequence[Errand]) -> dict[str, tuple[str, str, int]]:
    """How each ends, by its script."""
    assert wait_until_ended(errands, 150), list(Errand.objects.unfinished().values_list("script", "status"))
    for errand in errands:
        errand.refresh_from_db()
        assert errand.effects.count() == (errand.status == "succeeded")
    return {errand.script: (errand.status, errand.error_code, errand.attempts) for errand in errands}


def test_poison_ends_with_its_code_and_others_go_on_meanwhile_and_afterwards(
    supervise: Callable[..., Running],
) -> None:
    supervise(KJXLKJ_JOB_TIMEOUT_SECONDS="2", KJXLKJ_JOB_MEMORY_MB="300")
    poisons = [add(script, max_attempts=2) for script in POISONS]
    others = [add("last", 0.1) for _ in range(8)]
    ends = end(poisons)
    assert ends == {script: ("failed", code, 2) for script, (code, _) in POISONS.items()}
    for errand in poisons:
        assert POISONS[errand.script][1] in errand.error_detail, history(errand)
    for other in [*others, add("last", 0.1)]:
        assert end([other])["last"][0] == "succeeded"


def test_a_worker_that_nothing_can_interrupt_is_killed_and_others_go_on(supervise: Callable[..., Running]) -> None:
    supervise(KJXLKJ_JOB_TIMEOUT_SECONDS="2")
    poisons = [add(script, max_attempts=1) for script in STUBBORN]
    others = [add("last", 0.1) for _ in range(8)]
    for script, (status, code, _) in end(poisons).items():
        assert status == "failed"
        # Of two that hang at once the second is ended with its cluster, which then shows no sign of life.
        assert code in {"JOB_TIMEOUT", "WORKER_LOST"}, script
    assert all("Worker" in errand.error_detail for errand in poisons)
    for other in [*others, add("last", 0.1)]:
        assert end([other])["last"][0] == "succeeded"
