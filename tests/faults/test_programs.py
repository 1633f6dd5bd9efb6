"""The matrix and the soak in their short forms; `make soak` runs them in full."""

import subprocess
import sys

import pytest

from tests.faults.running import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]


@pytest.mark.parametrize("program", [["tests.faults.matrix", "--short"], ["tests.faults.soak", "--seconds", "25"]])
def test_whatever_breaks_every_job_ends_well_and_its_effects_are_there_once(program: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(done.stdout)
    assert done.returncode == 0, "see above for what it has printed; its --seed repeats it"
