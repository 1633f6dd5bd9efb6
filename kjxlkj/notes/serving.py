"""The content of attachments in answers, so that no file of a vault ever runs as a page of ours.

Everything is a download. Only a raster picture may be shown, by what its first bytes say and not by its name: HTML and
SVG run scripts, and a PDF brings its reader's faults along.
"""

import mimetypes
import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

from kjxlkj.downloads import Download, answer
from kjxlkj.errors import NotFound
from kjxlkj.notes.models import Attachment
from kjxlkj.storing import discreet_faults, open_at

# A browser holds a picture unpacked; larger ones are for a program of their own.
PICTURE_MAX_BYTES = 20 * 1024 * 1024

# What no browser runs scripts of. Everything else keeps its bytes and loses its type: no HTML, no XML, no SVG.
_PASSIVE = re.compile(
    r"(?:image|audio|video)/[\w.-]+|text/(?:plain|csv|markdown)|application/(?:pdf|zip|json|vnd\.[\w.-]+)"
)
_PICTURE_NAME = re.compile(r"\.(?:png|jpe?g|gif|webp|avif)\Z", re.IGNORECASE)
_PICTURE_HEAD = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "image/avif": re.compile(rb".{4}ftypavi[fs]", re.DOTALL),
}
_HEAD_BYTES = 16


def is_picture(path: str, size: int) -> bool:
    """Whether it is worth offering to show the file; its content has the last word."""
    return size <= PICTURE_MAX_BYTES and _PICTURE_NAME.search(path) is not None


def as_download(request: HttpRequest | Request, attachment: Attachment, *, stream: bool = False) -> HttpResponseBase:
    """Raises `NotFound` ATTACHMENT_NOT_FOUND where the storage has lost the content, `StorageFault`."""
    guessed, encoding = mimetypes.guess_type(_name(attachment))
    passive = guessed if guessed and not encoding and _PASSIVE.fullmatch(guessed) else None
    return _answer(request, attachment, passive, as_attachment=True, stream=stream)


def as_picture(request: HttpRequest, attachment: Attachment) -> HttpResponseBase:
    """To be shown in a page; what is no raster picture is a download nevertheless. Raises as `as_download` does."""
    kind = _picture_kind(attachment)
    # Through this server wherever it is kept: pages show nothing of elsewhere.
    return _answer(request, attachment, kind, as_attachment=kind is None, stream=True)


@discreet_faults()
def _picture_kind(attachment: Attachment) -> str | None:
    if not is_picture(attachment.path, attachment.size):
        return None
    with _lost_is_told(), open_at(attachment.file.name, 0, min(_HEAD_BYTES, attachment.size)) as content:
        head = content.read(_HEAD_BYTES)
    return next((kind for kind, pattern in _PICTURE_HEAD.items() if pattern.match(head)), None)


def _answer(
    request: HttpRequest | Request, attachment: Attachment, kind: str | None, *, as_attachment: bool, stream: bool
) -> HttpResponseBase:
    download = Download(
        attachment.file.name,
        _name(attachment),
        kind or "application/octet-stream",
        attachment.size,
        attachment.sha256,
        as_attachment,
    )
    with _lost_is_told():
        response = answer(request, download, stream=stream)
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


@contextmanager
def _lost_is_told() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(
            "ATTACHMENT_NOT_FOUND", "The file's content is missing from the storage. Import it again."
        ) from error


def _name(attachment: Attachment) -> str:
    return attachment.path.rpartition("/")[2]
