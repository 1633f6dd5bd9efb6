"""One `<operation>` to a ProposedOperation. Whether it can be carried out is for others to say."""

from librarian.protocol.findings import PARSE_FAILED, Findings, quote
from librarian.protocol.messages import KINDS, Link, ProposedOperation
from librarian.protocol.reader import Node
from librarian.protocol.values import optional_text, parse_confidence, parse_label_list, required_text

_TARGET = ("target_note_id", "target_path")

_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "create_note": (("target_path", "title"), ("body_markdown",)),
    "rewrite_note": (_TARGET, ("body_markdown",)),
    "retitle_note": (_TARGET, ("title",)),
    "relink_note": (_TARGET, ("links", "body_markdown")),
    "retag_note": (_TARGET, ("tags",)),
    "defer": (_TARGET,),
}
"""Kind → of each group of tags, at least one must be there."""

_MAY_BE_EMPTY = {("create_note", "body_markdown"), ("retag_note", "tags")}


def read_operation(node: Node, findings: Findings) -> ProposedOperation:
    body = node.leaves.get("body_markdown")
    operation = ProposedOperation(
        operation_id=required_text(node, "operation_id", findings),
        kind=(kind := _kind(node, findings)),
        target_note_id=optional_text(node, "target_note_id"),
        target_path=optional_text(node, "target_path"),
        title=optional_text(node, "title"),
        body_markdown=body[0] if body else None,
        tags=_tags(node, kind, findings),
        links=_links(node, findings),
        reason=required_text(node, "reason", findings),
        confidence=_confidence(node, findings),
    )
    _check_needs(operation, node, findings)
    return operation


def _kind(node: Node, findings: Findings) -> str:
    value = required_text(node, "kind", findings).lower()
    if value and value not in KINDS:
        message = f"{quote(value)} is not a kind of operation. Write one of {', '.join(KINDS)}."
        findings.fault(PARSE_FAILED, "kind", node.leaves["kind"][1], message)
    return value


def _confidence(node: Node, findings: Findings) -> float:
    value = required_text(node, "confidence", findings)
    if not value:
        return 0.0
    place = node.leaves["confidence"][1]
    number, plain = parse_confidence(value)
    if number is None:
        message = f"{quote(value)} is not a confidence. Write a number from 0 to 1, such as 0.8."
        findings.fault(PARSE_FAILED, "confidence", place, message)
        return 0.0
    if not plain:
        findings.notice("confidence", place, f"The confidence {quote(value)} was read as {number}.")
    return number


def _tags(node: Node, kind: str, findings: Findings) -> tuple[str, ...] | None:
    """The `<tag>`s; else the text in `<tags>` read as a list; else, for a retag, the body read as a list."""
    tags = node.node("tags")
    if tags is None:
        body = node.leaves.get("body_markdown")
        if kind != "retag_note" or body is None:
            return None
        findings.notice("tags_in_body", body[1], "The tags were read from <body_markdown>: <tags> is missing.")
        return parse_label_list(body[0]) or None
    if tags.items:
        if tags.texts:
            findings.notice("stray_text", tags.place, "Text between the <tag>s of <tags> was ignored.")
        return tuple(required_text(tags, "tag", findings, each) for each in tags.items)
    if tags.texts:
        findings.notice("tags_as_text", tags.place, "The text in <tags> was read as a list of tags.")
    return parse_label_list("\n".join(tags.texts))


def _links(node: Node, findings: Findings) -> tuple[Link, ...] | None:
    links = node.node("links")
    if links is None:
        return None
    return tuple(
        Link(required_text(link, "text", findings), required_text(link, "target", findings))
        for link in links.nodes.get("link", ())
    )


def _check_needs(operation: ProposedOperation, node: Node, findings: Findings) -> None:
    for names in _NEEDS.get(operation.kind, ()):
        for name in names:
            if _given(operation, name):
                break
        else:
            wanted = " or ".join(f"<{name}>" for name in names)
            message = f"A {operation.kind} needs {wanted}, not empty. {quote(operation.operation_id)} has none."
            findings.fault(PARSE_FAILED, names[0], node.place, message)


def _given(operation: ProposedOperation, name: str) -> bool:
    value = getattr(operation, name)
    if value is None:
        return False
    return bool(value.strip() if isinstance(value, str) else value) or (operation.kind, name) in _MAY_BE_EMPTY
