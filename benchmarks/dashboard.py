"""The front page and the lists behind it, where much has been decided: `python -m benchmarks.dashboard`.

10,000 operations are pending and 100,000 were decided, all within the 30 days that the page tells of, the most that it
can be asked to count; 10,000 runs. As one client gets the pages, from the real web server over loopback. The floor of
each page is what its statements take alone.
"""

import http.client
import random
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import uuid4

from benchmarks.figures import Figure, tell
from benchmarks.installation import fresh_installation
from benchmarks.pages import SLUG, Measured, Page, measured, reviewer, web_server

PENDING, DECIDED, RUNS = 10_000, 100_000, 10_000
DAYS = 30
MODELS = ("offline", "qwen3-30b-a3b-instruct", "google/gemma-3-27b-it", "mistral-small", "llama-3.3-70b")
RULES = 20
BOUND_MS = 150
MEMBER = "a member"
LINKS = [{"text": f"words {n}", "target": f"folder/note {n}"} for n in range(4)]


def main() -> None:
    with fresh_installation():
        from django.db import connection

        make_up()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # As autovacuum does, in its time.
        members: dict[str, Any] = {MEMBER: reviewer(), "a superuser": superuser()}
        rows = []
        with web_server() as port, closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
            for who, user in members.items():
                for page in pages(who):
                    rows.append(row := measured(page, client, user))
                    print(
                        f"{page.group + ': ' + page.name:<48} p50 {row.p50:6.1f}  p95 {row.p95:6.1f}"
                        f"  floor {row.floor:6.1f} ms  {row.statements} statements",
                        flush=True,
                    )
        for group, what in (("overview", "overview"), ("list", "lists behind the overview")):
            slowest: Measured = max((row for row in rows if row.page.group == group), key=lambda row: row.p95)
            remark = f"{slowest.page.name}; its statements alone {slowest.floor:.0f} ms"
            tell(Figure(f"{what}, {DECIDED:,} decided, slowest, p95", slowest.p95, BOUND_MS, "ms", remark=remark))


def pages(who: str) -> Iterator[Page]:
    yield Page("overview", who, "/admin/", "/admin/")
    if who != MEMBER:
        return
    operations = "/admin/librarian/operation/"
    for name, url in {
        "all operations": operations,
        "accepted in 30 days": f"{operations}?decided=30&verdict=accepted",
        "a kind, by people": f"{operations}?decided=30&verdict=of_people&kind=retag_note",
        "a model, rejected": f"{operations}?decided=30&verdict=rejected&kind=proposals&model=offline",
        "by key, timed": f"{operations}?decided=30&timed=yes&via__exact=key",
        "failed runs": "/admin/automation/run/?status__exact=failed&finished=7",
    }.items():
        yield Page("list", name, url, url)


def superuser() -> Any:
    from django.test import Client

    from kjxlkj.workspaces.models import User

    user = User.objects.create_user("root@example.com", is_superuser=True)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


# --- What there is --------------------------------------------------------------------------------


def make_up() -> None:
    """Rows put in as they are: they are counted, and none of them is applied."""
    from automation.services import create_rule
    from kjxlkj.workspaces.console import actor_at_console
    from kjxlkj.workspaces.services import create_workspace
    from librarian.models import Operation

    actor = actor_at_console(None)
    workspace = create_workspace(slug=SLUG, name="Bench", owner=actor)
    action = {"kind": "librarian_structure"}
    rules = [create_rule(workspace, actor=actor, name=f"Rule {n}", action_json=action) for n in range(RULES)]
    runs = made_up_runs(workspace, rules)
    chance = random.Random(1)
    for start in range(0, PENDING + DECIDED, 5_000):
        numbers = range(start, min(start + 5_000, PENDING + DECIDED))
        Operation.objects.bulk_create(
            made_up(workspace, runs[number % len(runs)], number, actor, chance) for number in numbers
        )


def made_up_runs(workspace: Any, rules: Any) -> list[Any]:
    """A tenth of them failed in the last week, some wait and some are at work; the others succeeded."""
    from django.db import connection

    from automation.models import Run

    runs = Run.objects.bulk_create(
        [Run(workspace=workspace, rule=rules[n % RULES], trigger="event", rule_snapshot={}) for n in range(RUNS)]
    )
    failed, waiting = RUNS // 10, 100
    ids = [run.pk for run in runs]
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE automation_run SET status = 'failed', error_code = 'CODE_' || get_byte(uuid_send(id), 15) %% 5,
               error_detail = repeat('It could not be done, since the server said no. ', 30),
               finished_at = now() - random() * interval '7 days' WHERE id = ANY(%s)""",
            [ids[:failed]],
        )
        cursor.execute(
            """UPDATE automation_run SET status = 'running', lease_token = id, lease_expires_at = now(),
               started_at = now(), attempts = 1 WHERE id = ANY(%s)""",
            [ids[failed + waiting :]],
        )
        cursor.execute(
            """UPDATE automation_run SET status = 'succeeded', lease_token = NULL, lease_expires_at = NULL,
               finished_at = now() - random() * interval '90 days' WHERE id = ANY(%s)""",
            [ids[failed + 2 * waiting :]],
        )
    return list(runs[failed + 2 * waiting :])


def text(chance: random.Random) -> str:
    """Of a short note's length, as most are, and no easier to compress."""
    return " ".join(f"{chance.randrange(36**5):x}" for _ in range(chance.randrange(20, 250)))


def made_up(workspace: Any, run: Any, number: int, actor: Any, chance: random.Random) -> Any:
    from django.utils import timezone

    from librarian.models import Operation

    kind = chance.choice(("retag_note", "retag_note", "relink_note", "retitle_note", "rewrite_note", "defer"))
    decided_at = timezone.now() - timedelta(days=chance.uniform(0, DAYS - 1))
    values: dict[str, Any] = {"status": "pending"}
    if number >= PENDING:
        person = chance.random() < 0.8
        status = chance.choices(("applied", "reverted", "rejected" if person else "applied"), (7, 1, 2))[0]
        via = chance.choice(("key", "key", "click", "bulk", "api")) if person else ""
        values = {
            "status": status,
            "decided_at": decided_at,
            "decided_by": actor if person else None,
            "edited": person and status == "applied" and chance.random() < 0.2,
            "reject_code": "REJECTED_BY_PERSON" if status == "rejected" else "",
            "via": via,
            "shown_at": decided_at - timedelta(seconds=chance.expovariate(0.1)) if person else None,
        }
    return Operation(
        workspace=workspace,
        run=run,
        index=number,
        operation_id=f"op-{number}",
        kind=kind,
        target_path=f"folder/note {number}.md",
        title="A title of some length" if kind == "retitle_note" else "",
        body_markdown=text(chance) if kind == "rewrite_note" else "",
        tags=["harbour", "booking", "customers", "reviewed"] if kind == "retag_note" else None,
        links=[{"text": f"words {n}", "target": f"folder/note {n}"} for n in range(4)]
        if kind == "relink_note"
        else None,
        reason="A reason as long as reasons are: this is how the neighbouring notes have it.",
        confidence=chance.random(),
        model=chance.choice(MODELS),
        fingerprint=uuid4().hex * 2,
        **values,
    )


if __name__ == "__main__":
    main()
