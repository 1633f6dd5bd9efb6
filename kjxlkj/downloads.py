"""Files of the storage handed out over HTTP: whole, in part (RFC 9110, ranges), or by a link into the bucket.

Who may have them is for the caller to ask, with each request.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils.http import content_disposition_header, parse_etags
from rest_framework import serializers
from rest_framework.request import Request

from kjxlkj.api import Shape
from kjxlkj.envelope import error_json
from kjxlkj.storing import discreet_faults, link, open_at, require

_PIECE_BYTES = 256 * 1024
# One range; who asks for many at once gets the whole, as RFC 9110 allows.
_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,18})\s*-\s*([0-9]{1,18})?|-\s*([0-9]{1,18}))\s*", re.IGNORECASE)


class DownloadQuery(Shape):
    stream = serializers.BooleanField(
        default=False, help_text="Through this server in any case, never by a link to where the file is kept."
    )


@dataclass(frozen=True, slots=True)
class Download:
    name: str
    """In the storage."""
    filename: str
    """For people."""
    content_type: str
    size: int
    sha256: str
    as_attachment: bool = True
    """False: browsers may show it. Only of what runs nothing."""

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'

    @property
    def disposition(self) -> str:
        return content_disposition_header(self.as_attachment, self.filename) or "inline"


def handed_out(response: HttpResponseBase, request: HttpRequest | Request) -> bool:
    """Whether somebody got the file by it, or a part of the file."""
    return request.method != "HEAD" and response.status_code in {200, 206, 302}


@discreet_faults()
def answer(request: HttpRequest | Request, download: Download, *, stream: bool = False) -> HttpResponseBase:
    """The download, or what the request's conditions ask for instead. Raises FileNotFoundError, `StorageFault`."""
    if download.etag in (known := parse_etags(request.headers.get("If-None-Match", ""))) or known == ["*"]:
        return _described(HttpResponse(status=304), download)
    if request.method == "GET" and not stream and (address := link(*_of_link(download))):
        redirect = HttpResponseRedirect(address)
        redirect["Cache-Control"] = "private, no-store"
        return redirect
    wanted = _range(request, download)
    if wanted is None:
        return _whole(request, download)
    if not wanted:
        return _unsatisfiable(download)
    return _part(download, wanted)


def _of_link(download: Download) -> tuple[str, str, str]:
    return download.name, download.disposition, download.content_type


def _range(request: HttpRequest | Request, download: Download) -> range | None:
    """Which bytes are asked for; empty: none that there are; None: no range is asked for, or none that counts."""
    asked = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    only_if = request.headers.get("If-Range", download.etag).strip()
    # Of a HEAD it is not defined. A date never fits: none is told.
    if request.method != "GET" or asked is None or only_if != download.etag:
        return None
    first, last, suffix = asked.groups()
    if suffix is not None:
        return range(max(0, download.size - int(suffix)), download.size)
    start, stop = int(first), int(last) + 1 if last else download.size
    if last and stop <= start:
        return None
    return range(start, min(stop, download.size))


def _whole(request: HttpRequest | Request, download: Download) -> HttpResponseBase:
    if request.method == "HEAD":
        require(download.name)
        response: HttpResponseBase = HttpResponse()
    else:
        response = StreamingHttpResponse(_Pieces(open_at(download.name, 0, download.size), download.size))
    response["Content-Length"] = str(download.size)
    return _described(response, download)


def _part(download: Download, wanted: range) -> HttpResponseBase:
    file = open_at(download.name, wanted.start, len(wanted))
    response = StreamingHttpResponse(_Pieces(file, len(wanted)), status=206)
    response["Content-Length"] = str(len(wanted))
    response["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{download.size}"
    return _described(response, download)


def _unsatisfiable(download: Download) -> HttpResponseBase:
    message = f"Range: the file has {download.size} bytes, none of which was asked for. Ask within them."
    response = error_json(416, "RANGE_NOT_SATISFIABLE", message, {"size": download.size})
    response["Content-Range"] = f"bytes */{download.size}"
    response["Accept-Ranges"] = "bytes"
    return response


def _described(response: HttpResponseBase, download: Download) -> HttpResponseBase:
    digest = b64encode(bytes.fromhex(download.sha256)).decode()
    response["Content-Type"] = download.content_type
    response["Content-Disposition"] = download.disposition
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = download.etag
    response["Digest"] = f"sha-256={digest}"
    response["Repr-Digest"] = f"sha-256=:{digest}:"  # what RFC 9530 has made of it
    response["X-Content-Type-Options"] = "nosniff"
    # Whoever keeps it asks again each time, and so do we who is there.
    response["Cache-Control"] = "private, no-cache"
    return response


class _Pieces:
    """So many bytes of an open file, which is closed with the response, however far that came."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file = file
        self._left = length

    def __iter__(self) -> Iterator[bytes]:
        while self._left and (piece := self._file.read(min(_PIECE_BYTES, self._left))):
            self._left -= len(piece)
            yield piece

    def close(self) -> None:
        self._file.close()
