"""A run that asks a language model: `python -m benchmarks.language_model`.

50 notes, one in a request, sent to a server on this machine that takes a second for each answer, 8 at once. The ideal
is what the server alone would need. Our own time is that of this process, all its threads, in the run.
"""

import math
import subprocess
import sys
import time

from benchmarks.figures import Figure, tell
from benchmarks.installation import fresh_installation

SOURCES = 50
AT_ONCE = 8
SECONDS = 1.0
MOST_RATIO = 1.15
MOST_CPU_MS = 20
ROUNDS = 3


def main() -> None:
    with fresh_installation():
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.model_server", str(SECONDS)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout
            measure(int(server.stdout.readline()))
        finally:
            server.kill()
            server.wait()


def measure(port: int) -> None:
    from django.conf import settings

    from kjxlkj.notes.cause import by
    from kjxlkj.notes.services import NewNote, create_notes
    from kjxlkj.workspaces.console import actor_at_console
    from kjxlkj.workspaces.services import create_workspace

    settings.PROVIDER_SLOTS = {**settings.PROVIDER_SLOTS, "openai_compatible": AT_ONCE}
    actor = actor_at_console(None)
    workspace = create_workspace(slug="bench", name="Bench", owner=actor)
    text = "What there is to be known of it, told at the length of an ordinary note.\n\n" * 20
    notes = [NewNote(f"Note {number}", f"# Note {number}\n\n{text}", f"{number}.md") for number in range(SOURCES)]
    create_notes(workspace, notes, cause=by(actor))
    figures = [one_run(workspace, actor, port, number) for number in range(ROUNDS + 1)]
    # The first one has the index built and the libraries loaded.
    wall, cpu = min(figures[1:])
    ideal = math.ceil(SOURCES / AT_ONCE) * SECONDS
    print(f"first run {figures[0][0]:.2f} s; ideal {ideal:.2f} s; others {[round(each[0], 2) for each in figures[1:]]}")
    tell(Figure("50 requests to a model, 8 at once, of the ideal", wall / ideal, MOST_RATIO, "x"))
    tell(Figure("our own time for a request to a model", 1000 * cpu / SOURCES, MOST_CPU_MS, "ms"))


def one_run(workspace, actor, port: int, number: int) -> tuple[float, float]:
    from automation.models import Run
    from automation.services import create_rule, launch_rule
    from kjxlkj.jobs.services import execute
    from librarian.models import Operation

    action = {
        "kind": "librarian_structure",
        "provider": {
            "provider_kind": "openai_compatible",
            "base_url": f"http://127.0.0.1:{port}/v1",
            "model": f"made-up-{number}",
        },
        "limits": {"sources_per_request": 1, "max_requests": SOURCES, "max_total_tokens": 10_000_000},
    }
    rule = create_rule(workspace, actor=actor, name=f"R{number}", trigger="manual", action_json=action)
    (run,) = launch_rule(rule, actor=actor).runs
    began, cpu = time.perf_counter(), time.process_time()
    execute("automation.run", run.id)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    run = Run.objects.get(pk=run.pk)
    made = Operation.objects.filter(run=run).count()
    if run.status != "succeeded" or made != SOURCES:
        raise RuntimeError(f"{run.status} with {made} operations: {run.error_detail}")
    return seconds, cpu


if __name__ == "__main__":
    main()
