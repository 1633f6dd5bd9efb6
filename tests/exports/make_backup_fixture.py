"""What is in a database, and a backup of a small installation for the restore drills.

`python -m tests.exports.make_backup_fixture NAME`, with a KJXLKJ_DATA_DIR of its own, writes one into `backups/`, by
the code as it is now: to be done for each schema that lands.
"""

import json
import lzma
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

_CONTENTS = {
    "notes": "SELECT id, path, title, body, front_matter, tags, version, deleted_at IS NOT NULL AS deleted"
    " FROM notes_note ORDER BY id",
    "versions": "SELECT note_id, seq, cause, reason FROM notes_noteevent ORDER BY note_id, seq",
    "events": "SELECT workspace_id, seq, type FROM workspaces_workspaceevent ORDER BY workspace_id, seq",
    "operations": "SELECT id, kind, status FROM librarian_operation ORDER BY id",
    "jobs": "SELECT 'run' AS what, id, status FROM automation_run"
    " UNION ALL SELECT 'export', id, status FROM exports_exportjob ORDER BY 1, 2",
    "attachments": "SELECT path, sha256, size FROM notes_attachment ORDER BY path",
}

_VAULT = {
    "plan.md": "---\ntitle: The plan\ntags: [Platform, a_b]\naliases: [Roadmap]\n---\n# Plan\n[[log]], [[Näme]].\n",
    "inbox/log.md": "# Log of the platform\r\nDatabase backups restore slowly. The plan.\r\n\r\n- [ ] one #todo\r\n",
    "inbox/Näme.md": "\ufeffFour bytes: 𝄞, and no newline at the end",
    "database/backup.md": "---\ntags:\n  - database\n  - platform\n---\nThe database is backed up. ![[pic.png]]\n",
    "database/restore.md": "---\ntags: [database]\n---\nRestore the database from a backup. See Log of the platform.\n",
    "database/dumps.md": "The database dumps its backup, and a restore reads the database backup again. Platform.\n",
}


def contents() -> dict[str, list[dict[str, Any]]]:
    """Every note, version, event, operation and job of the database, as JSON has it."""
    from django.db import connection

    def plain(value: Any) -> str:
        return value.isoformat() if isinstance(value, datetime) else str(value)

    found = {}
    with connection.cursor() as cursor:
        for what, statement in _CONTENTS.items():
            cursor.execute(statement)
            names = [column[0] for column in cursor.description]
            found[what] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    told: dict[str, list[dict[str, Any]]] = json.loads(json.dumps(found, default=plain))
    return told


def main(name: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kjxlkj.settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _fill()
    folder = Path(__file__).parent / "backups"
    with tempfile.TemporaryDirectory() as scratch:
        dump = Path(scratch) / f"{name}.dump"
        call_command("backup_sql", "--to", str(dump))
        (folder / f"{dump.name}.xz").write_bytes(lzma.compress(dump.read_bytes(), preset=9))
        (folder / f"{dump.name}.json").write_bytes(dump.with_name(f"{dump.name}.json").read_bytes())
    told = json.dumps(contents(), indent=1, ensure_ascii=False)
    (folder / f"{name}.expected.json").write_text(f"{told}\n")


def _fill() -> None:
    """A vault; a run with proposals, of which two are applied and one is rejected; an export; and jobs that wait."""
    from django.core.management import call_command

    from automation.models import Run
    from exports.models import ExportJob
    from kjxlkj.workspaces.models import User, Workspace
    from librarian.models import Operation

    with tempfile.TemporaryDirectory() as vault:
        for path, text in _VAULT.items():
            (Path(vault) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(vault) / path).write_bytes(text.encode())
        (Path(vault) / "database/pic.png").write_bytes(bytes(range(256)))
        owner = User.objects.create(email="owner@example.com", name="Owner", is_superuser=True, is_staff=True)
        call_command("import_notes", vault, "--workspace", "team", "--create", "--as", owner.email, verbosity=0)
    call = _caller(owner)
    team = str(Workspace.objects.get(slug="team").pk)

    def rule(rule_name: str, **settings: Any) -> str:
        rule_id: str = call("post", "/automation/rules", workspace_id=team, name=rule_name, **settings)["id"]
        return rule_id

    first, second, *_ = call("get", f"/notes?workspace_id={team}")["results"]
    body = call("get", f"/notes/{first['id']}")["body"]
    call("patch", f"/notes/{first['id']}", base_version=first["version"], body=f"{body}\nOne line more.\n")
    call("delete", f"/notes/{second['id']}?base_version={second['version']}")
    librarian = {"kind": "librarian_structure", "provider": {"provider_kind": "offline"}, "plan": {"goal": "tidy"}}
    tidy = rule("Tidy", trigger="manual", action_json={**librarian, "plan": {"min_confidence": 0.1}})
    call("post", f"/automation/rules/{tidy}/launch")
    _execute(Run)
    for number, operation in enumerate(Operation.objects.filter(status="pending").exclude(kind="defer")[:3]):
        decision = {"decision": "reject", "reject_reason": "not this"} if number == 1 else {"decision": "apply"}
        decisions = [{"operation_id": str(operation.pk), **decision}]
        call("post", f"/automation/runs/{operation.run_id}/review", decisions=decisions)
    call("post", "/admin/export/markdown", workspace_id=team)
    _execute(ExportJob)
    rule("Nightly", trigger="schedule", schedule="0 3 * * *", action_json={"kind": "export_markdown"})
    hook = rule("Hook", trigger="manual", action_json={"kind": "webhook", "url": "https://hooks.example.com/x"})
    for launched in (hook, tidy):
        call("post", f"/automation/rules/{launched}/launch")
    call("post", "/admin/export/markdown", workspace_id=team)


def _caller(owner: Any) -> Any:
    from knox.models import AuthToken
    from rest_framework.test import APIClient

    client = APIClient(SERVER_NAME="localhost")
    client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(owner)[1]}")

    def call(method: str, path: str, **data: Any) -> Any:
        answer = getattr(client, method)(f"/api{path}", **({"data": data} if data else {}), format="json")
        assert answer.status_code < 300, (path, answer.content)
        return answer.json() if answer.content else None

    return call


def _execute(model: Any) -> None:
    from kjxlkj.jobs import services as jobs

    for job in model.objects.filter(status="queued"):
        jobs.execute(model._meta.label_lower, job.pk)


if __name__ == "__main__":
    main(sys.argv[1])
