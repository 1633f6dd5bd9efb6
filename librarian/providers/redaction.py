"""What a server sent, made fit to be stored and shown: without the key, which errors of servers like to repeat."""

import re
from collections.abc import Callable
from html import escape
from urllib.parse import quote

REDACTED = "[key]"
# A shorter word may be a placeholder such as “ollama”, which answers may talk of. No real key is so short.
_REAL_KEY_CHARACTERS = 12
# The beginning of a key at the end of a text that was cut off.
_TELLING_CHARACTERS = 4

Clean = Callable[[str], str]


def cleaner(key: str) -> Clean:
    """Of failures."""
    spellings = {key, key.replace("/", "\\/"), _as_go(key), quote(key), quote(key, safe=""), escape(key)} - {""}
    known = re.compile("|".join(re.escape(each) for each in sorted(spellings, key=len, reverse=True)) or r"(?!)")

    def clean(text: str) -> str:
        return _without_beginning(known.sub(REDACTED, storable(text)), key)

    return clean


def answer_cleaner(key: str) -> Clean:
    """Of answers, which are texts of the user."""
    return cleaner(key) if len(key) >= _REAL_KEY_CHARACTERS else storable


def storable(text: str) -> str:
    """PostgreSQL has no text with a NUL, and UTF-8 no lone surrogates."""
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)


def _as_go(key: str) -> str:
    """As Go's JSON has it."""
    return "".join(f"\\u{ord(each):04x}" if each in "<>&" else each for each in key)


def _without_beginning(text: str, key: str) -> str:
    for length in range(len(key) - 1, _TELLING_CHARACTERS - 1, -1):
        if text.endswith(key[:length]):
            return text[:-length] + REDACTED
    return text
