"""What the environment may say, and what is refused, by the settings themselves in a process of their own."""

import json
import os
import stat
import subprocess
import sys

import pytest


def run(code, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "KJXLKJ", "DJANGO"))}
    command = [sys.executable, "-c", f"from kjxlkj import settings\n{code}"]
    return subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "url", ["sqlite:///db.sqlite3", "mysql://u:p@localhost/x", "oracle://u:p@localhost/x", "nonsense", "ftp://x/y"]
)
def test_any_other_database_is_refused_in_words(tmp_path, url):
    done = run("", DATABASE_URL=url, KJXLKJ_DATA_DIR=str(tmp_path))
    assert done.returncode != 0
    assert "DATABASE_URL: kjxlkj needs PostgreSQL" in done.stderr
    assert "embedded" in done.stderr


def test_with_a_database_url_the_embedded_server_is_not_imported_at_all(tmp_path):
    code = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'kjxlkj.settings'\n"
        "django.setup()\n"
        "from django.db import connection\n"
        "print(connection.vendor, [name for name in sys.modules if 'embedded_postgres' in name or 'pgserver' in name])"
    )
    done = run(code, DATABASE_URL="postgres://u:p@127.0.0.1:1/x", KJXLKJ_DATA_DIR=str(tmp_path))
    assert done.stdout.strip() == "postgresql []", done.stderr


def test_the_secret_key_is_made_once_and_for_its_owner_alone(tmp_path):
    data = tmp_path / "data"
    keys = {run("print(settings.SECRET_KEY)", KJXLKJ_DATA_DIR=str(data)).stdout for _ in range(2)}
    assert len(keys) == 1
    assert len(keys.pop().strip()) > 50
    assert stat.S_IMODE((data / "secret_key").stat().st_mode) == 0o600


def test_a_given_secret_key_counts(tmp_path):
    done = run("print(settings.SECRET_KEY)", KJXLKJ_DATA_DIR=str(tmp_path), KJXLKJ_SECRET_KEY="given")
    assert done.stdout.strip() == "given"
    assert not (tmp_path / "secret_key").exists()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("default", "'default' is not a name and a number"),
        ("default:2,long", "'long' is not a name and a number"),
        ("default:two", "'default:two' is not a name and a number"),
        ("default:-1", "'default:-1' is not a name and a number"),
        ("long:2", "needs a queue named 'default'"),
    ],
)
def test_queues_that_cannot_be_read_are_refused_in_words(tmp_path, given, fault):
    done = run("", KJXLKJ_DATA_DIR=str(tmp_path), KJXLKJ_QUEUES=given)
    assert done.returncode != 0
    assert "KJXLKJ_QUEUES" in done.stderr
    assert fault in done.stderr


def test_a_queue_may_be_served_by_other_hosts(tmp_path):
    done = run("print(settings.JOB_QUEUES)", KJXLKJ_DATA_DIR=str(tmp_path), KJXLKJ_QUEUES="default:0, long:3")
    assert done.stdout.strip() == "{'default': 0, 'long': 3}", done.stderr


@pytest.mark.parametrize(
    "given", ["10.1.0.1/16", "10.0.0.0/33", "10.1", "fe80::1%eth0", "https://hooks.lan", "*.lan", "a b"]
)
def test_what_webhooks_may_reach_is_named_by_hosts_and_networks_only(tmp_path, given):
    done = run("", KJXLKJ_DATA_DIR=str(tmp_path), KJXLKJ_WEBHOOK_ALLOW=f"hooks.lan,{given}")
    assert done.returncode != 0
    assert "KJXLKJ_WEBHOOK_ALLOW: " in done.stderr


def test_what_webhooks_may_reach_is_read_whatever_its_case(tmp_path):
    given = "Hooks.LAN, 10.1.0.0/16,127.0.0.1, FD12::/32"
    done = run("print(settings.WEBHOOK_ALLOW)", KJXLKJ_DATA_DIR=str(tmp_path), KJXLKJ_WEBHOOK_ALLOW=given)
    assert done.stdout.strip() == "['hooks.lan', '10.1.0.0/16', '127.0.0.1', 'fd12::/32']", done.stderr


@pytest.mark.parametrize(
    "given", ["notes.example.com", "https://", "https://notes.example.com/ x", "https://nötes.example"]
)
def test_what_is_no_address_is_not_told_to_openrouter(tmp_path, given):
    done = run("", KJXLKJ_OPENROUTER_REFERER=given, KJXLKJ_DATA_DIR=str(tmp_path))
    assert done.returncode != 0
    assert "KJXLKJ_OPENROUTER_REFERER:" in done.stderr
    assert "https://notes.example.com/" in done.stderr


def test_a_bucket_is_named_by_the_environment_and_a_folder_is_the_default(tmp_path):
    where = {"KJXLKJ_DATA_DIR": str(tmp_path)}
    code = "import json; print(json.dumps(settings.STORAGES['default']))"
    assert json.loads(run(code, **where).stdout) == {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    bucket = {
        "KJXLKJ_S3_BUCKET": "notes",
        "KJXLKJ_S3_ENDPOINT_URL": "https://s3.example.com",
        "KJXLKJ_S3_REGION": "eu-central-1",
        "KJXLKJ_S3_PREFIX": "/team/",
    }
    assert json.loads(run(code, **where, **bucket).stdout) == {
        "BACKEND": "kjxlkj.s3.S3",
        "OPTIONS": {
            "bucket_name": "notes",
            "location": "team",
            "endpoint_url": "https://s3.example.com",
            "region_name": "eu-central-1",
        },
    }


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("KJXLKJ_S3_BUCKET", "s3://notes/team"),
        ("KJXLKJ_S3_ENDPOINT_URL", "s3.example.com"),
        ("KJXLKJ_S3_LINK_SECONDS", "five"),
        ("KJXLKJ_S3_LINK_SECONDS", "604801"),
        ("KJXLKJ_KEEP_BACKUPS", "-1"),
        ("KJXLKJ_PROXIES", "127.0.0.1"),
    ],
)
def test_what_a_setting_cannot_be_is_refused_by_its_name(tmp_path, name, given):
    done = run("", KJXLKJ_DATA_DIR=str(tmp_path), **{"KJXLKJ_S3_BUCKET": "notes", name: given})
    assert done.returncode != 0
    assert f"{name}: '{given}' is no" in done.stderr


def test_without_a_bucket_nothing_of_it_is_imported(tmp_path):
    code = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'kjxlkj.settings'\n"
        "django.setup()\n"
        "import kjxlkj.urls\n"
        "from django.core.files.storage import default_storage\n"
        "default_storage.exists('x')\n"
        "print([name for name in sys.modules if name.partition('.')[0] in {'boto3', 'botocore', 'storages'}])"
    )
    done = run(code, KJXLKJ_DATA_DIR=str(tmp_path))
    assert done.stdout.strip() == "[]", done.stderr


def test_a_bucket_without_its_libraries_is_refused_with_how_to_get_them(tmp_path):
    code = (
        "import importlib.machinery, os, sys\n"
        "class Without(importlib.machinery.PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        return None if name in {'boto3', 'storages'} else super().find_spec(name, path, target)\n"
        "sys.meta_path[-1] = Without\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'kjxlkj.settings'\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(['manage.py', 'check'])"
    )
    done = run(code, KJXLKJ_DATA_DIR=str(tmp_path), KJXLKJ_S3_BUCKET="notes")
    assert done.returncode != 0
    assert "kjxlkj.E001" in done.stderr
    assert "requirements-s3.lock" in done.stderr
