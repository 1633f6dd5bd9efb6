"""Attachments coming in, large, moving, unreadable, or with nowhere to go: whole or not at all."""

import hashlib
import os
import resource
import threading
import tracemalloc
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from kjxlkj.notes.attachments import content_of, store
from kjxlkj.notes.importing import import_vault
from kjxlkj.notes.models import Attachment, Note
from tests.notes.test_vault import unprivileged_folder

MB = 1024 * 1024
# Files that are listed as empty and are not; one of them says something else each time.
KERNEL = Path("/proc/sys/kernel/random")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.ATTACHMENT_MAX_BYTES = 400 * MB
    return settings.MEDIA_ROOT


@pytest.fixture
def vault(tmp_path):
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault/a.md").write_text("![[film.bin]]")
    return tmp_path / "vault"


@contextmanager
def little_memory(most):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@contextmanager
def no_file_larger_than(most):
    """What a full disk is like: writes fail half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def stored(files):
    return [path for path in files.rglob("*") if path.is_file()]


def assert_whole(attachment):
    with attachment.file.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == attachment.sha256
    assert attachment.file.size == attachment.size


@pytest.mark.parametrize(("form", "size"), [("folder", 300 * MB), ("zip", 100 * MB)])
def test_a_large_file_comes_in_with_little_memory(workspace, owner, vault, tmp_path, form, size):
    with open(vault / "film.bin", "wb") as film:
        film.truncate(size)
        film.write(b"a beginning")
    source = vault
    if form == "zip":
        source = tmp_path / "vault.zip"
        with zipfile.ZipFile(source, "w", zipfile.ZIP_STORED) as archive:
            archive.write(vault / "film.bin", "film.bin")
    with little_memory(12 * MB):
        report = import_vault(workspace, source, actor=owner)
    assert report.attachments_stored == 1
    attachment = Attachment.objects.get()
    assert attachment.size == size
    assert_whole(attachment)


def test_what_is_stored_is_what_was_read_while_storing(files, tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"before")
    first = content_of(lambda: path.open("rb"))
    path.write_bytes(b"and after")
    content = store(first, lambda: path.open("rb"))
    assert (content.sha256, content.size) == (hashlib.sha256(b"and after").hexdigest(), 9)
    assert [file.read_bytes() for file in stored(files)] == [b"and after"]


@pytest.mark.parametrize("damage", ["gone", "cut off"])
def test_importing_again_repairs_what_the_storage_has_lost(workspace, owner, vault, files, damage):
    (vault / "film.bin").write_bytes(b"a film")
    import_vault(workspace, vault, actor=owner)
    (lies,) = stored(files)
    lies.unlink() if damage == "gone" else lies.write_bytes(b"a f")
    assert import_vault(workspace, vault, actor=owner).changes_nothing
    assert_whole(Attachment.objects.get())


def test_a_file_that_is_written_all_the_time_comes_in_as_it_was_at_one_time(workspace, owner, vault):
    path, stop = vault / "film.bin", threading.Event()
    path.write_bytes(b"0")

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            path.write_bytes(b"%d " % number * (number % 200_000))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            assert not import_vault(workspace, vault, actor=owner).refused
            assert_whole(Attachment.objects.get())
    finally:
        stop.set()
        writer.join()


def test_a_file_that_turns_out_larger_than_it_was_listed_is_refused(workspace, owner, settings):
    settings.ATTACHMENT_MAX_BYTES = 10
    report = import_vault(workspace, KERNEL, actor=owner)
    assert {(refused.path, refused.code) for refused in report.refused} >= {
        ("boot_id", "TOO_LARGE"), ("uuid", "TOO_LARGE"),
    }  # fmt: skip
    assert not Attachment.objects.filter(size__gt=10).exists()


def test_a_file_that_is_another_at_each_reading_comes_in_whole(workspace, owner):
    assert import_vault(workspace, KERNEL, actor=owner).attachments_stored > 0
    assert_whole(Attachment.objects.get(path="uuid"))


def test_a_file_over_the_limit_is_refused(workspace, owner, vault, settings):
    settings.ATTACHMENT_MAX_BYTES = 10
    (vault / "film.bin").write_bytes(b"x" * 11)
    (vault / "small.bin").write_bytes(b"x" * 10)
    report = import_vault(workspace, vault, actor=owner)
    assert [(refused.path, refused.code) for refused in report.refused] == [("film.bin", "TOO_LARGE")]
    assert Attachment.objects.get().path == "small.bin"


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_disk_that_is_full_refuses_the_file_and_stops_nothing_else(workspace, owner, vault, tmp_path, files, form):
    (vault / "film.bin").write_bytes(os.urandom(2 * MB))
    (vault / "small.bin").write_bytes(b"small")
    source = vault
    if form == "zip":
        source = tmp_path / "vault.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in vault.iterdir():
                archive.write(path, path.name)
    with no_file_larger_than(MB):
        report = import_vault(workspace, source, actor=owner)
    (refused,) = report.refused
    assert (refused.path, refused.code) == ("film.bin", "STORAGE_FULL")
    assert "File too large" in refused.reason
    assert report.created == 1
    assert Attachment.objects.get().path == "small.bin"
    assert [path.read_bytes() for path in stored(files)] == [b"small"]
    assert import_vault(workspace, source, actor=owner).attachments_stored == 1
    assert_whole(Attachment.objects.get(path="film.bin"))


def test_a_file_that_may_not_be_read_is_refused_and_stops_nothing_else(workspace, owner):
    with unprivileged_folder() as root:
        (root / "a.bin").write_bytes(b"secret")
        (root / "a.bin").chmod(0)
        (root / "b.bin").write_bytes(b"open")
        report = import_vault(workspace, root, actor=owner, dry_run=True)
    assert [(refused.path, refused.code) for refused in report.refused] == [("a.bin", "UNREADABLE")]
    assert report.attachments_stored == 1


def test_what_an_archive_inflates_to_counts_once_however_often_it_is_read(workspace, owner, tmp_path):
    path = tmp_path / "vault.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("film.bin", bytes(40 * MB))  # below the size from which an archive may be a bomb, twice above
    report = import_vault(workspace, path, actor=owner)
    assert not report.refused
    assert_whole(Attachment.objects.get())


def test_the_same_content_lies_once_and_a_vault_of_files_only_is_one(workspace, owner, vault, files):
    (vault / "a.md").unlink()
    for name in ("one.bin", "two.bin", "deep/three.bin"):
        (vault / name).parent.mkdir(exist_ok=True)
        (vault / name).write_bytes(b"same")
    assert import_vault(workspace, vault, actor=owner).attachments_stored == 3
    assert len(stored(files)) == 1
    assert not Note.objects.exists()
