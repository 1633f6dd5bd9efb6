"""The offline librarian over a whole vault, as workers run it: `python -m benchmarks.librarian_run`.

One launch of a rule over all of flancia-garden in runs of 50 notes, executed by the supervisor's two workers. The
time is from the launch to the end of the last run; building the index, which happens once, is part of it.
"""

import io
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from benchmarks.figures import Figure, tell
from benchmarks.installation import CorpusMissing, corpus, fresh_installation
from benchmarks.workers import wait_until, workers

if TYPE_CHECKING:
    from automation.models import Run
    from kjxlkj.jobs.child import Child

SOURCES_PER_RUN = 50
BOUND_SECONDS = 60


def main() -> None:
    try:
        vault = corpus("flancia-garden")
    except CorpusMissing as missing:
        print(f"skipped: {missing}")
        return
    with fresh_installation():
        from django.core.management import call_command

        call_command("import_notes", vault, workspace="bench", create=True, stderr=io.StringIO())
        with workers() as supervisor:
            measure(supervisor)


def measure(supervisor: "Child") -> None:
    from automation.services import create_rule, launch_rule
    from kjxlkj.workspaces.console import actor_at_console, workspace_at_console

    actor = actor_at_console(None)
    action = {"kind": "librarian_structure", "limits": {"max_sources": SOURCES_PER_RUN}}
    rule = create_rule(workspace_at_console("bench"), actor=actor, name="All", trigger="manual", action_json=action)
    began = time.perf_counter()
    runs = launch_rule(rule, actor=actor).runs
    print(f"{len(runs)} runs, launched in {time.perf_counter() - began:.2f} s", flush=True)
    largest, together = watch(supervisor)
    seconds = time.perf_counter() - began
    report()
    print(f"peak memory: largest process {largest} MB, supervisor and all workers {together} MB")
    tell(Figure("librarian over flancia-garden, launch to last run", seconds, BOUND_SECONDS, "s"))


def report() -> None:
    """What came of the runs. Raises if one has failed: its time would count for nothing."""
    from django.db.models import Count

    from automation.models import Run
    from librarian.models import Operation

    failed = Run.objects.exclude(status="succeeded").values_list("error_code", "error_detail")
    if failed:
        raise RuntimeError(f"{len(failed)} runs failed; the first: {failed[0]}")
    counted = Operation.objects.order_by("kind", "status").values_list("kind", "status").annotate(Count("pk"))
    for kind, status, count in counted:
        print(f"  {kind:<14}{status:<10}{count:>7,}")
    seconds = sorted(stage_seconds(run) for run in Run.objects.all())
    print(f"a run: median {seconds[len(seconds) // 2]:.2f} s, longest, which had the index built, {seconds[-1]:.2f} s")


def stage_seconds(run: "Run") -> float:
    return float(sum(stage["seconds"] for stage in run.result_json["stages"]))


# --- Workers --------------------------------------------------------------------------------------


def watch(supervisor: "Child") -> tuple[int, int]:
    """Wait for all runs to end; returns the peak of the largest process and of all together, in MB."""
    from automation.models import Run

    largest = together = 0

    def finished() -> bool:
        nonlocal largest, together
        sizes = memory(supervisor)
        largest, together = max(largest, *sizes), max(together, sum(sizes))
        return not Run.objects.unfinished().exists()

    wait_until(finished, supervisor)
    return largest, together


def memory(supervisor: "Child") -> list[int]:
    """Resident MB of each process below the supervisor, itself included; what they share counts in each."""
    sizes = [0]
    for pid in supervisor.process_ids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    sizes.append(each.memory_info().rss // 2**20)
    return sizes


if __name__ == "__main__":
    main()
