"""The content of attachments in answers, so that no file of a vault ever runs as a page of ours.

Everything is a download. Only a raster picture may be shown, by what its first bytes say and not by its name: HTML and
SVG run scripts, and a PDF brings its reader's faults along.
"""

import mimetypes
import re
from typing import cast

from django.db.models.fields.files import FieldFile
from django.http import FileResponse, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response

from kjxlkj.errors import NotFound
from kjxlkj.notes.models import Attachment

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


def as_download(attachment: Attachment) -> FileResponse:
    """Raises `NotFound` ATTACHMENT_NOT_FOUND where the storage has lost the content."""
    guessed, encoding = mimetypes.guess_type(_name(attachment))
    passive = guessed and not encoding and _PASSIVE.fullmatch(guessed)
    return _response(attachment, guessed if passive else None, as_attachment=True)


def as_picture(request: HttpRequest, attachment: Attachment) -> FileResponse | HttpResponse:
    """To be shown in a page; what is no raster picture is a download nevertheless. Raises as `as_download` does."""
    etag = f'"{attachment.sha256}"'
    if (known := get_conditional_response(request, etag=etag)) is not None:
        return known
    kind = _picture_kind(attachment)
    response = _response(attachment, kind, as_attachment=False) if kind else as_download(attachment)
    response["ETag"] = etag
    # Asked for again each time: whoever has left the workspace gets nothing.
    response["Cache-Control"] = "private, no-cache"
    return response


def _picture_kind(attachment: Attachment) -> str | None:
    if not is_picture(attachment.path, attachment.size):
        return None
    with _opened(attachment) as content:
        head = content.read(_HEAD_BYTES)
    return next((kind for kind, pattern in _PICTURE_HEAD.items() if pattern.match(head)), None)


def _response(attachment: Attachment, kind: str | None, *, as_attachment: bool) -> FileResponse:
    response = FileResponse(
        _opened(attachment),
        as_attachment=as_attachment,
        filename=_name(attachment),
        content_type=kind or "application/octet-stream",
    )
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def _opened(attachment: Attachment) -> FieldFile:
    try:
        return cast(FieldFile, attachment.file.open("rb"))
    except FileNotFoundError as error:
        raise NotFound(
            "ATTACHMENT_NOT_FOUND", "The file's content is missing from the storage. Import it again."
        ) from error


def _name(attachment: Attachment) -> str:
    return attachment.path.rpartition("/")[2]
