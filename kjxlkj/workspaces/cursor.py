"""Where a reader of the feed stands: in each workspace, the number of the last event that it was shown.

Nothing smaller would do. Ids and times are in the order of making, not of commits: a reader at a certain time would
miss what is committed later and bears an earlier one. Transaction ids and their snapshots would hold everybody back
while any long transaction lasts, would not put the events of one workspace into their order, and mean nothing any more
in a restored backup. And whoever becomes a member has not seen what lies behind any such place.
"""

import base64
import binascii
from collections.abc import Mapping
from uuid import UUID

from kjxlkj.errors import BadRequest

# The end of a workspace's id → the number. Of 62 random bits: that two of a thousand workspaces share one is as likely
# as one in 10^13, and whole ids would halve how many fit into an address.
Positions = Mapping[bytes, int]

_FORM = b"\x01"
_NAME_BYTES = 8
_LARGEST = 2**63 - 1
# An address of 8 KiB, which every server and proxy takes, holds so many with numbers of any likely size.
MOST_WORKSPACES = 400


def name_of(workspace_id: UUID) -> bytes:
    return workspace_id.bytes[-_NAME_BYTES:]


def encode_positions(positions: Positions) -> str:
    """The same text for the same positions. Raises `BadRequest` for more of them than a cursor holds."""
    begun = sorted((name, seq) for name, seq in positions.items() if seq)
    if len(begun) > MOST_WORKSPACES:
        raise _bad(
            "workspace_id",
            f"you follow {len(begun)} workspaces, and a cursor holds {MOST_WORKSPACES}. Name one, and follow each.",
        )
    packed = _FORM + b"".join(name + _packed(seq) for name, seq in begun)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_positions(text: str) -> dict[bytes, int]:
    """Raises `BadRequest` for what `encode_positions` did not make."""
    try:
        packed = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        positions = _unpacked(packed)
    except (ValueError, binascii.Error, IndexError) as error:
        raise bad_cursor() from error
    # In another order, with a number twice or written at length: not ours.
    if len(positions) > MOST_WORKSPACES or encode_positions(positions) != text:
        raise bad_cursor()
    return positions


def bad_cursor(fault: str = "it is none of this feed's", parameter: str = "cursor") -> BadRequest:
    return _bad(
        parameter, f"{fault}. Take it as it is from the answer before, or begin anew with after=0 or after=latest."
    )


def _bad(field: str, message: str) -> BadRequest:
    return BadRequest("BAD_REQUEST", f"{field}: {message}", {"errors": [{"field": field, "message": message}]})


def _packed(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _unpacked(packed: bytes) -> dict[bytes, int]:
    """Raises ValueError, IndexError."""
    if packed[:1] != _FORM:
        raise ValueError("another form")
    positions, at = {}, 1
    while at < len(packed):
        name, at = packed[at : at + _NAME_BYTES], at + _NAME_BYTES
        seq = shift = 0
        while packed[at] > 0x7F:
            seq |= (packed[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
        seq |= packed[at] << shift
        at += 1
        if seq > _LARGEST:
            raise ValueError("too large")
        positions[name] = seq
    return positions
