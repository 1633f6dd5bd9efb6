"""Jobs that are bad for whoever runs them end with a code that says so, and others go on."""

from collections.abc import Callable

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
# Not to be stopped from inside: django-q2 ends the worker some seconds later, or its lease is over before.
STUBBORN = ("shrug_off_everything", "seize")


def test_poison_ends_with_its_code_and_others_go_on_meanwhile_and_afterwards(
    supervise: Callable[..., Running],
) -> None:
    supervise(KJXLKJ_JOB_TIMEOUT_SECONDS="2", KJXLKJ_JOB_MEMORY_MB="300")
    poisons = [add(script, max_attempts=2) for script in (*POISONS, *STUBBORN)]
    others = [add("last", 0.1) for _ in range(8)]
    assert wait_until_ended([*poisons, *others], 150), list(Errand.objects.unfinished().values_list("script", "status"))
    for errand in [*poisons, *others]:
        errand.refresh_from_db()
    assert [(errand.status, errand.effects.count()) for errand in others] == [("succeeded", 1)] * 8
    ends = {errand.script: (errand.status, errand.error_code, errand.attempts) for errand in poisons}
    codes = {script: code for script, (code, _) in POISONS.items()}
    assert {script: ends[script] for script in POISONS} == {
        script: ("failed", code, 2) for script, code in codes.items()
    }
    for script in STUBBORN:
        assert ends[script] in [("failed", "JOB_TIMEOUT", 2), ("failed", "WORKER_LOST", 2)], script
    for errand in poisons:
        assert POISONS.get(errand.script, ("", "Worker"))[1] in errand.error_detail, (errand.script, history(errand))
        assert not errand.effects.exists()
    after = add("last", 0.1)
    assert wait_until_ended([after], 60)
    after.refresh_from_db()
    assert after.status == "succeeded"
