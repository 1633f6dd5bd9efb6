"""How many tokens a text is, without anybody's tokenizer.

`estimated_tokens` errs on the high side, so that what is packed fits. Tokenizers of today's models make about one token
of four ASCII characters of prose and of three of code, and up to about one of each character of other scripts; a run of
white space is one or two tokens.
"""

import math
import re
from collections.abc import Iterable

_SPACES = re.compile(r"\s{2,}")
_ASCII_PER_TOKEN = 3.4
_OTHERS_PER_TOKEN = 0.9
# Of what is surely not too low an estimate, so much is left in the worst of honest cases: long plain words.
_HONEST_SHARE = 0.5


def estimated_tokens(text: str) -> int:
    text = _SPACES.sub("  ", text)
    plain = len(text.encode("ascii", "ignore"))
    return math.ceil(plain / _ASCII_PER_TOKEN + (len(text) - plain) / _OTHERS_PER_TOKEN)


def looks_truncated(texts: Iterable[str], reported: int | None) -> bool:
    """Whether a server read less than it was sent, going by the tokens that it says it read.

    No tokenizer joins words over white space, so there are at least as many tokens as words of ASCII.
    """
    if reported is None:
        return False
    joined = " ".join(texts)
    words = sum(word.isascii() for word in joined.split())
    return reported < max(words, _HONEST_SHARE * estimated_tokens(joined))
