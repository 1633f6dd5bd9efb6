"""Text to a tree of tags, for either grammar. Knows nothing of what the values mean."""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import NoReturn

from librarian.protocol.findings import PARSE_FAILED, PROTOCOL_INVALID, Findings
from librarian.protocol.grammar import FLAGS, RESPONSE, Grammar, element_expression, tag_expression
from librarian.protocol.neutralise import restore

_UNKNOWN_TAG = re.compile(r"</?+([a-z][\w:.-]*+)[^<>]*+>", FLAGS)

_HOW_TO_QUOTE = "A tag that is only quoted begins with ‹\\ instead of <."

_OPERATION = RESPONSE.containers["operation"]
_BODY_END = re.compile(
    # All alternatives behind one “</”: re then skips to the next of them, instead of trying every character.
    # Its closer, where a tag follows that can only be the protocol's …
    r"</(?:body_markdown\s*+>\s*+"
    rf"(?=(?:{tag_expression(_OPERATION | {'operation', 'operations', 'warnings', RESPONSE.root}, slash='')}"
    rf"|{tag_expression({'body_markdown', 'operation', 'operations', RESPONSE.root}, slash='/')}))"
    # … or a sequence that shows that the closer was forgotten.
    r"|(?P<beyond>operation\s*+>[^<]*+<(?:operation|/operations)\s*+>"
    rf"|operations\s*+>[^<]*+<(?:warnings|/{RESPONSE.root})\s*+>))",
    FLAGS,
)


Leaf = tuple[str, int]
"""Its text, restored and with its white space, and its place. A tuple, as an object costs five times as much."""


@dataclass(slots=True)
class Node:
    """A container."""

    name: str
    place: int
    leaves: dict[str, Leaf] = field(default_factory=dict)
    nodes: dict[str, "list[Node]"] = field(default_factory=dict)
    items: list[Leaf] = field(default_factory=list)
    """The leaves that may be repeated: no container holds two kinds of them."""
    texts: list[str] = field(default_factory=list)
    """What stands between its tags: all of it where text may stand, elsewhere the first, which is ignored."""

    def node(self, name: str) -> "Node | None":
        nodes = self.nodes.get(name)
        return nodes[0] if nodes else None


def normalise(text: str, max_bytes: int, findings: Findings) -> str:
    """Refuse what is too large; strip the BOM, make line ends LF, replace what PostgreSQL cannot store."""
    try:
        size = len(text) if len(text) > max_bytes else len(text.encode())
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        size = len(text.encode())
        findings.notice("surrogate", 0, "Lone surrogates were replaced by U+FFFD.")
    if size > max_bytes:
        message = f"The text is larger than the {max_bytes} bytes allowed. Answer in fewer operations."
        findings.fatal(PROTOCOL_INVALID, "librarian_response", 0, message)
    if text.startswith("\ufeff"):
        text = text[1:]
        findings.notice("bom", 0, "A byte order mark was removed.")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        findings.notice("line_ends", 0, "CR and CRLF line ends were made LF.")
    if "\0" in text:
        findings.text = text
        findings.notice("nul", text.index("\0"), "NUL characters were replaced by U+FFFD.")
        text = text.replace("\0", "\ufffd")
    findings.text = text
    return text


@cache
def _root_expression(grammar: Grammar) -> re.Pattern[str]:
    """The opener of the root, or its closer: groups as in `tag_expression`."""
    return re.compile(tag_expression({grammar.root}), FLAGS)


@cache
def _tag_expression(grammar: Grammar) -> re.Pattern[str]:
    return re.compile(tag_expression(grammar.names), FLAGS)


@cache
def _element_expression(grammar: Grammar) -> re.Pattern[str]:
    return re.compile(element_expression(grammar), FLAGS)


def read_document(start: int, grammar: Grammar, findings: Findings, *, strict: bool = False) -> Node:
    """Find the one root in `findings.text` from `start` on, and read it. Text around it is ignored.

    Raises ProtocolError at once where nothing that follows could be trusted; lesser faults are collected.
    """
    text, root_tag = findings.text, _root_expression(grammar)
    opener = root_tag.search(text, start)
    while opener and opener[1]:
        opener = root_tag.search(text, opener.end())
    if opener is None:
        message = f"There is no <{grammar.root}>. Answer with one <{grammar.root}> and nothing else."
        findings.fatal(PARSE_FAILED, grammar.root, start, message)
    root, end = _Reader(grammar, findings, strict).read(opener)
    if again := root_tag.search(text, end):
        message = f"<{again[1]}{again[2]}> after the end of the answer. Answer with exactly one <{grammar.root}>."
        findings.fatal(PROTOCOL_INVALID, grammar.root, again.start(), message)
    for outside, place in ((text[start : opener.start()], start), (text[end:], end)):
        if outside and not outside.isspace():
            findings.notice("outside_text", place, f"Text outside <{grammar.root}> was ignored.")
    return root


