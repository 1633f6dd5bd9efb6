"""Note list, search and review queue at 14,384 notes, as one client gets them: `python -m benchmarks.pages`.

Real HTTP to the real web server over loopback, on one connection. Beside each page stands its floor: the statements
that it sends to the database, sent by psycopg alone and their rows fetched.
"""

import http.client
import io
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.figures import Figure, tell
from benchmarks.installation import CorpusMissing, corpus, fresh_installation

if TYPE_CHECKING:
    from django.test import Client

REQUESTS = 100
WARM_UP = 10
BOUND_MS = 100
SLUG = "bench"


@dataclass(frozen=True, slots=True)
class Page:
    group: str
    name: str
    url: str
    shorter: str
    """The same page with fewer rows, to compare the numbers of statements."""


@dataclass(frozen=True, slots=True)
class Measured:
    page: Page
    p50: float
    p95: float
    floor: float
    """p95 of its statements alone. All in ms."""
    statements: int
    statements_when_shorter: int


def main() -> None:
    try:
        vault = corpus("windows-driver-docs")
    except CorpusMissing as missing:
        print(f"skipped: {missing}")
        return
    with fresh_installation():
        from django.core.management import call_command

        call_command("import_notes", vault, workspace=SLUG, create=True, stderr=io.StringIO())
        from benchmarks.proposals import add_proposals

        add_proposals(SLUG)
        measure()


def measure() -> None:
    user = reviewer()
    rows = []
    with web_server() as port, closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        print(f"{'page':<46}{'p50':>7}{'p95':>7}{'floor':>7} ms  statements (with fewer rows)")
        for page in pages(user):
            rows.append(row := measured(page, connection, user))
            print(
                f"{page.group + ': ' + page.name:<46}{row.p50:>7.1f}{row.p95:>7.1f}{row.floor:>7.1f}"
                f"{row.statements:>7} ({row.statements_when_shorter})",
                flush=True,
            )
    for group in dict.fromkeys(row.page.group for row in rows):
        slowest = max((row for row in rows if row.page.group == group), key=lambda row: row.p95)
        remark = f"{slowest.page.name}; its statements alone {slowest.floor:.0f} ms"
        tell(Figure(f"{group}, slowest page, p95", slowest.p95, BOUND_MS, "ms", remark=remark))
    growth = max(row.statements - row.statements_when_shorter for row in rows)
    tell(Figure("statements that more rows add to a page", growth, 0, ""))


# --- Measuring ------------------------------------------------------------------------------------


def measured(page: Page, connection: http.client.HTTPConnection, user: "Client") -> Measured:
    headers = {"Cookie": "; ".join(f"{morsel.key}={morsel.value}" for morsel in user.cookies.values())}
    statements = statements_of(page.url, user)
    # It opens again by itself: the server has closed what was idle meanwhile.
    connection.close()
    times = milliseconds(lambda: fetch(connection, page.url, headers))
    return Measured(
        page=page,
        p50=quantiles(times, n=100)[49],
        p95=quantiles(times, n=100)[94],
        floor=quantiles(milliseconds(lambda: send(statements)), n=100)[94],
        statements=len(statements),
        statements_when_shorter=len(statements_of(page.shorter, user)),
    )


def milliseconds(work: Callable[[], object]) -> list[float]:
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def fetch(connection: http.client.HTTPConnection, url: str, headers: Mapping[str, str]) -> bytes:
    connection.request("GET", url, headers=dict(headers))
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{url}: {response.status} {body[:500]!r}")
    return body


def statements_of(url: str, user: "Client") -> list[str]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    user.get(url)
    with CaptureQueriesContext(connection) as captured:
        response = user.get(url)
    if response.status_code != 200:
        raise RuntimeError(f"{url}: {response.status_code} {response.content[:500]!r}")
    return [query["sql"] for query in captured]


def send(statements: Sequence[str]) -> None:
    from django.db import connection

    driver = connection.connection
    for statement in statements:
        with driver.cursor() as cursor:
            cursor.execute(statement)
            if cursor.description:
                cursor.fetchall()


# --- Pages ----------------------------------------------------------------------------------------


def pages(user: "Client") -> Iterator[Page]:
    from automation.models import Rule
    from benchmarks.proposals import FEW
    from kjxlkj.workspaces.models import Workspace

    here = {"workspace_id": str(Workspace.objects.get(slug=SLUG).pk)}
    lists: dict[str, dict[str, str]] = {
        "first page": {},
        "newest first": {"order": "-updated_at"},
        "by title": {"order": "title"},
        "folder": {"folder": "windows-driver-docs-pr/print"},
        "tag": {"tag": "windows"},
        "untagged": {"untagged": "true"},
        "title contains": {"title_contains": "printer"},
        "text": {"text": "driver"},
        "changed lately": {"updated_within_days": "7", "order": "-updated_at"},
        "orphan": {"orphan": "true"},
    }
    for name, asked in lists.items():
        yield sized("note list", name, "/api/notes", {**here, **asked})
    yield sized("note list", "deep inside", "/api/notes", {**here, "cursor": cursor_deep_inside(user, here)})
    searches = {
        "common word": "driver",
        "rare word": "bugcodes",
        "two words": "printer queue",
        "phrase": '"device driver interface"',
        "either of two": "network or storage",
        "word left out": "driver -printer",
        "nothing found": "Fährplan Nebelhorn",
    }
    for name, words in searches.items():
        yield sized("search", name, "/api/search", {**here, "q": words})
    yield sized("search", "common word in a folder", "/api/search", {**here, **lists["folder"], "q": "driver"})
    yield sized("review queue", "API", "/api/operations", {**here, "status": "pending"})
    few = Rule.objects.get(name=FEW).pk
    yield Page("review queue", "admin", "/admin/review/", f"/admin/review/?rule={few}")


def sized(group: str, name: str, path: str, asked: Mapping[str, str]) -> Page:
    url, shorter = (f"{path}?{urlencode({**asked, 'limit': limit})}" for limit in (50, 10))
    return Page(group, name, url, shorter)


def cursor_deep_inside(user: "Client", here: Mapping[str, str]) -> str:
    """Of a place in the middle of the notes, reached as a client would."""
    url = f"/api/notes?{urlencode({**here, 'limit': 200})}"
    for _ in range(36):
        url = json.loads(user.get(url).content)["next"]
    return parse_qs(urlsplit(url).query)["cursor"][0]


# --- Server and client ----------------------------------------------------------------------------


@contextmanager
def web_server() -> Iterator[int]:
    """The server as the supervisor starts it; yields its port on loopback."""
    from kjxlkj.jobs.child import Child

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-c", "python:kjxlkj.jobs.web"]
    environment = {"KJXLKJ_BIND": f"127.0.0.1:{port}", "KJXLKJ_SUPERVISOR": str(os.getpid())}
    server = Child(name="web", command=command, environment=environment)
    server.start()
    try:
        wait_for(port, server)
        yield port
    finally:
        server.kill()


def wait_for(port: int, server: Any) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.is_running:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        time.sleep(0.05)
    raise RuntimeError("The web server did not come up.")


def reviewer() -> "Client":
    """A logged-in member of the workspace with the right to review, and no others."""
    from django.test import Client

    from kjxlkj.workspaces.console import actor_at_console, workspace_at_console
    from kjxlkj.workspaces.models import Role, User
    from kjxlkj.workspaces.services import set_member

    user = User.objects.filter(email="reviewer@example.com").first() or User.objects.create_user("reviewer@example.com")
    set_member(workspace_at_console(SLUG), user, Role.EDITOR, actor=actor_at_console(None))
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


if __name__ == "__main__":
    main()
