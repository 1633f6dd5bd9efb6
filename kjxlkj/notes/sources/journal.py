"""Days as Logseq names them: in file names one way, in titles another."""

import re
from datetime import date

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# A quoted text, `do`, or letters of one kind; the longest that is known decides.
_TOKEN = re.compile(r"'([^']*)'|(do)|(y+|M+|d+|E+)|([a-zA-Z]+)")
_DIGITS = {"yyyy": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{2})", "dd": r"(?P<day>\d{2})"}
_USUAL = "yyyy_MM_dd"


def title_of_day(stem: str, name_format: str, title_format: str) -> str | None:
    """The title of the journal whose file has this stem; None where it names no day or the format is not known."""
    day = _day(stem, name_format) or _day(stem.replace("-", "_"), _USUAL)
    return _formatted(day, title_format) if day else None


def _day(stem: str, name_format: str) -> date | None:
    pattern = re.escape(name_format)
    for token, digits in _DIGITS.items():
        pattern = pattern.replace(token, digits, 1)
    found = re.fullmatch(pattern, stem)
    if not found or found.groupdict().keys() != {"year", "month", "day"}:
        return None
    try:
        return date(**{name: int(value) for name, value in found.groupdict().items()})
    except ValueError:
        return None


def _formatted(day: date, title_format: str) -> str | None:
    known = {
        "yyyy": f"{day.year:04}", "yy": f"{day.year % 100:02}", "MMMM": _MONTHS[day.month - 1],
        "MMM": _MONTHS[day.month - 1][:3], "MM": f"{day.month:02}", "M": str(day.month), "dd": f"{day.day:02}",
        "d": str(day.day), "EEEE": _DAYS[day.weekday()], **dict.fromkeys(("E", "EE", "EEE"), _DAYS[day.weekday()][:3]),
    }  # fmt: skip
    pieces, pos = [], 0
    for token in _TOKEN.finditer(title_format):
        quoted, ordinal, letters, _ = token.groups()
        if quoted is None and not ordinal and letters not in known:
            return None
        pieces += [title_format[pos : token.start()], known.get(letters) or quoted or _ordinal(day.day)]
        pos = token.end()
    return "".join(pieces) + title_format[pos:]


def _ordinal(number: int) -> str:
    suffix = "th" if 11 <= number <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