class _Reader:
    def __init__(self, grammar: Grammar, findings: Findings, strict: bool) -> None:
        self.grammar, self.findings, self.strict = grammar, findings, strict
        self.text = findings.text
        self.tag = _tag_expression(grammar)
        self.element = _element_expression(grammar)

    def read(self, opener: re.Match[str]) -> tuple[Node, int]:
        """The root and the offset behind its closer."""
        root = Node(self.grammar.root, opener.start())
        self._bear_form(opener, root.name)
        return root, (opener.end() if opener[3] else self._children(root, opener.end()))

    def _children(self, parent: Node, place: int) -> int:
        """Read up to the closer; returns the offset behind it. The grammar bounds the depth."""
        allowed, repeated = self.grammar.containers[parent.name], self.grammar.repeated
        leaves, nodes = parent.leaves, parent.nodes
        while True:
            element = self.element.search(self.text, place) or self._unclosed(parent.name, parent.place)
            start, end = element.span()
            if start != place:
                self._between(parent, place, start)
            plain_leaf, text, slash, written, empty = element.groups()
            name, place = plain_leaf or written.lower(), end
            if not plain_leaf and (written != name or end - start > len(slash) + len(name) + 2):
                self._bear_form(element, name)
            if slash:
                self._expect_closer_of(parent, name, start)
                return end
            if name not in allowed or name in leaves or name in nodes:
                self._admit(parent, name, start)
            if not plain_leaf and name in self.grammar.containers:
                nodes.setdefault(name, []).append(Node(name, start))
                place = end if empty else self._children(nodes[name][-1], end)
                continue
            if not plain_leaf and not empty:
                text, place = self._leaf(name, start, end)
            if name in repeated:
                parent.items.append((restore(text or ""), start))
            else:
                leaves.setdefault(name, (restore(text or ""), start))

    def _admit(self, parent: Node, name: str, place: int) -> None:
        """Refuse a child that may not stand here, or not again."""
        if name not in self.grammar.containers[parent.name]:
            message = f"<{name}> may not stand in <{parent.name}>. Move it, or write the closer missing before it."
            self.findings.fatal(PROTOCOL_INVALID, name, place, message)
        if name not in self.grammar.repeated:
            message = f"<{name}> stands more than once in its <{parent.name}>. Write it once."
            self.findings.fault(PROTOCOL_INVALID, name, place, message)

    def _leaf(self, name: str, place: int, start: int) -> tuple[str, int]:
        """The raw text up to the leaf's closer, and the offset behind that."""
        if name == "body_markdown" and self.grammar is RESPONSE:
            return self._body(place, start)
        closer = self.tag.search(self.text, start) or self._unclosed(name, place)
        if not closer[1] or closer[2].lower() != name:
            inside = f"<{closer[1]}{closer[2]}>"
            message = f"{inside} in <{name}>. Close it first with </{name}>. {_HOW_TO_QUOTE}"
            self.findings.fatal(PROTOCOL_INVALID, name, closer.start(), message)
        self._bear_form(closer, name)
        return self.text[start : closer.start()], closer.end()

    def _body(self, place: int, start: int) -> tuple[str, int]:
        """A body may quote its own closer: what follows decides whether one is meant (never guessed)."""
        end = _BODY_END.search(self.text, start) or self._unclosed("body_markdown", place)
        opener, closer, beyond = end.group(2, 5, "beyond")  # the names that the two `tag_expression`s found
        if beyond:
            message = (
                "<body_markdown> does not end before </operation>: write </body_markdown> and right behind it a tag."
            )
            self.findings.fatal(PROTOCOL_INVALID, "body_markdown", end.start(), message)
        # A sibling seen before ends the body too: the main loop then tells of the duplicate.
        if closer.lower() != "operation" if closer else opener.lower() not in _OPERATION:
            following = f"/{closer}" if closer else opener
            message = f"<{following.lower()}> behind </body_markdown>: close <operation> first. {_HOW_TO_QUOTE}"
            self.findings.fatal(PROTOCOL_INVALID, "body_markdown", end.start(), message)
        return self.text[start : end.start()], self.text.index(">", end.start()) + 1

    def _between(self, parent: Node, start: int, end: int) -> None:
        between = self.text[start:end]
        if between.isspace():
            return
        if parent.name in self.grammar.texts:
            parent.texts.append(restore(between))
            return
        if not parent.texts:
            parent.texts.append(between.strip())
        if unknown := _UNKNOWN_TAG.search(between):
            message = f"<{unknown[1][:40]}> is not a tag of the protocol. Leave it out."
            if self.strict:
                self.findings.fault(PROTOCOL_INVALID, parent.name, start + unknown.start(), message)
            else:
                self.findings.notice("unknown_tag", start + unknown.start(), message)
        else:
            self.findings.notice("stray_text", start, f"Text between the tags of <{parent.name}> was ignored.")

    def _bear_form(self, tag: re.Match[str], name: str) -> None:
        *_, written, empty = tag.groups()
        if written != name:
            self.findings.notice("case", tag.start(), f"Tag names are written in lower case: <{name}>.")
        if empty:
            self.findings.notice("empty_element", tag.start(), f"<{name}/> was read as an empty <{name}>.")
        if "=" in tag[0]:
            self.findings.notice("attributes", tag.start(), f"The attributes of <{name}> were ignored.")

    def _expect_closer_of(self, parent: Node, name: str, place: int) -> None:
        if name != parent.name:
            message = f"</{name}> closes nothing here: <{parent.name}> is open. Write </{parent.name}> first."
            self.findings.fatal(PROTOCOL_INVALID, name, place, message)

    def _unclosed(self, name: str, place: int) -> NoReturn:
        message = f"<{name}> is never closed. Write </{name}>, and end with </{self.grammar.root}>."
        self.findings.fatal(PROTOCOL_INVALID, name, place, message)
