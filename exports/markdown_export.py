"""A workspace's notes and attachments as one archive or folder of files: one snapshot of the database, streamed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from django.db import connection, transaction

from exports.archive import ArchiveWriter
from exports.comparing import compare
from exports.contents import Contents, File, Summary, in_batches
from exports.folder import check_places, held
from exports.former import Disordered, read_former
from exports.updating import Outcome, Update
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
    Raises `ConditionInvalid`, `NotFound` ATTACHMENT_CONTENT_MISSING, `Conflict` ATTACHMENT_CONTENT_DAMAGED,
    `StorageFault`.
    """
    contents = Contents(workspace, condition)
    with _snapshot():
        plan = contents.plan()
        # Packing lets go of the interpreter: meanwhile the next batch comes from the database.
        with ArchiveWriter(target, _about(workspace)) as archive, ThreadPoolExecutor(1) as packer:

            def pack(files: Iterable[File]) -> None:
                for file in files:
                    archive.add(*file)

            packing = packer.submit(pack, [])
            done = 0
            for batch in in_batches(plan):
                on_progress(done, len(plan))
                files = contents.files(batch)
                done += len(batch)
                packing.result()
                packing = packer.submit(pack, files)
            packing.result()
        on_progress(len(plan), len(plan))
        return contents.summary


def write_folder(
    root: Path,
    workspace: Workspace,
    condition: Mapping[str, Any],
    *,
    dry_run: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> Outcome:
    """Bring the folder to what `write_archive` would pack; unpacked, both are the same to the byte.

    Texts are read only of notes that changed since the export before. A dry run changes nothing and tells what it
    would do. Raises as `write_archive`, errors of `folder.held`, `folder.check_places` and `former.read_former`,
    and OSError; whatever happens, the next export repairs what this one left.
    """
    about, contents = _about(workspace), Contents(workspace, condition)
    with held(root, dry_run=dry_run) as tree, _snapshot():
        former = read_former(tree, about)
        plan = contents.plan()
        try:
            comparison = compare(plan, former, about["tool"], tree)
        except Disordered:
            former = read_former(tree, about, is_disordered=True)
            comparison = compare(plan, former, about["tool"], tree)
        check_places(tree, comparison, contents.files)
        update = Update(tree, former, comparison, contents.files)
        if dry_run:
            return update.tell()
        outcome = update.write(about, len(plan), lambda done: on_progress(done, len(plan)))
        on_progress(len(plan), len(plan))
        return outcome


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
