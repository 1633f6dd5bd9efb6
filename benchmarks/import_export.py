"""Import and export beside what any program would have to do: `python -m benchmarks.import_export [corpus …]`.

The floor of an import: read the files, and one COPY of path, title and text into a table that has the same search
vector and index. The floor of an export: zip the files from disk with Python's zipfile at the same level. Floor and
ours take turns, each in a process of its own whose memory is its own; the best of the rounds counts.

Every file that came in is then compared with what went out.
"""

import multiprocessing
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure, tell
from benchmarks.installation import CorpusMissing, corpus, fresh_installation

CORPORA = ("18f-blog", "digitalgov", "flancia-garden", "windows-driver-docs")
# The figures that are promised are those of the largest.
LARGEST = "windows-driver-docs"
ROUNDS = 2
LEVEL = 6
RATIO = 2.5
IMPORT_MB = 400
EXPORT_MB = 200

_FLOOR_TABLE = """
DROP TABLE IF EXISTS floor;
CREATE TABLE floor (path text, title text, body text);
DO $$ BEGIN EXECUTE (
    SELECT format('ALTER TABLE floor ADD COLUMN search_vector tsvector GENERATED ALWAYS AS (%s) STORED',
                  pg_get_expr(adbin, adrelid))
    FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
    WHERE adrelid = 'notes_note'::regclass AND attname = 'search_vector'); END $$;
CREATE INDEX ON floor USING gin (search_vector) WITH (fastupdate = off);
"""


class Taken(NamedTuple):
    seconds: float
    mb: float


def main(names: list[str]) -> None:
    with fresh_installation() as folder:
        for name in names:
            try:
                source = corpus(name)
            except CorpusMissing as missing:
                print(f"skipped: {missing}")
                continue
            files = folder / name
            with zipfile.ZipFile(source) as archive:
                archive.extractall(files)
            measure(name, files)


def measure(name: str, files: Path) -> None:
    from kjxlkj.workspaces.services import create_workspace, system_user

    imports, import_floors, exports, export_floors = [], [], [], []
    for number in range(ROUNDS):
        slug = f"{name}-{number}"
        create_workspace(slug=slug, name=slug, owner=system_user())
        import_floors.append(apart(floor_of_import, files))
        imports.append(apart(import_files, files, slug))
        export_floors.append(apart(floor_of_export, files, files.with_suffix(".floor.zip")))
        exports.append(apart(export_files, files.with_suffix(".zip"), slug))
    again = apart(import_files, files, slug)
    compare(files, files.with_suffix(".zip"))
    told(f"import of {name}", imports, import_floors, IMPORT_MB, again=again)
    told(f"export of {name}", exports, export_floors, EXPORT_MB)


def told(what: str, ours: list[Taken], floors: list[Taken], most_mb: int, again: Taken | None = None) -> None:
    best, floor = min(ours), min(floors)
    remark = f"{best.seconds:.1f} s; the floor {floor.seconds:.1f} s"
    if again is not None:
        remark += f"; the same again, which changes nothing, {again.seconds:.1f} s"
    if LARGEST not in what:
        print(f"{what}: {best.seconds / floor.seconds:.2f} times the floor ({remark}), {best.mb:.0f} MB", flush=True)
        return
    tell(Figure(f"{what}, to its floor", best.seconds / floor.seconds, RATIO, "x", remark=remark))
    tell(Figure(f"{what}, memory", max(taken.mb for taken in ours), most_mb, "MB"))


def apart(work: Callable[..., None], *args: object) -> Taken:
    """Time and peak memory of `work` in a process of its own. Forked: imports are not what is measured."""
    from django.db import connection

    connection.close()
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        start = time.perf_counter()
        work(*args)
        seconds = time.perf_counter() - start
        sender.send(Taken(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
        connection.close()

    process = context.Process(target=child)
    process.start()
    sender.close()
    try:
        taken: Taken = receiver.recv()
    except EOFError:
        raise SystemExit(f"{work.__name__} failed") from None
    process.join()
    return taken


def paths_of(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def floor_of_import(root: Path) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_FLOOR_TABLE)
        with cursor.copy("COPY floor (path, title, body) FROM STDIN") as copy:
            for path in paths_of(root):
                if path.suffix.lower() in {".md", ".markdown"}:
                    text = path.read_bytes().decode(errors="replace").replace("\0", "")
                    copy.write_row((str(path.relative_to(root)), path.stem[:200], text))


def import_files(root: Path, slug: str) -> None:
    from kjxlkj.notes.importing import import_vault
    from kjxlkj.workspaces.models import Workspace
    from kjxlkj.workspaces.services import system_user

    import_vault(Workspace.objects.get(slug=slug), root, actor=system_user())


def floor_of_export(root: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for path in paths_of(root):
            archive.write(path, path.relative_to(root))


def export_files(target: Path, slug: str) -> None:
    from exports.markdown_export import write_archive
    from kjxlkj.storing import whole_file
    from kjxlkj.workspaces.models import Workspace

    with whole_file(target) as file:
        write_archive(file, Workspace.objects.get(slug=slug), {})


def compare(root: Path, target: Path) -> None:
    """Every file that was taken is in the archive, to the byte."""
    import json

    came = {path.relative_to(root).as_posix(): path for path in paths_of(root)}
    with zipfile.ZipFile(target) as archive:
        records = {record["path"]: record for record in json.loads(archive.read("manifest.json"))["files"]}
        for name, record in records.items():
            path = came.pop(record.get("original_path", name))
            if archive.read(name) != path.read_bytes():
                raise SystemExit(f"{path} did not come back as it was")
    print(f"{root.name}: {len(records)} files came back to the byte; {len(came)} were refused or skipped on import")


if __name__ == "__main__":
    main(sys.argv[1:] or list(CORPORA))
