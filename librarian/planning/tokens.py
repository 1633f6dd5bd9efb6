"""How many tokens a text is, without anybody's tokenizer.

`estimated_tokens` is to err on the high side, so that what is packed fits. The weights follow what the tokenizers of
Llama 2, Llama 3, Qwen 3 and Gemma 3 make of prose, code, tables and numbers: a token of about three and a half small
letters, and of hardly more than one digit, mark or character of another script.
"""

import math
import re
from collections.abc import Iterable

_SPACES = re.compile(r"\s{2,}")
# Expression → tokens of each character that it finds.
_WEIGHTS = [
    (re.compile(r"[a-z]"), 1 / 3.4),
    (re.compile(r"[A-Z]"), 0.5),
    (re.compile(r"[0-9!-/:-@\[-`{-~]"), 1.0),
    (re.compile(r"[^\x00-\x7f]"), 1.1),
    (re.compile(r"[\U00010000-\U0010ffff]"), 1.5),  # beside what they weigh as all that is not ASCII
    (re.compile(r"\s"), 0.08),
]
# Tokenizers for many languages join whole words of scripts that others take apart letter by letter.
_HONEST_SHARE = 0.25


def estimated_tokens(text: str) -> int:
    weighed = sum(weight * len(characters.findall(text)) for characters, weight in _WEIGHTS)
    return math.ceil(weighed + len(_SPACES.findall(text)))


def looks_truncated(texts: Iterable[str], reported: int | None) -> bool:
    """Whether a server read less than it was sent, going by the tokens that it says it read.

    No tokenizer joins words over white space, so there are at least as many tokens as words of ASCII.
    """
    if reported is None:
        return False
    joined = " ".join(texts)
    words = sum(word.isascii() for word in joined.split())
    return reported < max(words, _HONEST_SHARE * estimated_tokens(joined))
