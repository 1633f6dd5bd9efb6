"""Previews of rules over 100,000 notes: `python -m benchmarks.preview`.

Called as the API calls it: count, examples, runs, and the verdicts on one note, in a transaction that cannot write.
Beside each stands its floor: the count alone, sent by psycopg.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, tell
from benchmarks.installation import fresh_installation

if TYPE_CHECKING:
    from kjxlkj.workspaces.models import Workspace

NOTES = 100_000
LINKS_EACH = 3
REQUESTS = 30
WARM_UP = 3
BOUND_MS = 500
BOUND_OTHER = 2
SLUG = "bench"

# What an index answers, alone or before the rest is looked at.
INDEXED: dict[str, dict[str, Any]] = {
    "every note": {},
    "folder": {"folder": "area7"},
    "folder inside": {"folder": "area7/topic207"},
    "path starts with": {"path_prefix": "area1"},
    "tag": {"tag": "t7"},
    "common tag": {"tag": "inbox"},
    "any of tags": {"tag_any": ["t1", "t2", "t3"]},
    "all of tags": {"tag_all": ["t1", "inbox"]},
    "search, rare word": {"text": "w9000"},
    "search, common word": {"text": "w3"},
    "search, two words": {"text": "w30 w40"},
    "links to a note": {"links_to": "area0/topic0/note0.md"},
    "changed lately": {"updated_within_days": 7},
    "folder and text contains": {"folder": "area7", "body_contains": "w900"},
    "any of folder, tag, search": {"any": [{"folder": "area7"}, {"tag": "t7"}, {"text": "w9000"}]},
    "tag and not folder": {"tag": "inbox", "not": {"folder": "area7"}},
}
# What takes looking at every note.
OTHER: dict[str, dict[str, Any]] = {
    "tag or below": {"tag_under": "area"},
    "untagged": {"untagged": True},
    "front matter has": {"has_metadata": "status"},
    "front matter says": {"metadata_equals": {"status": "open", "year": 2024}},
    "title contains": {"title_contains": "note 77"},
    "text contains": {"body_contains": "w900"},
    "long": {"min_length": 1000},
    "linked": {"linked": True},
    "orphan": {"orphan": True},
    "all of it, nested": {
        "any": [{"tag_under": "area"}, {"not": {"has_metadata": "status"}}],
        "not": {"all": [{"linked": False}, {"body_contains": "w900"}]},
    },
}


@dataclass(frozen=True, slots=True)
class Measured:
    name: str
    p50: float
    p95: float
    floor: float
    """p95 of its count alone. All in ms."""


def main() -> None:
    with fresh_installation():
        from kjxlkj.workspaces.console import actor_at_console
        from kjxlkj.workspaces.services import create_workspace

        workspace = create_workspace(slug=SLUG, name="Bench", owner=actor_at_console(None))
        fill(workspace)
        print(f"{'condition':<30}{'matching':>9}{'p50':>8}{'p95':>8}{'floor':>8} ms", flush=True)
        indexed = [measured(workspace, name, condition) for name, condition in INDEXED.items()]
        other = [measured(workspace, name, condition) for name, condition in OTHER.items()]
    slowest = max(indexed, key=lambda row: row.p95)
    remark = f"{slowest.name}; its count alone {slowest.floor:.0f} ms"
    tell(Figure("preview, indexed conditions, slowest, p95", slowest.p95, BOUND_MS, "ms", remark=remark))
    # How long it takes to look at every note is for the database to say.
    ratio = sum(row.p95 for row in other) / sum(row.floor for row in other)
    slowest = max(other, key=lambda row: row.p95)
    remark = f"{slowest.name} {slowest.p95:.0f} ms; its count alone {slowest.floor:.0f} ms"
    tell(Figure("preview, other conditions, to their counts alone", ratio, BOUND_OTHER, "×", remark=remark))


def measured(workspace: "Workspace", name: str, condition: dict[str, Any]) -> Measured:
    from automation.preview import preview
    from kjxlkj.notes.models import Note

    note = Note.objects.filter(workspace=workspace)[NOTES // 2]
    action = {"kind": "librarian_structure", "plan": {"goal": "File it"}}
    values = {"trigger": "note.changed", "condition_json": condition, "action_json": action}
    times = milliseconds(lambda: preview(workspace.id, values, note_id=note.id))
    count = count_of(lambda: preview(workspace.id, values))
    floors = milliseconds(lambda: send(count))
    row = Measured(name, quantiles(times, n=100)[49], quantiles(times, n=100)[94], quantiles(floors, n=100)[94])
    matching = preview(workspace.id, values).matching
    print(f"{name:<30}{matching:>9,}{row.p50:>8.1f}{row.p95:>8.1f}{row.floor:>8.1f}", flush=True)
    return row


def milliseconds(work: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(WARM_UP + REQUESTS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times[WARM_UP:]


def count_of(call: Callable[[], object]) -> str:
    """The statement with which a preview counts."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        call()
    (count,) = [query["sql"] for query in captured if query["sql"].startswith("SELECT COUNT")]
    return str(count)


