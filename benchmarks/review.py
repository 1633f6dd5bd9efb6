"""The review desk at 10,000 pending operations, as one client gets it: `python -m benchmarks.review`.

Made-up proposals of every kind, a good part of them the same change to many notes, over real notes where the corpus is
there. Real HTTP to the real web server over loopback; beside each page, its statements alone.
"""

import http.client
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from html import unescape
from itertools import cycle, islice
from typing import Any
from urllib.parse import urlencode

from benchmarks.figures import Figure, tell
from benchmarks.installation import CorpusMissing, corpus, fresh_installation
from benchmarks.pages import SLUG, Measured, Page, measured, reviewer, web_server

OPERATIONS = 10_000
GROUPS = 150
RUNS = 40
BOUND_MS = 200
BOUND_KB = 150

# Of every hundred operations.
_MIX = {"retag_note": 40, "relink_note": 18, "retitle_note": 14, "rewrite_note": 18, "create_note": 7, "defer": 3}
_MODELS = ("qwen3:8b", "llama3.3:70b", "")
_REASON = "A reason as long as reasons are: this is how the neighbouring notes have it."


def main() -> None:
    with fresh_installation():
        notes = some_notes()
        add_operations(notes)
        user, rows = reviewer(), []
        with web_server() as port, closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            print(f"{'page':<40}{'p50':>7}{'p95':>7}{'floor':>7} ms  statements{'size':>9}")
            for page in pages(user):
                rows.append(row := measured(page, connection, user))
                size = f"{len(user.get(page.url).content) / 1000:.0f} kB"
                times = f"{row.p50:>7.1f}{row.p95:>7.1f}{row.floor:>7.1f}"
                print(f"{page.name:<40}{times}{row.statements:>15}{size:>9}", flush=True)
        tell_all([row for row in rows if row.page.group == "queue"], user)


def tell_all(rows: Sequence[Measured], user: Any) -> None:
    slowest = max(rows, key=lambda row: row.p95)
    name = f"review queue at {OPERATIONS:,} pending, slowest page, p95"
    remark = f"{slowest.page.name}; its statements alone {slowest.floor:.0f} ms"
    tell(Figure(name, slowest.p95, BOUND_MS, "ms", remark=remark))
    largest = max(len(user.get(row.page.url).content) for row in rows) / 1000
    tell(Figure("largest page of the review queue, 25 entries", largest, BOUND_KB, "kB"))


def pages(user: Any) -> Iterator[Page]:
    from librarian.models import Operation

    folder = Operation.objects.exclude(target_note=None).values_list("target_path", flat=True)[5000].rpartition("/")[0]
    queues: dict[str, dict[str, str]] = {
        "by age": {},
        "by risk": {"sort": "risk"},
        "one kind, 90 % or more, by risk": {"kind": "rewrite_note", "confidence": "0.9", "sort": "risk"},
        "groups of tags": {"kind": "retag_note"},
        "a model, newer than a week": {"model": _MODELS[0], "age": "newer-7"},
        "a folder": {"folder": folder},
        "all one by one": {"single": "1"},
    }
    for name, asked in queues.items():
        yield Page("queue", name, url := f"/admin/review/?{urlencode(asked)}", url)
    for sort in ("age", "risk"):
        yield Page("queue", f"by {sort}, deep inside", url := deep_inside(user, sort), url)
    url = f"/admin/review/together/?{urlencode({'kind': 'retitle_note'})}"
    yield Page("together", "500 to accept together", url, url)


def deep_inside(user: Any, sort: str) -> str:
    """Reached as a person would, 20 pages on."""
    url = f"/admin/review/?sort={sort}"
    for _ in range(20):
        link = re.search(r'id="next-page" href="([^"]+)"', user.get(url).content.decode())
        assert link
        url = f"/admin/review/{unescape(link[1])}"
    return url


# --- Data -----------------------------------------------------------------------------------------


def some_notes() -> list[Any]:
    from django.core.management import call_command

    from kjxlkj.notes.cause import by
    from kjxlkj.notes.models import Note
    from kjxlkj.notes.services import NewNote, create_notes
    from kjxlkj.workspaces.console import actor_at_console
    from kjxlkj.workspaces.services import create_workspace

    try:
        call_command("import_notes", corpus("windows-driver-docs"), workspace=SLUG, create=True, stderr=io.StringIO())
    except CorpusMissing as missing:
        print(f"made-up notes: {missing}")
        actor = actor_at_console(None)
        workspace = create_workspace(slug=SLUG, name="Bench", owner=actor)
        text = "What there is to be known about something, told at the length of an ordinary note.\n\n" * 60
        new = [NewNote(f"Note {n}", f"# Note {n}\n\n{text}", f"{n % 50:02}/{n:05}.md") for n in range(3000)]
        create_notes(workspace, new, cause=by(actor))
    notes = Note.objects.filter(workspace__slug=SLUG).order_by("path")
    return list(islice(cycle(notes[: OPERATIONS // 2]), OPERATIONS))


def add_operations(notes: Sequence[Any]) -> None:
    from automation.models import Run
    from automation.services import create_rule
    from kjxlkj.workspaces.console import actor_at_console
    from librarian.models import Operation

    workspace, actor = notes[0].workspace, actor_at_console(None)
    action = {"kind": "librarian_structure"}
    rules = [create_rule(workspace, actor=actor, name=f"Rule {n}", action_json=action) for n in range(4)]
    runs = [
        Run.objects.create(workspace=workspace, rule=rules[n % 4], trigger="manual", rule_snapshot={"name": "R"})
        for n in range(RUNS)
    ]
    kinds = [kind for kind, share in _MIX.items() for _ in range(share)]
    for start in range(0, OPERATIONS, 500):
        Operation.objects.bulk_create(
            Operation(
                workspace=workspace,
                run=runs[number * RUNS // OPERATIONS],
                index=number,
                operation_id=f"op-{number}",
                fingerprint=str(number),
                reason=_REASON,
                confidence=round(0.3 + (number * 37 % 70) / 100, 2),
                model=_MODELS[number % 3],
                warnings=["Loses more than half of the text"] if number % 23 == 0 else [],
                base_version=1,
                **proposal(kinds[number * 61 % 100], number, notes[number]),
            )
            for number in range(start, start + 500)
        )


def proposal(kind: str, number: int, note: Any) -> dict[str, Any]:
    about = {"kind": kind, "target_note": note, "target_path": note.path}
    group = number % GROUPS
    word = next((word for word in note.body.split() if len(word) > 7 and word.isalpha()), "nothing")
    match kind:
        case "retag_note":
            return {**about, "tags": [*note.tags, f"topic-{group}"], "change_key": f"+topic-{group}"}
        case "relink_note":
            key = f"{word} → topic-{group}"
            return {**about, "links": [{"text": word, "target": f"topic-{group}"}], "change_key": key}
        case "retitle_note":
            return {**about, "title": f"{note.title[:180]} (reviewed)"}
        case "rewrite_note":
            middle = len(note.body) // 2
            body = f"{note.body[:middle]}\n\nReviewed, {word} too.\n\n{note.body[middle:]}"
            return {**about, "body_markdown": body}
        case "create_note":
            new = {"target_note": None, "target_path": f"new/{number}.md", "title": f"About {word}"}
            return {**about, **new, "body_markdown": note.body}
    return {**about, "body_markdown": f"Which {word} is meant?"}


if __name__ == "__main__":
    main()
