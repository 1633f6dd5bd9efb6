"""Words, terms and phrases of a text."""

import re
import unicodedata
from functools import lru_cache

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
CJK = re.compile(f"[{_CJK}]")
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}](?:[^\W{_CJK}]|['’+#-])*[^\W_{_CJK}]|[^\W_{_CJK}]")
_ASCII_WORD = re.compile(r"[a-zA-Z0-9](?:[\w'+#-]*[a-zA-Z0-9])?", re.ASCII)
_SPACE = re.compile(r"[\s_]+")
_NO_LETTER = re.compile(r"[\d\W_]+")

STOP_WORDS = frozenset(
    """a about above after again all also am an and any are as at be because been before being below between both
    but by can cannot could did do does doing down during each few for from further had has have having he her here
    hers him his how i if in into is it its itself just me more most my no nor not now of off on once only or other
    our out over own same she should so some such than that the their them then there these they this those through
    to too under until up use used using very was we were what when where which while who whom why will with would
    you your""".split()  # noqa: SIM905 - words read better unquoted
)
# Titles that many notes have or that are plain words: a mention of them is hardly ever a reference.
COMMON_TITLES = STOP_WORDS | frozenset(
    """index readme notes note todo home overview introduction example examples test new misc link links reference
    references resources tools guide untitled inbox contents summary""".split()  # noqa: SIM905 - as above
)


def lowered(text: str) -> str:
    """Lower case of the same length: `str.lower` makes two characters of 'İ', which would shift offsets."""
    low = text.lower()
    if len(low) == len(text):
        return low
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def phrase(name: str) -> str:
    """The form in which a name is looked for in lowered text."""
    return lowered(_SPACE.sub(" ", unicodedata.normalize("NFC", name)).strip())


def is_telling(words: str) -> bool:
    """Whether a phrase says enough to be taken for a reference: no date or number, no everyday word."""
    if _NO_LETTER.fullmatch(words):
        return False
    if CJK.search(words):
        return len(words) >= 2
    return len(words) >= 3 and words not in COMMON_TITLES


@lru_cache(maxsize=128)
def words(text: str) -> tuple[str, ...]:
    """Kept for a moment: each kind of proposal reads the words of the same few notes."""
    return tuple((_ASCII_WORD if text.isascii() else _WORD).findall(text))


@lru_cache(maxsize=100_000)
def terms_of(word: str) -> tuple[str, ...]:
    """What a word counts as: nothing (stop words, numbers), itself without plural, or overlapping character
    pairs for scripts without spaces."""
    if CJK.match(word):
        return tuple(word[i : i + 2] for i in range(len(word) - 1)) or (word,)
    low = word.lower()
    if len(low) < 2 or low in STOP_WORDS or low.isdigit():
        return ()
    if len(low) > 4 and low.endswith("ies"):
        return (low[:-3] + "y",)
    if len(low) > 3 and low.endswith("s") and not low.endswith(("ss", "us", "is")):
        return (low[:-1],)
    return (low,)


def terms(text: str) -> list[str]:
    return [term for word in words(text) for term in terms_of(word)]
