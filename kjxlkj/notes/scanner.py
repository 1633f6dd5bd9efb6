"""One linear pass over a Markdown body: what is code, comment, heading, link… and where.

Bodies hold no NUL (notes refuse it), so NUL can stand for “hidden”.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

HIDDEN = "\x00"

# Possessive quantifiers (*+) throughout: an opener without a closer must fail in one step, not backtrack.
WIKILINK = re.compile(
    r"!?\[\[((?:[^\[\]\n|#\\]|\\(?!\|))*+)(?:#((?:[^\[\]\n|\\]|\\(?!\|))*+))?(?:\\?\|([^\[\]\n]*+))?\]\]"
)
MARKDOWN_LINK = re.compile(
    r"""!?\[((?:[^\[\]\n\\]|\\.|\n(?![ \t]*\n)|!?\[(?:[^\[\]\n\\]|\\.)*+\](?:\([^()\s]*+\))?)*+)\]
    \(\s*+(?:<([^<>\n]*+)>|((?:[^\s()<>\\]|\\.|\((?:[^\s()\\]|\\.)*+\))*+))
    (?:\s++(?:"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)))?\s*+\)""",
    re.X,
)
_REFERENCE_LINK = re.compile(r"!?\[(?:[^\[\]\n\\]|\\.)*+\]\[[^\[\]\n]*+\]")
_SMALL_BRACKET = re.compile(r"\[(?:![\w-]++[^\]\n]*+|\^[^\]\n]++|[\w -]++::[^\]\n]*+)\]")
_REFERENCE_DEFINITION = re.compile(r"\[[^\[\]\n]++\]:[^\n]*+")
_PREFIX = re.compile(r"(?:[ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t])*+")
_LIST_MARKER = re.compile(r"[-*+][ \t]|\d[.)][ \t]")
_BLANK_LINE = re.compile(r"\n[ \t>\r]*\n")
_QUOTE_END = re.compile(r"^(?![ \t]*>)", re.M)
_BACKTICKS = re.compile("`+")
_INLINE_MATH = re.compile(r"\$(?=[^\s$])[^$\n]*(?<=[^\s$])\$(?!\d)")
_RAW_ELEMENT = re.compile(r"<(script|style|pre|code|textarea|svg|math)\b", re.I)
_RAW_END = {
    name: re.compile(rf"</{name}[^<>]*>", re.I)
    for name in ("script", "style", "pre", "code", "textarea", "svg", "math")
}
_TAG = re.compile(r"</?[a-zA-Z][^<>]*+>|<[!?][^<>]*+>")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>]+", re.I)
_HASHTAG = re.compile(r"#[\w/-]+")
_ATX = re.compile(r"#{1,6}(?=\s|\Z)[ \t]*+([^\n]*?)(?:[ \t]#*)?[ \t\r]*(?=\n|\Z)")
_FIELD = re.compile(r"[*_]*+\w[\w -]*+[*_]*+::(?=\s|\Z)")

# What a token means is decided by the scanner's method for its first character. Each alternative begins with
# a plain character (hence ``* for `+), which lets the search skip ahead in C: several times faster.
READ_TOKEN = re.compile(r"\\[\\`\[!<%]|``*|~~~~*|<!--|%%|!\[|\[")
HEADING_TOKEN = re.compile(r"``*|~~~~*|<!--|%%|##*|\n {0,3}(?:=+|-{2,})[ \t\r]*(?=\n|\Z)")
MASK_TOKEN = re.compile(
    r"\\[^\w\s]|``*|~~~~*|<(?=[a-zA-Z/!?])|%%|\$\$?|!\[|\[|##*|:::?|\{\{|\{%|http|HTTP|Http|www\."
    r"|\n {0,3}(?:=+|-{2,})[ \t\r]*(?=\n|\Z)"
)


def _fence_closer(char: str, column: int) -> re.Pattern[str]:
    """A closing fence; or, for a fence opened behind a list marker, a line that leaves the list item,
    which has content at `column`: an unclosed fence hides nothing beyond the item that holds it."""
    closer = rf"[ \t>]*({char}{{3,}})[ \t\r]*$"
    if column:
        closer += rf"|[ \t]{{0,{column - 1}}}[^\s]"
    return re.compile(rf"^(?:{closer})", re.M)


class Scanner:
    """Walks a body once, collecting hidden ranges and links in order. Each lookup ahead is remembered until
    the scan has passed it, so that openers without closers cost one search in all."""

    def __init__(self, text: str, token: re.Pattern[str], *, hide_links: bool = True) -> None:
        self.text = text
        self._hide_links = hide_links
        self.hidden: list[tuple[int, int]] = []
        self.code: list[tuple[int, int, int]] = []
        """Inline code: start, end, length of its delimiter."""
        self.links: list[re.Match[str]] = []
        self._headings: list[tuple[int, int]] = []
        self._token = token
        self._line_start = self._content_start = self._seen = -1
        self._ahead: dict[str, int] = {}
        self._runs: dict[int, list[int]] | None = None
        self._handlers: dict[str, Callable[[re.Match[str]], int]] = {
            "`": self._backticks,
            "~": self._fence,
            "<": self._angle,
            "%": self._comment,
            "$": self._math,
            "!": self._bracket,
            "[": self._bracket,
            "#": self._hash,
            ":": self._colons,
            "{": self._template,
            "\n": self._setext,
        }

    def run(self) -> Scanner:
        for _ in self._walk():
            pass
        return self

    def headings(self) -> Iterator[tuple[int, int]]:
        """Spans of the texts of headings, in order; reads no further than asked."""
        for _ in self._walk():
            while self._headings:
                yield self._headings.pop()

    def _walk(self) -> Iterator[None]:
        pos, search = 0, self._token.search
        while match := search(self.text, pos):
            start = match.start()
            char = self.text[start]
            if char == "\\":
                pos = match.end()
                continue
            handler = self._handlers.get(char, self._url)
            end = handler(match)
            if end > start:
                self.hidden.append((start, end))
            pos = max(end, match.end() if char != "\n" else start + 1)
            yield

    def masked(self) -> str:
        pieces, pos = [], 0
        for start, end in sorted(self.hidden):
            if end > pos:
                start = max(start, pos)
                pieces += [self.text[pos:start], HIDDEN * (end - start)]
                pos = end
        return "".join(pieces) + self.text[pos:]

    def _opens_block(self, pos: int) -> bool:
        """Whether only indentation, quote and list markers stand before `pos` on its line."""
        newline = self.text.rfind("\n", max(self._seen, 0), pos)
        if newline >= 0 or self._seen < 0:
            self._line_start = newline + 1
            prefix = _PREFIX.match(self.text, self._line_start)
            self._content_start = prefix.end() if prefix else self._line_start
        self._seen = pos
        return pos == self._content_start

    def _line_end(self, pos: int) -> int:
        end = self.text.find("\n", pos)
        return len(self.text) if end < 0 else end

    def _next(self, name: str, pos: int, find: Callable[[int], int]) -> int:
        """Position of the next `name` at or after `pos`; the text's length if there is none."""
        known = self._ahead.get(name, -1)
        if known < pos:
            found = find(pos)
            known = self._ahead[name] = len(self.text) if found < 0 else found
        return known

    def _next_string(self, string: str, pos: int) -> int:
        return self._next(string, pos, lambda at: self.text.find(string, at))

    def _next_match(self, name: str, pattern: re.Pattern[str], pos: int) -> int:
        def find(at: int) -> int:
            match = pattern.search(self.text, at)
            return match.start() if match else -1

        return self._next(name, pos, find)

    def _paragraph_end(self, pos: int) -> int:
        return self._next_match("blank line", _BLANK_LINE, pos)

    def _delimited(self, start: int, opener: str, closer: str) -> int:
        """End of a range that may span paragraphs only where it opens a block; -1 if it does not close."""
        inside = start + len(opener)
        limit = len(self.text) if self._opens_block(start) else self._paragraph_end(inside)
        at = self._next_string(closer, inside)
        return at + len(closer) if at < limit else -1

    def _backticks(self, match: re.Match[str]) -> int:
        length = match.end() - match.start()
        if length >= 3 and self._opens_block(match.start()):
            info = self.text[match.end() : self._line_end(match.end())]
            if "`" not in info:
                return self._fence(match)
        if self._runs is None:
            self._runs = {}
            for run in _BACKTICKS.finditer(self.text, match.start()):
                self._runs.setdefault(run.end() - run.start(), []).append(run.start())
        same = self._runs.get(length, [])
        following = bisect_right(same, match.start())
        if following == len(same) or same[following] > self._paragraph_end(match.end()):
            return -1
        end = same[following] + length
        self.code.append((match.start(), end, length))
        return end

    def _fence(self, match: re.Match[str]) -> int:
        start = match.start()
        if not self._opens_block(start):
            return -1
        prefix = self.text[self._line_start : start]
        body = min(self._line_end(match.end()) + 1, len(self.text))
        limit = self._next_match("quote end", _QUOTE_END, body) if ">" in prefix else len(self.text)
        closer = _fence_closer(self.text[start], len(prefix) if _LIST_MARKER.search(prefix) else 0)
        for line in closer.finditer(self.text, body, limit):
            if line[1] is None:
                return line.start()
            if len(line[1]) >= match.end() - start:
                return line.end()
        return limit

    def _angle(self, match: re.Match[str]) -> int:
        start = match.start()
        if self.text.startswith("<!--", start):
            at = self._next_string("-->", start + 4)
            if at < len(self.text):
                return at + 3
            return len(self.text) if self._opens_block(start) else -1
        raw = _RAW_ELEMENT.match(self.text, start)
        if raw:
            name = raw[1].lower()
            closer = _RAW_END[name].match(self.text, self._next_match("end of " + name, _RAW_END[name], raw.end()))
            if closer:
                return closer.end()
        tag = _TAG.match(self.text, start)
        return tag.end() if tag else -1

    def _comment(self, match: re.Match[str]) -> int:
        return self._delimited(match.start(), "%%", "%%")

    def _math(self, match: re.Match[str]) -> int:
        if match.end() - match.start() == 2:
            return self._delimited(match.start(), "$$", "$$")
        inline = _INLINE_MATH.match(self.text, match.start())
        return inline.end() if inline else -1

    def _bracket(self, match: re.Match[str]) -> int:
        start = match.start()
        link = WIKILINK.match(self.text, start) or MARKDOWN_LINK.match(self.text, start)
        if link:
            self.links.append(link)
            return link.end() if self._hide_links else -1
        if self._token is READ_TOKEN:
            return -1
        if self._opens_block(start):
            definition = _REFERENCE_DEFINITION.match(self.text, start)
            if definition:
                return definition.end()
        other = _SMALL_BRACKET.match(self.text, start) or _REFERENCE_LINK.match(self.text, start)
        return other.end() if other else -1

    def _hash(self, match: re.Match[str]) -> int:
        start = match.start()
        if self._opens_block(start):
            heading = _ATX.match(self.text, start)
            if heading:
                self._headings.append(heading.span(1))
                return heading.end()
        if start and (self.text[start - 1].isalnum() or self.text[start - 1] in "_/"):
            return -1
        tag = _HASHTAG.match(self.text, start)
        return tag.end() if tag else -1

    def _setext(self, match: re.Match[str]) -> int:
        at = match.start()
        self._opens_block(at)
        if self._content_start < at and self.text[self._content_start : at].strip():
            self._headings.append((self._content_start, at))
            self.hidden.append((self._line_start, match.end()))
        return -1

    def _colons(self, match: re.Match[str]) -> int:
        start = match.start()
        if match.end() - start == 3:
            return self._line_end(start)
        self._opens_block(start)
        if self._ahead.get("field tried") != self._line_start:
            self._ahead["field tried"] = self._line_start
            field = _FIELD.match(self.text, self._content_start)
            if field and field.end() == match.end():
                self.hidden.append((self._content_start, self._line_end(start)))
                return self._line_end(start)
        return -1

    def _template(self, match: re.Match[str]) -> int:
        closer = "}}" if self.text[match.start() + 1] == "{" else "%}"
        at = self._next_string(closer, match.end())
        return at + 2 if at < len(self.text) else -1

    def _url(self, match: re.Match[str]) -> int:
        url = _URL.match(self.text, match.start())
        return url.end() if url else -1
