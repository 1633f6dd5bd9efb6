"""All benchmarks, or those named: `python -m benchmarks [name …]`.

Each runs in a process of its own, one after the other, on an installation of its own. The exit status says whether
they ran, not whether the figures please: what is over its bound stands out in the table.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import FIGURES_FILE, gathered, print_table

NAMES = (
    "protocol",
    "diff",
    "import_export",
    "export",
    "backup",
    "rules",
    "pages",
    "review_keys",
    "preview",
    "events",
    "librarian_run",
    "language_model",
    "report",
    "dashboard",
    "review",
    "jobs",
    "offline",
)


def main(names: Sequence[str]) -> int:
    if unknown := [name for name in names if name not in NAMES]:
        print(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    # A kill puts everything away too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    skipped: list[str] = []
    failed = []
    with tempfile.TemporaryDirectory(prefix="kjxlkj-bench-") as folder:
        figures = Path(folder) / "figures"
        figures.touch()
        try:
            for name in names or NAMES:
                print(f"\n--- {name} ---", flush=True)
                if run(name, figures, skipped):
                    failed.append(name)
        except KeyboardInterrupt:
            return 130
        print(f"\n--- figures, on {os.cpu_count()} cores ---")
        print_table(gathered(figures))
    for line in skipped:
        print(line)
    for name in failed:
        print(f"failed: {name}")
    return 1 if failed else 0


def run(name: str, figures: Path, skipped: list[str]) -> int:
    """The exit status. What was skipped for want of its corpus is added to `skipped`."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{name}"],
        env={**os.environ, FIGURES_FILE: str(figures), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C reaches us alone, and it once: a second signal would cut its putting away short.
        start_new_session=True,
    )
    assert process.stdout
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("skipped:"):
                skipped.append(f"{name}: {line.strip()}")
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
