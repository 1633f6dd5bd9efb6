"""Files written whole or not at all, into Django's storage or where a person asks for one; and read in parts."""

import errno
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

from kjxlkj.errors import Upstream

logger = logging.getLogger(__name__)

_STAGE = ".incoming"
# What a killed process left behind; nothing takes that long to write.
_STALE_SECONDS = 24 * 3600

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
# Of disks that are somewhere else.
_AWAY = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN}


class StorageFault(Upstream):
    """The storage does not take or give what it should: STORAGE_FULL, STORAGE_REFUSED, STORAGE_UNAVAILABLE."""

    def __init__(self, code: str, message: str, *, may_pass: bool = False) -> None:
        super().__init__(code, message)
        self.may_pass = may_pass


@contextmanager
def discreet_faults() -> Iterator[None]:
    """For answers over HTTP: paths and addresses, which a fault's words tell, go into the log and no further."""
    try:
        yield
    except StorageFault as fault:
        logger.warning("%s [%s]", fault, fault.code)
        told = f"The storage failed ({fault.code}). Ask whoever runs the server; `manage.py doctor` tells more."
        raise StorageFault(fault.code, told, may_pass=fault.may_pass) from fault


@contextmanager
def storage_faults() -> Iterator[None]:
    """What the storage raises within, told as a `StorageFault`. A file that is not there is none."""
    try:
        yield
    except StorageFault:
        raise
    except OSError as error:
        fault = _explain(error)
        if fault is None:
            raise
        raise fault from error
    except Exception as error:
        explain = getattr(default_storage, "explain", None)
        fault = explain(error) if explain else None
        if fault is None:
            raise
        raise fault from error


def _explain(error: OSError) -> StorageFault | None:
    said = f"{error.strerror}{f', at {error.filename}' if error.filename else ''}"
    if error.errno in _FULL:
        return StorageFault("STORAGE_FULL", f"The disk takes no more: {said}. Make room, then try again.")
    if error.errno in _REFUSED:
        return StorageFault("STORAGE_REFUSED", f"The disk refuses: {said}. Look at who owns the data directory.")
    if error.errno in _AWAY:
        return StorageFault("STORAGE_UNAVAILABLE", f"The disk fails: {said}.", may_pass=True)
    return None


@contextmanager
def staged() -> Iterator[IO[bytes]]:
    """A file to write and then `keep`, on the storage's own disk if it has one. Gone afterwards if not kept."""
    folder = _local_path(_STAGE) or settings.DATA_DIR / _STAGE
    _make_folder(folder)
    _sweep(folder)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        try:
            yield file
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)


def keep(file: IO[bytes], name: str, check: Callable[[], object] = lambda: None) -> str:
    """Put a staged file into the storage as `name`, replacing what has it. Returns the name that it bears there.

    Where that is an upload, `check` is called between pieces, and may raise to end it. Raises `StorageFault`.
    """
    file.flush()
    os.fsync(file.fileno())
    target = _local_path(name)
    if target is None:
        file.seek(0)
        with storage_faults():
            return default_storage.save(name, _Watched(file, check))
    _make_folder(target.parent)
    os.chmod(file.name, settings.FILE_UPLOAD_PERMISSIONS)
    os.replace(file.name, target)
    _sync(target.parent)
    return name


def open_at(name: str, start: int, length: int) -> IO[bytes]:
    """A file of the storage from `start` on, to be read no further than `length`, and closed.

    Nothing is read ahead of time. Raises FileNotFoundError, `StorageFault`.
    """
    with storage_faults():
        elsewhere = getattr(default_storage, "open_at", None)
        if elsewhere is not None:
            part: IO[bytes] = elsewhere(name, start, length)
            return part
        file = default_storage.open(name, "rb")
        file.seek(start)
        return file


def place() -> str:
    """Where the files are, for people."""
    return str(getattr(default_storage, "place", "") or f"folder {_local_path('')}")


def probe() -> None:
    """Write, read and delete something. Raises `StorageFault`, OSError."""
    elsewhere = getattr(default_storage, "probe", None)
    with storage_faults():
        if elsewhere:
            elsewhere()
        else:
            with staged() as file:
                file.write(b"kjxlkj")


def require(name: str) -> None:
    """Raises FileNotFoundError where the storage has no such file, `StorageFault`."""
    with storage_faults():
        if not default_storage.exists(name):
            raise FileNotFoundError(name)


def link(name: str, disposition: str, content_type: str) -> str | None:
    """A signed address of a file, for a few minutes; None where the storage has none, or none are wanted.

    Raises FileNotFoundError, `StorageFault`.
    """
    sign = getattr(default_storage, "link", None)
    if sign is None or not settings.S3_LINK_SECONDS:
        return None
    require(name)
    with storage_faults():
        address: str = sign(name, disposition, content_type, settings.S3_LINK_SECONDS)
        return address


class _Watched(File):  # type: ignore[type-arg]
    def __init__(self, file: IO[bytes], check: Callable[[], object]) -> None:
        super().__init__(file)
        self._source, self._check = file, check

    def read(self, *args: Any) -> bytes:
        self._check()
        return self._source.read(*args)


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
