"""The benchmark of the feed in its short form; `make bench` runs it in full."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.running import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("storms")]


def test_readers_among_writers_get_every_event_once_and_in_order(tmp_path: Path) -> None:
    figures = tmp_path / "figures"
    sizes = ["--seconds", "4", "--readers", "10", "--writers", "4"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KJXLKJ", "DJANGO"))}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.events", *sizes],
        cwd=ROOT,
        env={**kept, "KJXLKJ_BENCH_FIGURES": str(figures)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0
    measured = [json.loads(line) for line in figures.read_text(encoding="utf-8").splitlines()]
    faults = {each["name"].rpartition(": ")[2]: each["measured"] for each in measured if not each["unit"]}
    assert faults == {"missed": 0, "doubled": 0, "disordered": 0, "foreign": 0}
    (delivered,) = [each["remark"] for each in measured if each["name"].endswith("missed")]
    assert int(delivered.split()[1].replace(",", "")) > 100
