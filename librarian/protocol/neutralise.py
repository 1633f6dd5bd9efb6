"""Text of users inside a message: made harmless on the way out, given back exactly on the way in.

The rule. A *tag start* is an optional `/` and a name of the protocol, in any case, that no further ASCII
letter, digit or `_` continues. Before a tag start
    `<` becomes `‹\\`, and `‹` with n ≥ 1 backslashes becomes `‹` with n + 1.
Nothing else changes. `restore` goes the other way: one backslash less, and `‹\\` becomes `<`. Tag starts hold
none of the characters that change, so both ways find the same ones and the way back is exact for every
string; and since every tag is `<` and a tag start, no tag is left.
"""

import re

from librarian.protocol.grammar import FLAGS, REQUEST, RESPONSE, alternatives

_TAG_START = rf"/?+(?:{alternatives(REQUEST.names | RESPONSE.names)})(?!\w)"
# Lookaheads and constant replacements: re then works without a call into Python for each match.
_ESCAPED = re.compile(rf"‹(?=\\++{_TAG_START})", FLAGS)
_OPEN = re.compile(rf"<(?={_TAG_START})", FLAGS)
_ESCAPED_ONCE = re.compile(rf"‹\\(?={_TAG_START})", FLAGS)
_ESCAPED_TWICE = re.compile(rf"‹\\(?=\\++{_TAG_START})", FLAGS)


def neutralise(text: str) -> str:
    if "‹" in text:
        text = _ESCAPED.sub(r"‹\\", text)
    return _OPEN.sub(r"‹\\", text)


def restore(text: str) -> str:
    if "‹" not in text:
        return text
    return _ESCAPED_TWICE.sub("‹", _ESCAPED_ONCE.sub("<", text))
