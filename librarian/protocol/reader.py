"""Text to a tree of tags, for either grammar. Knows nothing of what the values mean."""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import NoReturn

from librarian.protocol.findings import PARSE_FAILED, PROTOCOL_INVALID, Findings
from librarian.protocol.grammar import FLAGS, RESPONSE, Grammar, alternatives, tag_expression
from librarian.protocol.neutralise import restore

_UNKNOWN_TAG = re.compile(r"</?+([a-z][\w:.-]*+)[^<>]*+>", FLAGS)

_HOW_TO_QUOTE = "A tag that is only quoted begins with ‹\\ instead of <."

_OPERATION = RESPONSE.containers["operation"]
_BODY_END = re.compile(
    # Its closer, where a tag follows that can only be the protocol's …
    r"</body_markdown\s*+>\s*+"
    rf"(?=(?:{tag_expression(_OPERATION | {'operation', 'operations', 'warnings', RESPONSE.root}, slash='')}"
    rf"|{tag_expression({'body_markdown', 'operation', 'operations', RESPONSE.root}, slash='/')}))"
    # … or a sequence that shows that the closer was forgotten.
    r"|(?P<beyond></operation\s*+>[^<]*+<(?:operation|/operations)\s*+>"
    rf"|</operations\s*+>[^<]*+<(?:warnings|/{RESPONSE.root})\s*+>)",
    FLAGS,
)


TEXT = "#text"
"""Name of the children that hold the text between the tags, where text may stand."""

_NO_CHILDREN: dict[str, "list[Node]"] = {}  # of all plain leaves, of which there are many: never written


