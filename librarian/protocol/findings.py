"""What a reader finds wrong with a text: faults, which fail it, and notices, which it bears."""

from dataclasses import dataclass
from typing import NoReturn

PROTOCOL_INVALID = "LIBRARIAN_PROTOCOL_INVALID"
"""Malformed nesting, missing closers, duplicates, a truncated or too large text, a foreign request_id."""

PARSE_FAILED = "LIBRARIAN_PARSE_FAILED"
"""The tags stand well, but one that is required is missing or holds a value that cannot be used."""

MAX_FAULTS = 20
"""All of them go into one repair prompt; beyond this many a list helps nobody."""


@dataclass(frozen=True, slots=True)
class Fault:
    code: str
    tag: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that was borne, told once for each code, at the line where it was first seen."""

    code: str
    line: int
    message: str


class ProtocolError(Exception):
    """The text cannot be used. `faults` has all that was found; the other attributes repeat the first."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        self.code, self.tag, self.line, self.message = (
            faults[0].code,
            faults[0].tag,
            faults[0].line,
            faults[0].message,
        )
        super().__init__("\n".join(f"{f.code}, line {f.line}, <{f.tag}>: {f.message}" for f in faults))


class Findings:
    """Collects faults and notices of one text; places are offsets into it, told as lines."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self._faults: list[Fault] = []
        self._notices: dict[str, Notice] = {}

    def fault(self, code: str, tag: str, place: int, message: str) -> None:
        self._faults.append(Fault(code, tag, self._line(place), message))
        if len(self._faults) >= MAX_FAULTS:
            self.raise_faults()

    def fatal(self, code: str, tag: str, place: int, message: str) -> NoReturn:
        """Record a fault after which nothing that follows can be trusted."""
        self._faults.append(Fault(code, tag, self._line(place), message))
        raise ProtocolError(tuple(self._faults))

    def notice(self, code: str, place: int, message: str) -> None:
        if code not in self._notices:
            self._notices[code] = Notice(code, self._line(place), message)

    def raise_faults(self) -> None:
        if self._faults:
            raise ProtocolError(tuple(self._faults))

    @property
    def notices(self) -> tuple[Notice, ...]:
        return tuple(self._notices.values())

    def _line(self, place: int) -> int:
        return self.text.count("\n", 0, place) + 1


def quote(value: str, limit: int = 40) -> str:
    """A value as it may stand in a message: on one line and short, since it is not ours."""
    flat = " ".join(value.split())
    return f"“{flat if len(flat) <= limit else flat[: limit - 1] + '…'}”"
