"""The storage's own faults, and where its address is wrong: on a disk, and in a real bucket."""

import errno
import os
from io import StringIO

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError

from kjxlkj.health import check_storage
from kjxlkj.storing import StorageFault, keep, link, open_at, require, staged, storage_faults
from tests.bucket import BUCKET


@pytest.fixture
def disk(settings, tmp_path):
    settings.DATA_DIR = settings.MEDIA_ROOT = tmp_path
    return tmp_path


def put(name, data):
    with staged() as file:
        file.write(data)
        return keep(file, name)


@pytest.mark.parametrize(
    ("number", "code", "may_pass"),
    [
        (errno.ENOSPC, "STORAGE_FULL", False),
        (errno.EDQUOT, "STORAGE_FULL", False),
        (errno.EROFS, "STORAGE_REFUSED", False),
        (errno.ESTALE, "STORAGE_UNAVAILABLE", True),
    ],
)
def test_a_fault_of_the_disk_has_a_code_of_its_own(number, code, may_pass):
    with pytest.raises(StorageFault) as raised, storage_faults():
        raise OSError(number, os.strerror(number), "/data/x")
    assert (raised.value.code, raised.value.may_pass) == (code, may_pass)
    assert "/data/x" in raised.value.message


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "x"), ValueError("x")])
def test_what_is_no_fault_of_the_storage_goes_its_way(disk, error):
    with pytest.raises(type(error)), storage_faults():
        raise error


def test_a_disk_has_parts_and_no_links(disk):
    put("a/b", b"0123456789")
    with open_at("a/b", 3, 4) as file:
        assert file.read(4) == b"3456"
    assert link("a/b", "attachment", "text/plain") is None
    assert check_storage().ok


# --- A bucket -------------------------------------------------------------------------------------


def test_a_file_lies_in_the_bucket_whole_under_its_prefix(bucket, disk):
    assert put("a/ü.bin", b"x" * 20_000_000) == "a/ü.bin"
    assert bucket.objects() == {"in/a/ü.bin": 20_000_000}
    assert default_storage.exists("a/ü.bin")
    with open_at("a/ü.bin", 19_999_990, 10) as file:
        assert file.read() == b"x" * 10
    assert default_storage.listdir("a") == ([], ["ü.bin"])
    assert not list((disk / ".incoming").iterdir())


def test_what_ends_an_upload_leaves_nothing(bucket, disk):
    pieces = []

    def check():
        pieces.append(1)
        if len(pieces) > 3:
            raise KeyError("enough")

    with staged() as file:
        file.write(b"x" * 30_000_000)
        with pytest.raises(KeyError, match="enough"):
            keep(file, "a/b", check)
    assert bucket.objects() == {}


def test_a_bucket_that_refuses_connections_may_come_back(bucket, disk):
    bucket.stop()
    with pytest.raises(StorageFault) as raised:
        put("a", b"x")
    assert (raised.value.code, raised.value.may_pass) == ("STORAGE_UNAVAILABLE", True)
    bucket.start()
    assert put("a", b"x") == "a"


@pytest.mark.parametrize("wrong", [{"AWS_SECRET_ACCESS_KEY": "another"}, {"AWS_ACCESS_KEY_ID": "nobody"}])
def test_keys_that_are_wrong_are_told_and_not_tried_again(bucket, disk, monkeypatch, settings, wrong):
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    settings.STORAGES = {**settings.STORAGES}
    with pytest.raises(StorageFault) as raised:
        put("a", b"x")
    assert (raised.value.code, raised.value.may_pass) == ("STORAGE_REFUSED", False)
    assert "KJXLKJ_S3_" in raised.value.message


def test_no_keys_at_all_are_told(bucket, disk, monkeypatch, settings):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    settings.STORAGES = {**settings.STORAGES}
    with pytest.raises(StorageFault, match="AWS_ACCESS_KEY_ID") as raised:
        put("a", b"x")
    assert raised.value.code == "STORAGE_REFUSED"


@pytest.fixture
def nowhere(bucket, settings):
    """A bucket that is not there, on a server that is."""
    wrong = bucket.storage
    wrong["OPTIONS"]["bucket_name"] = "nowhere"
    settings.STORAGES = {**settings.STORAGES, "default": wrong}


def test_a_bucket_that_is_not_there_is_no_lost_file(nowhere, disk):
    for ask in (lambda: require("a"), lambda: link("a", "attachment", "text/plain")):
        with pytest.raises(StorageFault, match="bucket nowhere") as raised:
            ask()
        assert raised.value.code == "STORAGE_REFUSED"


def test_a_lost_file_is_none_of_the_bucket(bucket, disk):
    with pytest.raises(FileNotFoundError):
        require("a")


def test_each_who_tries_a_bucket_has_a_key_of_its_own_below_the_prefix(bucket, disk):
    sent = []
    events = default_storage.connection.meta.client.meta.events
    events.register("provide-client-params.s3", lambda params, **_: sent.append(params))
    assert check_storage().ok
    assert check_storage().ok
    keys = {params.get("Key") or params["Prefix"] for params in sent}
    assert len(keys) == 2
    assert all(key.startswith("in/.probe") for key in keys)
    assert bucket.objects() == {}


def test_the_doctor_and_the_check_for_deployments_tell_of_a_bucket_that_is_not_there(
    bucket, disk, settings, db, monkeypatch
):
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)  # which tests with a browser need, and it tells of
    assert check_storage().message == f"Files are written to and read from bucket {BUCKET} at {bucket.url}."
    assert bucket.objects() == {}
    call_command("check", "--deploy", stdout=StringIO(), stderr=StringIO())
    wrong = bucket.storage
    wrong["OPTIONS"]["bucket_name"] = "nowhere"
    settings.STORAGES = {**settings.STORAGES, "default": wrong}
    with pytest.raises(SystemCheckError, match=r"E002"):
        call_command("check", "--deploy", stdout=StringIO(), stderr=StringIO())
    out = StringIO()
    with pytest.raises(CommandError, match="storage"):
        call_command("doctor", stdout=out, no_color=True)
    assert "storage: sick. The bucket nowhere at" in out.getvalue()
    assert "NoSuchBucket" in out.getvalue()
