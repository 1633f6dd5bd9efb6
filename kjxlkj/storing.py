"""Files written whole or not at all, into Django's storage or where a person asks for one."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

_STAGE = ".incoming"
# What a killed process left behind; nothing takes that long to write.
_STALE_SECONDS = 24 * 3600


@contextmanager
def staged() -> Iterator[IO[bytes]]:
    """A file to write and then `keep`, on the storage's own disk if it has one. Gone afterwards if not kept."""
    folder = _local_path(_STAGE)
    if folder is not None:
        _make_folder(folder)
        _sweep(folder)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        try:
            yield file
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)


def keep(file: IO[bytes], name: str) -> str:
    """Put a staged file into the storage as `name`, replacing what has it. Returns the name that it bears there."""
    file.flush()
    os.fsync(file.fileno())
    target = _local_path(name)
    if target is None:
        file.seek(0)
        return default_storage.save(name, File(file))
    _make_folder(target.parent)
    os.chmod(file.name, settings.FILE_UPLOAD_PERMISSIONS)
    os.replace(file.name, target)
    _sync(target.parent)
    return name


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` at the end, or leaves no trace after an exception."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
            _sync(path.parent)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)


def _local_path(name: str) -> Path | None:
    """Where the file lies on this machine; None where the storage is somewhere else."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None


def _make_folder(folder: Path) -> None:
    mode = settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS or 0o777
    for missing in [path for path in (folder, *folder.parents) if not path.exists()][::-1]:
        missing.mkdir(mode=mode, exist_ok=True)
        _sync(missing.parent)


def _sync(folder: Path) -> None:
    """A new name is safe once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    oldest = time.time() - _STALE_SECONDS
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < oldest:
                file.unlink()
