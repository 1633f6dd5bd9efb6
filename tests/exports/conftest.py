import hashlib
import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from exports.markdown_export import write_archive
from exports.models import ExportJob
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from tests.exports.installation import LIVE, installed


@pytest.fixture(scope="session")
def spare_installation(django_db_blocker):
    with django_db_blocker.unblock(), installed() as installation:
        yield installation


@pytest.fixture
def new_installation(spare_installation, django_db_blocker, monkeypatch):
    """In use in place of the suite's: migrated, and nothing in it."""
    spare_installation.make(LIVE, like="pattern")
    with django_db_blocker.unblock(), spare_installation.in_use(monkeypatch):
        yield spare_installation
    spare_installation.clear()


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    """Attachments and artifacts of one test."""
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "files"
    return settings.MEDIA_ROOT


@pytest.fixture
def notes(workspace, owner):
    """Three notes, one of them without a path, one in an inbox."""
    news = [
        NewNote("Plan", "See [[log]].\n", "plan.md", tags=["a"]),
        NewNote("log", "# Log\n", "inbox/log.md"),
        NewNote("No file / yet?", "text"),
    ]
    return [create_note(workspace, new, cause=by(owner)) for new in news]


def archive(workspace, condition=None) -> bytes:
    target = io.BytesIO()
    write_archive(target, workspace, condition or {})
    return target.getvalue()


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def manifest(data: bytes) -> dict[str, dict]:
    """What the manifest says of each file, by its path in the archive."""
    return {record["path"]: record for record in json.loads(entries(data)["manifest.json"])["files"]}


def originals(data: bytes) -> dict[str, bytes]:
    """The files under the paths that they had in the workspace."""
    records = manifest(data)
    return {
        records[path].get("original_path", path): content
        for path, content in entries(data).items()
        if path != "manifest.json"
    }


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def browser(user):
    """A session of the admin."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def execute(job: ExportJob) -> ExportJob:
    """Deliver its message; the row as it is afterwards."""
    jobs.execute("exports.exportjob", job.pk)
    job.refresh_from_db()
    return job


def finished(kind="markdown", *, workspace=None, days_ago=0.0, verified=None, actor=None, data=b"an artifact"):
    """An export that has ended well, with its file, without a worker. `verified`: whether it came back."""
    job = ExportJob.objects.create(kind=kind, workspace=workspace, created_by=actor)
    name = default_storage.save(f"exports/{job.pk}/{uuid4()}.{'dump' if kind == 'sql' else 'zip'}", ContentFile(data))
    then = timezone.now() - timedelta(days=days_ago)
    lease = {"lease_token": uuid4(), "lease_owner": "w", "lease_expires_at": then, "attempts": 1, "started_at": then}
    ExportJob.objects.filter(pk=job.pk).update(status="running", **lease)
    ExportJob.objects.filter(pk=job.pk).update(
        status="succeeded", lease_token=None, lease_owner="", lease_expires_at=None, finished_at=then, file=name,
        filename=f"{kind}-{days_ago:g}.zip", size=len(data), sha256=hashlib.sha256(data).hexdigest(),
        verified_at=None if verified is None else then, verification_json={} if verified is None else {"ok": verified},
    )  # fmt: skip
    return ExportJob.objects.get(pk=job.pk)
