"""One text written as YAML."""

import json
import re

from kjxlkj.notes.front_matter.mapping import MappingError, read_mapping

_AMBIGUOUS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""What a reader of YAML 1.1 takes for something else than text."""
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def write_scalar(text: str, style: str = "", *, flow: bool = False) -> str:
    """In quotes if `style` (that of its neighbours) says so, plain if every reader takes it for text."""
    if _UNPRINTABLE.search(text) or style == '"':
        return _double_quoted(text)
    if style == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return text if _is_plain(text, flow) else _double_quoted(text)


def _is_plain(text: str, flow: bool) -> bool:
    if not text[:1].isalpha() or text.casefold() in _AMBIGUOUS or (flow and ":" in text):
        return False
    try:
        return read_mapping(f"k: [{text}]" if flow else f"k: {text}").value == {"k": [text] if flow else text}
    except MappingError:
        return False


def _double_quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
