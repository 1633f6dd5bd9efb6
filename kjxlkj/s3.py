"""Files in a bucket of S3, or of a server that is compatible with it.

Imported only where the settings name a bucket: it needs django-storages and boto3, which are not installed otherwise.
"""

from typing import IO, Any
from uuid import uuid4

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from storages.backends.s3 import S3Storage

from kjxlkj.storing import StorageFault

# Of S3 itself and of servers that are compatible with it.
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioStorageQuotaExceeded"}
_MAY_PASS = {"SlowDown", "RequestTimeout", "OperationAborted"}
_SPOOL_BYTES = 8 * 1024 * 1024


class S3(S3Storage):  # type: ignore[misc]  # shipped without types
    def __init__(self, **options: Any) -> None:
        style = "path" if options.get("endpoint_url") else "auto"
        super().__init__(
            client_config=Config(
                # The server checks what it received against a digest of ours.
                s3={"addressing_style": style, "payload_signing_enabled": True},
                signature_version="s3v4",
                # Newer checksums are not understood by every compatible server.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 3},
            ),
            # On the thread of the caller, who may look between pieces whether to go on.
            transfer_config=TransferConfig(use_threads=False),
            max_memory_size=_SPOOL_BYTES,
            **options,
        )

    def open_at(self, name: str, start: int, length: int) -> IO[bytes]:
        """That part of a file, as it comes in. Raises FileNotFoundError."""
        wanted = {"Range": f"bytes={start}-{start + length - 1}"} if length else {}
        try:
            answer = self._client.get_object(Bucket=self.bucket_name, Key=self._normalize_name(name), **wanted)
        except ClientError as error:
            if _status(error) == 404 and _code(error) != "NoSuchBucket":
                raise FileNotFoundError(name) from error
            raise
        body: IO[bytes] = answer["Body"]
        return body

    def exists(self, name: str) -> bool:
        """Raises ClientError where the bucket itself is not there: asked for a file of it, a server says the same."""
        if super().exists(name):
            return True
        self._client.head_bucket(Bucket=self.bucket_name)
        return False

    def link(self, name: str, disposition: str, content_type: str, seconds: int) -> str:
        """An address that hands the file out to whoever has it, for so long."""
        headers = {
            "ResponseContentDisposition": disposition,
            "ResponseContentType": content_type,
            "ResponseCacheControl": "private, no-store",
        }
        link: str = self.url(name, parameters=headers, expire=seconds)
        return link

    def probe(self) -> None:
        """Write, read, list and delete, as exports do: each may be forbidden by itself, or outside of the prefix."""
        key = self._normalize_name(f".probe-{uuid4()}")
        where = {"Bucket": self.bucket_name, "Key": key}
        self._client.put_object(**where, Body=b"kjxlkj")
        try:
            self._client.get_object(**where)["Body"].read()
            self._client.list_objects_v2(Bucket=self.bucket_name, Prefix=key, MaxKeys=1)
        finally:
            self._client.delete_object(**where)

    @property
    def place(self) -> str:
        return f"bucket {self.bucket_name} at {self.endpoint_url or 'AWS'}"

    def explain(self, error: Exception) -> StorageFault | None:
        """What an error of boto3's means to people; None: it is no such error."""
        if isinstance(error, ClientError):
            return _refusal(self.place, error)
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return StorageFault(
                "STORAGE_REFUSED",
                "There are no keys for the bucket. Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, to workers too.",
            )
        if isinstance(error, BotoCoreError):
            return StorageFault("STORAGE_UNAVAILABLE", f"The {self.place} cannot be reached: {error}", may_pass=True)
        return None

    @property
    def _client(self) -> Any:
        return self.connection.meta.client


def _refusal(place: str, error: ClientError) -> StorageFault:
    status, code = _status(error), _code(error)
    said = f"{code}, {error.response['Error'].get('Message', '')}".rstrip(", ")
    if status == 507 or code in _FULL:
        return StorageFault("STORAGE_FULL", f"The {place} takes no more ({said}). Make room, or raise its quota.")
    if status >= 500 or status == 429 or code in _MAY_PASS:
        return StorageFault("STORAGE_UNAVAILABLE", f"The {place} fails: {said}", may_pass=True)
    return StorageFault(
        "STORAGE_REFUSED", f"The {place} refuses ({said}). Look at KJXLKJ_S3_… and the keys, and what these may do."
    )


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))
