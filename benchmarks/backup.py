"""A backup beside a bare pg_dump, and its verification beside a bare pg_restore: `python -m benchmarks.backup [notes]`.

Ours measures each table in the snapshot that is dumped, and keeps a checksum; a verification reads the dump through,
restores it, measures each table again and looks for attachments. The floors are the programs alone, with the same
formats, and for a verification the making and dropping of a database and a count of each table. Floor and ours take
turns; the best of the rounds counts.
"""

import io
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Figure, tell
from benchmarks.installation import fresh_installation

NOTES = 30_000
ROUNDS = 3
BACKUP_RATIO = 1.1
VERIFY_RATIO = 1.3
_AT_ONCE = 1000


def main(notes: int) -> None:
    with fresh_installation() as folder:
        fill(notes)
        dump, floor = folder / "ours.dump", folder / "floor.dump"
        backups: tuple[list[float], list[float]] = ([], [])
        checks: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            backups[1].append(timed(bare_dump, floor))
            backups[0].append(timed(back_up, dump))
        for _ in range(ROUNDS):
            checks[1].append(timed(bare_restore, floor))
            checks[0].append(timed(verify, dump))
        told(f"backup of {notes:,} notes, to pg_dump", backups, BACKUP_RATIO, f"{dump.stat().st_size / 1e6:.0f} MB")
        told(f"verification of {notes:,} notes, to pg_restore", checks, VERIFY_RATIO, "")


def fill(notes: int) -> None:
    from kjxlkj.notes.cause import by
    from kjxlkj.notes.services import NewNote, create_notes
    from kjxlkj.workspaces.services import create_workspace, system_user

    chances = random.Random(7)
    words = ["".join(chances.choices("abcdefghiklmnoprstuvw", k=chances.randint(3, 11))) for _ in range(20_000)]
    workspace = create_workspace(slug="team", name="Team", owner=system_user())

    def note(number: int) -> NewNote:
        text = " ".join(chances.choices(words, k=350))
        return NewNote(
            f"Note {number}", f"# {text[:40]}\n\n{text}\n\n[[Note {number // 2}]]\n", tags=[words[number % 50]]
        )

    for start in range(0, notes, _AT_ONCE):
        create_notes(workspace, [note(number) for number in range(start, start + _AT_ONCE)], cause=by(system_user()))


def timed(work: Callable[[Path], object], path: Path) -> float:
    start = time.perf_counter()
    work(path)
    return time.perf_counter() - start


def told(what: str, taken: tuple[list[float], list[float]], bound: float, remark: str) -> None:
    ours, floor = min(taken[0]), min(taken[1])
    words = f"{ours:.2f} s; the floor {floor:.2f} s" + (f"; {remark}" if remark else "")
    tell(Figure(what, ours / floor, bound, "x", remark=words))


def program(name: str, database: str, *arguments: str) -> None:

    from psycopg.conninfo import make_conninfo

    from exports import programs
    from exports.servers import address

    described = {key: value for key, value in address(database).items() if key != "password"}
    environment = {**os.environ, "PGPASSWORD": address(database).get("password", "")}
    command = [programs.find(name).path, *arguments, f"--dbname={make_conninfo(**described)}"]
    subprocess.run(command, check=True, env=environment)


def bare_dump(path: Path) -> None:
    from exports.servers import address

    program("pg_dump", address()["dbname"], "--format=custom", f"--file={path}")


def back_up(path: Path) -> None:
    from django.core.management import call_command

    call_command("backup_sql", "--to", str(path), stdout=io.StringIO())


def bare_restore(path: Path) -> None:
    from psycopg.sql import SQL, Identifier

    from exports import digests
    from exports.servers import connect, maintenance

    with maintenance("benchmark") as session:
        session.execute("CREATE DATABASE floor TEMPLATE template0")
        program("pg_restore", "floor", "--no-owner", "--exit-on-error", str(path))
        with connect("floor") as restored:
            for name in digests.tables(restored):
                restored.execute(SQL("SELECT count(*) FROM {}").format(Identifier(*name)))
        session.execute("DROP DATABASE floor")


def verify(path: Path) -> None:
    from exports.backup_file import read
    from exports.verification import examine

    outcome = examine(read(path))
    assert outcome["ok"], outcome


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NOTES)
