"""Exports of 100,000 and 200,000 notes: `python -m benchmarks.export [notes]`.

The floor of an archive: one COPY of path and text out of the database, each text into a zip by Python's zipfile at the
same level. Floor and ours take turns, each in a process of its own whose memory is its own; the best of the rounds
counts. Then the same notes go into a folder: all of them, none, and ten that changed.
"""

import random
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, tell
from benchmarks.import_export import LEVEL, apart
from benchmarks.installation import fresh_installation

if TYPE_CHECKING:
    from kjxlkj.workspaces.models import Workspace

NOTES = 100_000
CHANGED = 10
ROUNDS = 2
RATIO = 1.5
MEMORY_MB = 150
CHANGED_SHARE = 5
SLUG = "bench"


def main(notes: int = NOTES) -> None:
    with fresh_installation() as folder:
        workspace = made_workspace(SLUG, notes)
        archive(folder, workspace, notes)
        into_folder(folder / "out", workspace, notes)
        twice = made_workspace(f"{SLUG}-twice", 2 * notes)
        memory = apart(export_archive, folder / "twice.zip", twice.slug).mb
        tell(Figure(f"export of {2 * notes:,} notes, memory", memory, MEMORY_MB, "MB"))


def archive(folder: Path, workspace: "Workspace", notes: int) -> None:
    ours, floors = [], []
    for _ in range(ROUNDS):
        floors.append(apart(floor, folder / "floor.zip", workspace.slug))
        ours.append(apart(export_archive, folder / "ours.zip", workspace.slug))
    best, bottom = min(ours), min(floors)
    remark = f"{best.seconds:.1f} s; the floor {bottom.seconds:.1f} s, {bottom.mb:.0f} MB"
    tell(Figure(f"export of {notes:,} notes, to its floor", best.seconds / bottom.seconds, RATIO, "x", remark=remark))
    tell(Figure(f"export of {notes:,} notes, memory", max(taken.mb for taken in ours), MEMORY_MB, "MB"))


def into_folder(root: Path, workspace: "Workspace", notes: int) -> None:
    query = min(apart(names_alone, workspace.slug) for _ in range(ROUNDS)).seconds
    everything = apart(export_folder, root, workspace.slug)
    some = []
    for number in range(ROUNDS):
        change(workspace, number)
        some.append(apart(export_folder, root, workspace.slug))
    best = min(some)
    share = 100 * (best.seconds - query) / everything.seconds
    remark = (
        f"{best.seconds - query:.2f} s after the query of {query:.2f} s; everything {everything.seconds:.1f} s, "
        f"{everything.mb:.0f} MB"
    )
    tell(Figure(f"{CHANGED} changed of {notes:,}, to all into a folder", share, CHANGED_SHARE, "%", remark=remark))


def change(workspace: "Workspace", number: int) -> None:
    from kjxlkj.notes.cause import by
    from kjxlkj.notes.models import Note
    from kjxlkj.notes.services import update_note
    from kjxlkj.workspaces.services import system_user

    for note in Note.objects.filter(workspace=workspace).order_by("id")[:CHANGED]:
        update_note(note, base_version=note.version, cause=by(system_user()), body=f"{number}\n{note.body}")


def names_alone(slug: str) -> None:
    """The query of the snapshot."""
    from exports.contents import Contents
    from kjxlkj.workspaces.models import Workspace

    for _ in Contents(Workspace.objects.get(slug=slug), {}).wanted():
        pass


def export_folder(root: Path, slug: str) -> None:
    from exports.markdown_export import write_folder
    from kjxlkj.workspaces.models import Workspace

    write_folder(root, Workspace.objects.get(slug=slug), {})


def floor(target: Path, slug: str) -> None:
    from django.db import connection

    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as made,
        connection.cursor() as cursor,
        cursor.copy(
            "COPY (SELECT path, front_matter || body FROM notes_note JOIN workspaces_workspace AS w"
            " ON w.id = workspace_id WHERE slug = %s AND deleted_at IS NULL ORDER BY path) TO STDOUT",
            [slug],
        ) as copy,
    ):
        copy.set_types(["text", "text"])
        for path, text in copy.rows():
            made.writestr(path, text.encode())


def export_archive(target: Path, slug: str) -> None:
    from exports.markdown_export import write_archive
    from kjxlkj.storing import whole_file
    from kjxlkj.workspaces.models import Workspace

    with whole_file(target) as file:
        write_archive(file, Workspace.objects.get(slug=slug), {})


# --- Notes ----------------------------------------------------------------------------------------

COLUMNS = (
    "id", "workspace_id", "path", "title", "body", "front_matter", "tags", "aliases", "metadata", "kind", "version",
    "created_at", "updated_at",
)  # fmt: skip


def made_workspace(slug: str, notes: int) -> "Workspace":
    """Notes as an import leaves them, made up, and always the same; without their search vectors, which take long to
    make and are not exported."""
    from django.db import connection, transaction

    from kjxlkj.notes.bulk import copy_rows
    from kjxlkj.notes.models import Note
    from kjxlkj.workspaces.services import create_workspace, system_user

    began = time.perf_counter()
    workspace = create_workspace(slug=slug, name=slug, owner=system_user())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE notes_note ALTER COLUMN search_vector DROP EXPRESSION IF EXISTS")
        copy_rows(Note, COLUMNS, rows(workspace, notes))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as the server does by itself, a minute later
    print(f"{notes:,} notes made in {time.perf_counter() - began:.0f} s", flush=True)
    return workspace


def rows(workspace: "Workspace", notes: int) -> Iterator[tuple[Any, ...]]:
    from django.utils import timezone

    from kjxlkj.ids import new_id

    now = timezone.now()
    made_up = random.Random(7)
    # Few words are common and most are rare, as in texts.
    words = ["".join(made_up.choices("eeetaoinshrdlcumwfgyp", k=made_up.randint(2, 10))) for _ in range(5_000)]
    weights = [1 / (rank + 5) for rank in range(len(words))]
    sentences = [" ".join(made_up.choices(words, weights, k=12)) for _ in range(20_000)]
    for number in range(notes):
        title = f"Note {number}"
        tags = sorted({f"t{number % 97}", f"area/{number % 40}"})
        lines = made_up.choices(sentences, k=made_up.randrange(2, 60))
        yield (
            new_id(), workspace.id, f"area {number % 50}/topic {number % 1000}/note {number}.md", title,
            f"\n# {title}\n\n" + "\n".join(lines) + "\n",
            f"---\ntitle: {title}\ntags: [{', '.join(tags)}]\nstatus: open\n---\n",
            tags, [], {"title": title, "tags": tags, "status": "open"}, "markdown", 1, now, now,
        )  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
