"""What a run of 10,000 operations came to, as one client gets it: `python -m benchmarks.report`.

Report, operations and acceptance, in the admin and over the API, from the real web server over loopback.
"""

import http.client
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

from benchmarks.figures import Figure, tell
from benchmarks.installation import fresh_installation
from benchmarks.pages import SLUG, Measured, Page, measured, reviewer, web_server

OPERATIONS = 10_000
NOTES = OPERATIONS // 3 + 1
DECIDED = 500
BOUND_MS = 150


def main() -> None:
    with fresh_installation():
        run_id, rule_id = made_up_run()
        user, rows = reviewer(), []
        with web_server() as port, closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            for page in pages(run_id, rule_id):
                rows.append(row := measured(page, connection, user))
                print(
                    f"{page.name:<40} p50 {row.p50:6.1f}  p95 {row.p95:6.1f} ms  {row.statements} statements",
                    flush=True,
                )
        slowest: Measured = max(rows, key=lambda row: row.p95)
        name = f"report of {OPERATIONS:,} operations, slowest page, p95"
        tell(Figure(name, slowest.p95, BOUND_MS, "ms", remark=slowest.page.name))


def made_up_run() -> tuple[UUID, UUID]:
    """One run of so many operations, of which people have decided some."""
    from benchmarks.proposals import run_rule
    from kjxlkj.notes.cause import by
    from kjxlkj.notes.services import NewNote, create_notes
    from kjxlkj.workspaces.console import actor_at_console
    from kjxlkj.workspaces.services import create_workspace
    from librarian.models import Operation
    from librarian.services import Decision, review

    actor = actor_at_console(None)
    workspace = create_workspace(slug=SLUG, name="Bench", owner=actor)
    text = "What there is to be known about something, told at the length of an ordinary note.\n\n" * 5
    new = [NewNote(f"Note {number}", f"# Note {number}\n\n{text}", f"{number:05}.md") for number in range(NOTES)]
    notes = create_notes(workspace, new, cause=by(actor))
    (run,) = run_rule(SLUG, "Many", [note.id for note in notes], notes_in_a_run=NOTES)
    operations = Operation.objects.filter(run=run)
    if operations.count() < OPERATIONS:
        raise RuntimeError(f"only {operations.count():,} operations")
    pending = operations.pending().values_list("pk", flat=True)[:DECIDED]
    review([Decision(pk, "apply" if number % 4 else "reject") for number, pk in enumerate(pending)], actor=actor)
    return run.pk, run.rule_id


def pages(run_id: UUID, rule_id: UUID) -> Iterator[Page]:
    from kjxlkj.workspaces.models import Workspace

    here = Workspace.objects.get(slug=SLUG).pk
    for name, url in {
        "report": f"/admin/review/run/{run_id}/report/",
        "operations, admin": f"/admin/review/run/{run_id}/",
        "acceptance, admin": f"/admin/review/acceptance/?rule={rule_id}",
        "report, API": f"/api/automation/runs/{run_id}/report",
        "exchanges, API": f"/api/automation/runs/{run_id}/exchanges",
        "operations, API": f"/api/automation/runs/{run_id}/operations",
        "acceptance, API": f"/api/librarian/acceptance?workspace_id={here}&rule_id={rule_id}",
    }.items():
        yield Page("report", name, url, url)


if __name__ == "__main__":
    main()