@dataclass(slots=True)
class Node:
    name: str
    place: int
    text: str = ""
    """Of a leaf: restored, its white space kept. Of a container: the first text in it that was ignored."""
    children: dict[str, "list[Node]"] = field(default_factory=dict)

    def first(self, name: str) -> "Node | None":
        nodes = self.children.get(name)
        return nodes[0] if nodes else None

    def all(self, name: str) -> "list[Node]":
        return self.children.get(name, [])


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
def _plain_leaf_expression(grammar: Grammar) -> re.Pattern[str]:
    """A whole short leaf that needs no second look, as nearly all are: groups 1 name, 2 text."""
    return re.compile(rf"\s*+<({alternatives(grammar.short_leaves)})>([^<]*+)</\1>", re.ASCII)


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
        self.plain_leaf = _plain_leaf_expression(grammar)

    def read(self, opener: re.Match[str]) -> tuple[Node, int]:
        """The root and the offset behind its closer."""
        root = Node(self.grammar.root, opener.start())
        self._bear_form(opener, root.name)
        open_nodes, place = ([] if opener[3] else [root]), opener.end()
        while open_nodes:
            parent = open_nodes[-1]
            if plain := self.plain_leaf.match(self.text, place):
                self._add(parent, Node(plain[1], plain.start(1), restore(plain[2]), _NO_CHILDREN))
                place = plain.end()
                continue
            tag = self.tag.search(self.text, place) or self._unclosed(parent)
            if tag.start() != place:
                self._between(parent, place, tag.start())
            place = tag.end()
            if tag[1]:
                self._expect_closer_of(parent, tag)
                open_nodes.pop()
                continue
            child = Node(tag[2].lower(), tag.start())
            self._add(parent, child)
            self._bear_form(tag, child.name)
            if tag[3]:
                continue
            if child.name in self.grammar.containers:
                open_nodes.append(child)
            else:
                place = self._leaf(child, place)
        return root, place

    def _add(self, parent: Node, child: Node) -> None:
        name = child.name
        if name not in self.grammar.containers[parent.name]:
            message = f"<{name}> may not stand in <{parent.name}>. Move it, or write the closer missing before it."
            self.findings.fatal(PROTOCOL_INVALID, name, child.place, message)
        if name in parent.children and name not in self.grammar.repeated:
            message = f"<{name}> stands more than once in its <{parent.name}>. Write it once."
            self.findings.fault(PROTOCOL_INVALID, name, child.place, message)
        parent.children.setdefault(name, []).append(child)

    def _leaf(self, leaf: Node, start: int) -> int:
        """Read raw text up to the leaf's closer; returns the offset behind it."""
        if leaf.name == "body_markdown" and self.grammar is RESPONSE:
            return self._body(leaf, start)
        closer = self.tag.search(self.text, start) or self._unclosed(leaf)
        if not closer[1] or closer[2].lower() != leaf.name:
            inside = f"<{closer[1]}{closer[2]}>"
            message = f"{inside} in <{leaf.name}>. Close it first with </{leaf.name}>. {_HOW_TO_QUOTE}"
            self.findings.fatal(PROTOCOL_INVALID, leaf.name, closer.start(), message)
        self._bear_form(closer, leaf.name)
        leaf.text = restore(self.text[start : closer.start()])
        return closer.end()

    def _body(self, body: Node, start: int) -> int:
        """A body may quote its own closer: what follows decides whether one is meant (never guessed)."""
        end = _BODY_END.search(self.text, start) or self._unclosed(body)
        if end["beyond"]:
            message = (
                "<body_markdown> does not end before </operation>: write </body_markdown> and right behind it a tag."
            )
            self.findings.fatal(PROTOCOL_INVALID, body.name, end.start(), message)
        following = self.tag.match(self.text, end.end())
        assert following  # noqa: S101  # the expression ends where a tag begins
        name = following[2].lower()
        # A sibling seen before ends the body too: the main loop then tells of the duplicate.
        if name != "operation" if following[1] else name not in _OPERATION:
            message = f"<{following[1]}{name}> behind </body_markdown>: close <operation> first. {_HOW_TO_QUOTE}"
            self.findings.fatal(PROTOCOL_INVALID, body.name, end.start(), message)
        closed = self.text.index(">", end.start()) + 1
        body.text = restore(self.text[start : end.start()])
        return closed

    def _between(self, parent: Node, start: int, end: int) -> None:
        between = self.text[start:end]
        if between.isspace():
            return
        if parent.name in self.grammar.texts:
            parent.children.setdefault(TEXT, []).append(Node(TEXT, start, restore(between)))
            return
        parent.text = parent.text or between.strip()
        if unknown := _UNKNOWN_TAG.search(between):
            message = f"<{unknown[1][:40]}> is not a tag of the protocol. Leave it out."
            if self.strict:
                self.findings.fault(PROTOCOL_INVALID, parent.name, start + unknown.start(), message)
            else:
                self.findings.notice("unknown_tag", start + unknown.start(), message)
        else:
            self.findings.notice("stray_text", start, f"Text between the tags of <{parent.name}> was ignored.")

    def _bear_form(self, tag: re.Match[str], name: str) -> None:
        if len(tag[0]) == len(name) + 2 + len(tag[1]) and tag[2] == name:
            return
        if tag[2] != name:
            self.findings.notice("case", tag.start(), f"Tag names are written in lower case: <{name}>.")
        if tag[3]:
            self.findings.notice("empty_element", tag.start(), f"<{name}/> was read as an empty <{name}>.")
        if "=" in tag[0]:
            self.findings.notice("attributes", tag.start(), f"The attributes of <{name}> were ignored.")

    def _expect_closer_of(self, parent: Node, tag: re.Match[str]) -> None:
        name = tag[2].lower()
        self._bear_form(tag, name)
        if name != parent.name:
            message = f"</{name}> closes nothing here: <{parent.name}> is open. Write </{parent.name}> first."
            self.findings.fatal(PROTOCOL_INVALID, name, tag.start(), message)

    def _unclosed(self, node: Node) -> NoReturn:
        message = f"<{node.name}> is never closed. Write </{node.name}>, and end with </{self.grammar.root}>."
        self.findings.fatal(PROTOCOL_INVALID, node.name, node.place, message)
