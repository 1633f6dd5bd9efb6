"""Those who follow the events, in a process of their own: `python -m benchmarks.followers`, the rest by standard input.

The first line tells whom to follow and how, the second how far: then each reads on until it is there. Answers with what
was missed, doubled or out of order, and how long each event took from the time that it bears, which is before its
commit, to its reader's hands.
"""

import http.client
import json
import sys
import threading
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import psycopg

_PATIENCE_SECONDS = 60.0


class Follower(threading.Thread):
    """One reader, and what it has seen of each workspace."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, set[int]] = {}
        self.last: dict[str, int] = {}
        self.doubled = self.disordered = 0
        self.milliseconds: list[float] = []
        self.enough = threading.Event()

    def take(self, workspace_id: str, seq: int, made: datetime) -> None:
        self.milliseconds.append((time.time() - made.timestamp()) * 1000)
        seen, last = self.seen.setdefault(workspace_id, set()), self.last.get(workspace_id, 0)
        self.doubled += seq in seen
        self.disordered += seq != last + 1
        seen.add(seq)
        self.last[workspace_id] = seq

    def missed(self, heads: dict[str, int]) -> int:
        return sum(head - len(self.seen.get(workspace_id, ())) for workspace_id, head in heads.items())


class OverHttp(Follower):
    def __init__(self, port: int, token: str) -> None:
        super().__init__()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Token {token}"}

    def run(self) -> None:
        asked = {"after": "0"}
        while not self.enough.is_set():
            self._connection.request("GET", f"/api/events?{urlencode(asked)}&wait=5&limit=200", headers=self._headers)
            response = self._connection.getresponse()
            page = json.loads(response.read())
            if response.status != 200:
                raise RuntimeError(page)
            for event in page["results"]:
                self.take(event["workspace_id"], event["seq"], datetime.fromisoformat(event["created_at"]))
            asked = {"cursor": page["cursor"]}
            if pause := response.headers.get("Retry-After"):
                # Where all places of this process are taken, the other one may have some.
                self._connection.close()
                time.sleep(int(pause))


class OnTheDatabase(Follower):
    """The floor: psycopg alone, told by the same notifications, on a connection of its own."""

    def __init__(self, conninfo: str, workspaces: list[str]) -> None:
        super().__init__()
        self.last = dict.fromkeys(workspaces, 0)
        self._connection = psycopg.connect(conninfo, autocommit=True)
        self._connection.execute("LISTEN kjxlkj_events")

    def run(self) -> None:
        while not self.enough.is_set():
            rows = self._connection.execute(
                "SELECT event.workspace_id::text, event.seq, event.created_at FROM workspaces_workspaceevent AS event"
                " JOIN unnest(%s::uuid[], %s::bigint[]) AS last (id, seq)"
                " ON last.id = event.workspace_id AND event.seq > last.seq ORDER BY event.workspace_id, event.seq",
                [list(self.last), list(self.last.values())],
            ).fetchall()
            for row in rows:
                self.take(*row)
            for _ in self._connection.notifies(timeout=5.0, stop_after=1):
                pass


def main() -> None:
    given = json.loads(sys.stdin.readline())
    followers: list[tuple[Follower, list[str]]] = [
        (OverHttp(given["port"], each["token"]), each["workspaces"]) for each in given["readers"]
    ]
    if "conninfo" in given:
        followers.append((OnTheDatabase(given["conninfo"], given["workspaces"]), given["workspaces"]))
    for follower, _ in followers:
        follower.start()
    print(json.dumps("following"), flush=True)
    heads = json.loads(sys.stdin.readline())
    deadline = time.monotonic() + _PATIENCE_SECONDS
    answers = []
    for follower, workspaces in followers:
        wanted = {workspace_id: heads[workspace_id] for workspace_id in workspaces}
        while follower.missed(wanted) and follower.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        follower.enough.set()
        answers.append(_answer(follower, wanted))
    print(json.dumps(answers), flush=True)


def _answer(follower: Follower, wanted: dict[str, int]) -> dict[str, Any]:
    return {
        "missed": follower.missed(wanted),
        "doubled": follower.doubled,
        "disordered": follower.disordered,
        "foreign": len(set(follower.seen) - set(wanted)),
        "milliseconds": [round(each, 2) for each in follower.milliseconds],
    }


if __name__ == "__main__":
    main()
