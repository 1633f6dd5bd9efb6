"""The matrix and the soak in their short forms; `make soak` runs them in full."""

import subprocess
import sys

import pytest

from tests.faults.running import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("storms")]


@pytest.mark.parametrize(("program", "seconds"), [("matrix", 20), ("soak", 12)])
def test_whatever_breaks_every_job_ends_well_and_its_effects_are_there_once(program: str, seconds: int) -> None:
    command = [sys.executable, "-m", f"tests.faults.{program}", "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    assert done.returncode == 0, "see above for what it has printed; its --seed repeats it"
