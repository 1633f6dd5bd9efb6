"""What `manage.py check` says of settings that are wrong together, or only where they lead to."""

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from kjxlkj.health import check_storage

_INSTALL = ".venv/bin/pip install --require-hashes -r requirements-s3.lock"


def _has_bucket() -> bool:
    return bool(settings.STORAGES["default"]["BACKEND"] == "kjxlkj.s3.S3")


def _missing() -> list[str]:
    return [name for name in ("boto3", "storages") if find_spec(name) is None]


def libraries_are_there(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if _has_bucket() and (missing := _missing()):
        told = f"KJXLKJ_S3_BUCKET names a bucket, and what reaches it is not installed ({', '.join(missing)})."
        return [Error(told, hint=f"{_INSTALL} on every host.", id="kjxlkj.E001")]
    return []


def bucket_is_usable(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """With `--deploy`: writes a small object, reads and deletes it."""
    if not _has_bucket() or _missing():
        return []
    found = check_storage()
    return [] if found.ok else [Error(found.message, hint="manage.py doctor tells the same.", id="kjxlkj.E002")]