def send(statement: str) -> None:
    from django.db import connection

    with connection.connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.fetchall()


# --- Notes ----------------------------------------------------------------------------------------


def fill(workspace: "Workspace") -> None:
    """Notes and links as an import leaves them, made up, and always the same."""
    from django.db import connection, transaction

    from kjxlkj.ids import new_id
    from kjxlkj.notes.bulk import copy_rows
    from kjxlkj.notes.models import Note, NoteLink

    made_up = random.Random(4)
    ids = [new_id() for _ in range(NOTES)]
    began = time.perf_counter()
    with transaction.atomic():
        copy_rows(
            Note, COLUMNS, ((note_id, workspace.id, *row) for note_id, row in zip(ids, rows(made_up), strict=True))
        )
        links = (
            (workspace.id, source, position, "wiki", "[[…]]", "…", "", "", ids[int(NOTES * made_up.random() ** 3)])
            for source in ids
            if made_up.random() < 0.7
            for position in range(LINKS_EACH)
        )
        copy_rows(NoteLink, LINK_COLUMNS, links)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as the server does by itself, a minute later
    print(f"{NOTES:,} notes made in {time.perf_counter() - began:.0f} s")


COLUMNS = (
    "id", "workspace_id", "path", "title", "body", "front_matter", "tags", "aliases", "metadata", "kind", "version",
    "created_at", "updated_at",
)  # fmt: skip
LINK_COLUMNS = ("workspace_id", "source_id", "position", "kind", "raw", "key", "heading", "text", "target_id")


def rows(made_up: random.Random) -> Iterator[tuple[Any, ...]]:
    from django.utils import timezone

    now = timezone.now()
    for number in range(NOTES):
        # Few words are common and most are rare, as in texts.
        words = [f"w{int(10_000 * made_up.random() ** 3)}" for _ in range(made_up.randrange(20, 300))]
        tags = [f"t{int(500 * made_up.random() ** 2)}" for _ in range(made_up.randrange(3))]
        tags += ["inbox"] * (made_up.random() < 0.2) + [f"area/{made_up.randrange(40)}"] * (made_up.random() < 0.1)
        metadata = {"status": made_up.choice(["open", "done", "later"]), "year": made_up.randrange(2000, 2026)}
        changed = now - timedelta(days=1000 * made_up.random())
        yield (
            f"area{number % 50}/topic{number % 1000}/note{number}.md", f"Note {number}", " ".join(words), "",
            sorted(set(tags)), [], metadata if made_up.random() < 0.6 else {}, "markdown", 1,
            changed - timedelta(days=300 * made_up.random()), changed,
        )  # fmt: skip


if __name__ == "__main__":
    main()
