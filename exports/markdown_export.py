"""A workspace's notes and attachments as one archive or folder of files: one snapshot of the database, streamed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import IO, Any

from django.db import connection, transaction

from exports.archive import ArchiveWriter
from exports.contents import BATCH, Contents, File, Summary
from kjxlkj.workspaces.models import Workspace

OnProgress = Callable[[int, int], object]


def write_archive(
    target: IO[bytes],
    workspace: Workspace,
    condition: Mapping[str, Any],
    on_progress: OnProgress = lambda done, total: None,
) -> Summary:
    """Write the live notes that meet `condition`, and all attachments, as they are at one moment.

    The same state gives the same bytes. `on_progress(done, total)` is called between notes and may raise.
    Raises `ConditionInvalid`, `NotFound` ATTACHMENT_CONTENT_MISSING.
    """
    with _snapshot():
        contents = Contents(workspace, condition)
        plan = contents.plan()
        # Packing lets go of the interpreter: meanwhile the next batch comes from the database.
        with ArchiveWriter(target, _about(workspace)) as archive, ThreadPoolExecutor(1) as packer:

            def pack(files: Iterable[File]) -> None:
                for file in files:
                    archive.add(*file)

            packing = packer.submit(pack, [])
            for start in range(0, len(plan), BATCH):
                on_progress(start, len(plan))
                files = contents.files(plan[start : start + BATCH])
                packing.result()
                packing = packer.submit(pack, files)
            packing.result()
        on_progress(len(plan), len(plan))
        return contents.summary


@contextmanager
def _snapshot() -> Iterator[None]:
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            # However long it takes while others write; and nothing here could write.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _about(workspace: Workspace) -> dict[str, str]:
    return {"tool": f"kjxlkj {_version()}", "workspace": workspace.slug, "workspace_id": str(workspace.id)}


def _version() -> str:
    try:
        return version("kjxlkj")
    except PackageNotFoundError:
        return "0"
