"""Programs that die with whoever started them."""

import subprocess
import sys

import psutil
import pytest

from kjxlkj.jobs.leash import leashed
from tests.faults.running import ROOT
from tests.jobs.conftest import wait_for

_PARENT = """
import subprocess
from kjxlkj.jobs.leash import leashed
child = subprocess.Popen(leashed(["/bin/sleep", "600"]))
print(child.pid, flush=True)
child.wait()
"""


def test_it_becomes_the_program_with_its_arguments_and_its_status():
    done = subprocess.run(
        leashed(["/bin/sh", "-c", 'echo "$0 $1"; exit 3', "a b", "c"]), cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (3, "a b c\n")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has it alone")
def test_it_dies_with_a_parent_that_is_killed_outright():
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    wait_for(lambda: child.name() == "sleep")
    parent.kill()
    parent.wait()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
