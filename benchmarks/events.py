"""The feed of events under load: `python -m benchmarks.events [--seconds 60] [--readers 50] [--writers 8]`.

Writers change notes of several workspaces as fast as they can, each in a transaction of its own. Readers follow all of
their workspaces over HTTP, waiting where there is nothing, at the web server as the supervisor starts it. Beside them a
floor: psycopg alone, which is told by the same notifications and reads the same rows; and what is written with nobody
reading.
"""

import itertools
import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, tell
from benchmarks.installation import fresh_installation
from benchmarks.pages import web_server

if TYPE_CHECKING:
    from kjxlkj.workspaces.models import Workspace

WORKSPACES = 4
READERS_IN_A_PROCESS = 25
MOST_MS = {50: 500, 95: 2000}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--writers", type=int, default=8)
    given = parser.parse_args()
    with fresh_installation(), web_server() as port:
        alone = written_in(given.seconds / 4, given.writers, make_workspaces("alone"))
        workspaces = make_workspaces("followed")
        with following(port, readers_of(workspaces, given.readers), workspaces) as ask:
            together = written_in(given.seconds, given.writers, workspaces)
            answers = ask({str(each.id): each.events.count() for each in workspaces})
    report(given, alone / (given.seconds / 4), together / given.seconds, answers)


def report(given: Any, alone: float, together: float, answers: Sequence[dict[str, Any]]) -> None:
    *readers, floor = answers
    own = quantiles(itertools.chain.from_iterable(each["milliseconds"] for each in readers), n=100)
    least = quantiles(floor["milliseconds"], n=100)
    delivered = sum(len(each["milliseconds"]) for each in readers)
    print(f"  {together:.0f} events written a second ({alone:.0f} with nobody reading), {delivered:,} delivered")
    print(f"  delivery p50 {own[49]:.0f} ms, p95 {own[94]:.0f} ms; floor {least[49]:.0f} and {least[94]:.0f} ms")
    name = f"events, {given.readers} readers, {given.writers} writers, {given.seconds:.0f} s"
    for fault in ("missed", "doubled", "disordered", "foreign"):
        remark = f"of {delivered:,} delivered; {together:.0f} written a second" if fault == "missed" else ""
        tell(Figure(f"{name}: {fault}", sum(each[fault] for each in answers), 0, "", remark=remark))
    for share, bound in MOST_MS.items():
        remark = f"psycopg alone {least[share - 1]:.0f} ms"
        tell(Figure(f"{name}: delivery, p{share}", own[share - 1], bound, "ms", remark=remark))


# --- Writers --------------------------------------------------------------------------------------


def written_in(seconds: float, writers: int, workspaces: "Sequence[Workspace]") -> int:
    """How many events the writers have committed when the time is over."""
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(writers) as pool:
        own = [workspaces[number % len(workspaces)] for number in range(writers)]
        return sum(pool.map(_write, own, [deadline] * writers))


def _write(workspace: "Workspace", deadline: float) -> int:
    from django.db import connection

    from kjxlkj.notes.cause import by
    from kjxlkj.notes.services import NewNote, create_note, update_note

    cause, count = by(workspace.owner), 0
    try:
        while time.monotonic() < deadline:
            note = create_note(workspace, NewNote(title="A note", body="It says [[this]].\n" * 20), cause=cause)
            update_note(note, base_version=note.version, body="It says [[that]].\n" * 20, cause=cause)
            count += 2
    finally:
        connection.close()
    return count


# --- Readers --------------------------------------------------------------------------------------


def make_workspaces(name: str) -> "list[Workspace]":
    from kjxlkj.workspaces.models import User
    from kjxlkj.workspaces.services import create_workspace

    owner = User.objects.create_user(f"{name}@example.com", "unguessable, and of nobody")
    return [create_workspace(slug=f"{name}-{i}", name=name, owner=owner) for i in range(WORKSPACES)]


def readers_of(workspaces: "Sequence[Workspace]", count: int) -> list[dict[str, Any]]:
    """Members of one, two, three … of the workspaces, each with a token."""
    from knox.models import AuthToken

    from kjxlkj.workspaces.models import Role, User
    from kjxlkj.workspaces.services import set_member

    readers = []
    for number in range(count):
        user = User.objects.create(email=f"reader-{number}@example.com", password="!")
        own = [workspaces[(number + i) % WORKSPACES] for i in range(1 + number % WORKSPACES)]
        for workspace in own:
            set_member(workspace, user, Role.VIEWER, actor=workspace.owner)
        token = str(AuthToken.objects.create(user)[1])
        readers.append({"token": token, "workspaces": [str(each.id) for each in own]})
    return readers


Ask = Callable[[dict[str, int]], list[dict[str, Any]]]


@contextmanager
def following(port: int, readers: list[dict[str, Any]], workspaces: "Sequence[Workspace]") -> Iterator[Ask]:
    """They follow; yields what tells them the last numbers, and has their answers, those of the floor last."""
    helpings = [readers[at : at + READERS_IN_A_PROCESS] for at in range(0, len(readers), READERS_IN_A_PROCESS)]
    tasks: list[dict[str, Any]] = [{"port": port, "readers": each} for each in helpings]
    tasks.append({"port": port, "readers": [], "conninfo": conninfo(), "workspaces": [str(w.id) for w in workspaces]})
    with ExitStack() as stack:
        processes = [stack.enter_context(_follower(task)) for task in tasks]

        def ask(heads: dict[str, int]) -> list[dict[str, Any]]:
            for process in processes:
                _tell(process, heads)
            return [answer for process in processes for answer in _told(process)]

        yield ask


@contextmanager
def _follower(task: dict[str, Any]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.followers"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        _tell(process, task)
        if _told(process) != "following":
            raise RuntimeError("The readers have not begun.")
        yield process
    finally:
        process.kill()
        process.wait()


def _tell(process: "subprocess.Popen[str]", what: Any) -> None:
    assert process.stdin
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def _told(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout
    return json.loads(process.stdout.readline())


def conninfo() -> str:
    """The embedded server has no address that one could know beforehand."""
    from django.db import connection
    from psycopg.conninfo import make_conninfo

    connection.ensure_connection()
    info = connection.connection.info
    return make_conninfo(info.dsn, password=info.password or None)


if __name__ == "__main__":
    main()
