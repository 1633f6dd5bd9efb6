"""A backup as it lies somewhere: the dump and what its manifest says of it."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exports.artifacts import gone, require_artifact
from exports.models import ExportJob, ExportKind
from exports.sql_backup import FORMAT
from kjxlkj.errors import Invalid
from kjxlkj.notes.attachments import CHUNK_BYTES
from kjxlkj.storing import staged

_MAGIC = b"PGDMP"


@dataclass(frozen=True, slots=True)
class Backup:
    path: Path
    manifest: Mapping[str, Any]
    """With `sha256` and `size` of the dump."""

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """By name; of backups of format 1 no digest is known."""
        return {
            name: told if isinstance(told, dict) else {"rows": told} for name, told in self.manifest["tables"].items()
        }


def read(path: Path, manifest: Path | None = None) -> Backup:
    """A file with its manifest, which lies beside it unless named. Raises `Invalid` BACKUP_NOT_FOUND, MANIFEST_…"""
    if not path.is_file():
        raise Invalid("BACKUP_NOT_FOUND", f"{path} is no file. Name a dump, or the id of a backup that is listed.")
    manifest = manifest or path.with_name(f"{path.name}.json")
    try:
        told = json.loads(manifest.read_bytes())
    except OSError as error:
        raise Invalid(
            "MANIFEST_MISSING",
            f"{manifest} cannot be read ({error.strerror}): without its manifest nobody can tell whether a dump is "
            "whole. Copy it beside the dump, or name it by --manifest.",
        ) from error
    except ValueError as error:
        raise Invalid("MANIFEST_INVALID", f"{manifest} is no JSON. Copy it once more.") from error
    return Backup(path, _understood(told, str(manifest)))


def _understood(told: Any, name: str) -> dict[str, Any]:
    """Raises `Invalid` MANIFEST_INVALID, MANIFEST_NEWER and BACKUP_OF_ANOTHER_ENGINE."""
    engine = told.get("engine") if isinstance(told, dict) else None
    if engine not in (None, "postgresql"):
        raise Invalid("BACKUP_OF_ANOTHER_ENGINE", f"{name} is of a database of {engine}; this one is of PostgreSQL.")
    expected = {"sha256": str, "size": int, "server_version": str, "dump_version": str, "schema": dict, "tables": dict}
    for key, kind in expected.items():
        if not isinstance(told, dict) or not isinstance(told.get(key), kind):
            raise Invalid("MANIFEST_INVALID", f"{name} is no manifest of a backup: “{key}” is missing or damaged.")
    if told.get("format", 1) > FORMAT:
        raise Invalid(
            "MANIFEST_NEWER", f"{name} is of format {told['format']}; this kjxlkj reads {FORMAT}. Install a newer one."
        )
    return dict(told)


def require_done(job: ExportJob) -> None:
    """Raises `Invalid` NOT_A_BACKUP, `Conflict` as `artifacts.require_artifact`."""
    if job.kind != ExportKind.SQL:
        raise Invalid("NOT_A_BACKUP", "This is no SQL backup. Choose one that is.")
    require_artifact(job)


@contextmanager
def of_job(job: ExportJob) -> Iterator[Backup]:
    """The backup that a job has made, on this machine; a copy, where the storage is elsewhere. Raises as above."""
    require_done(job)
    manifest = _understood({**job.summary_json, "sha256": job.sha256, "size": job.size}, f"The manifest of {job}")
    path = _local_path(job)
    try:
        if path is not None:
            path.stat()
            yield Backup(path, manifest)
            return
        with job.file.open("rb") as source, staged() as copy:
            shutil.copyfileobj(source, copy, CHUNK_BYTES)
            copy.flush()
            yield Backup(Path(copy.name), manifest)
    except FileNotFoundError as error:
        raise gone() from error


def _local_path(job: ExportJob) -> Path | None:
    try:
        return Path(job.file.path)
    except NotImplementedError:
        return None


def require_whole(backup: Backup) -> None:
    """Raises `Invalid` BACKUP_DAMAGED: it is not, to the byte, what was written."""
    size = backup.path.stat().st_size
    if size != backup.manifest["size"]:
        raise _damaged(f"{backup.path.name} has {size:,} bytes, and should have {backup.manifest['size']:,}.")
    with backup.path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise _damaged(f"{backup.path.name} is not in pg_dump's custom format.")
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != backup.manifest["sha256"]:
        raise _damaged(f"{backup.path.name} has the sha256 {found}, and should have {backup.manifest['sha256']}.")


def _damaged(how: str) -> Invalid:
    return Invalid("BACKUP_DAMAGED", f"The backup is damaged: {how} Use another copy of it, or another backup.")
