"""`xml_attrless`, the text protocol between the librarian and whatever answers it.

UTF-8 text in tags without attributes. A reader takes one pass over it, with one compiled expression over
the known names and a stack; leaves are raw text and no entity is ever decoded, so that Markdown comes back
byte for byte (but line ends become LF, and NUL and lone surrogates, which no note may hold, U+FFFD).

This package imports the standard library alone.
"""

from librarian.protocol.findings import PARSE_FAILED, PROTOCOL_INVALID, Fault, Notice, ProtocolError
from librarian.protocol.messages import (
    KINDS,
    STATUSES,
    Constraints,
    Link,
    ProposedOperation,
    Request,
    Response,
    Source,
)
from librarian.protocol.neutralise import neutralise, restore
from librarian.protocol.request import parse_request, serialize_request, serialize_source
from librarian.protocol.response import parse_response, serialize_response

PARSER_VERSION = "2"
"""Stored with every report: raise it when the same text would be read otherwise than before."""

__all__ = [
    "KINDS",
    "PARSER_VERSION",
    "PARSE_FAILED",
    "PROTOCOL_INVALID",
    "STATUSES",
    "Constraints",
    "Fault",
    "Link",
    "Notice",
    "ProposedOperation",
    "ProtocolError",
    "Request",
    "Response",
    "Source",
    "neutralise",
    "parse_request",
    "parse_response",
    "restore",
    "serialize_request",
    "serialize_response",
    "serialize_source",
]
