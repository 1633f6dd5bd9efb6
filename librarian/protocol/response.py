"""What a model answers: written by the offline provider, read from all of them."""

from collections.abc import Iterator

from librarian.protocol.findings import PARSE_FAILED, PROTOCOL_INVALID, Findings, quote
from librarian.protocol.grammar import RESPONSE
from librarian.protocol.messages import STATUSES, Link, ProposedOperation, Response
from librarian.protocol.operations import read_operation
from librarian.protocol.reader import Node, normalise, read_document
from librarian.protocol.reasoning import end_of_reasoning
from librarian.protocol.values import required_text
from librarian.protocol.writer import container, leaf


def serialize_response(response: Response) -> str:
    """Every leaf neutralised; `excess` follows `operations`; notices and reasoning are the reader's alone.

    `parse_response` gives the same values back, short leaves without the white space around them.
    """
    return container(
        RESPONSE.root,
        leaf("request_id", response.request_id),
        leaf("status", response.status),
        leaf("summary", response.summary),
        container("operations", *map(_operation_text, response.operations + response.excess)),
        container("warnings", *(leaf("warning", warning) for warning in response.warnings)),
    )


def _operation_text(operation: ProposedOperation) -> str:
    return container("operation", *_operation_parts(operation))


def _operation_parts(operation: ProposedOperation) -> Iterator[str]:
    yield leaf("operation_id", operation.operation_id)
    yield leaf("kind", operation.kind)
    for name in ("target_note_id", "target_path", "title", "body_markdown"):
        value = getattr(operation, name)
        if value is not None:
            yield leaf(name, value)
    if operation.tags is not None:
        yield container("tags", *(leaf("tag", tag) for tag in operation.tags))
    if operation.links is not None:
        yield container("links", *map(_link_text, operation.links))
    yield leaf("reason", operation.reason)
    yield leaf("confidence", repr(operation.confidence))


def _link_text(link: Link) -> str:
    return container("link", leaf("text", link.text), leaf("target", link.target))


def parse_response(
    text: str,
    *,
    request_id: str,
    max_operations: int,
    strict: bool = False,
    max_bytes: int = 2_000_000,
    finish_reason: str | None = None,
) -> Response:
    """Read an answer, whole or not at all. Raises ProtocolError, and nothing else, for any text.

    `strict` makes unknown tags between elements a fault. `finish_reason` is what the server reported:
    `length` means that the model was cut off, and then nothing of the answer is used.
    """
    findings = Findings(text)
    text = normalise(text, max_bytes, findings)
    if finish_reason == "length":
        message = "The answer was cut off at the token limit. Answer with fewer or shorter operations."
        findings.fatal(PROTOCOL_INVALID, RESPONSE.root, len(text), message)
    start = end_of_reasoning(text)
    root = read_document(start, RESPONSE, findings, strict=strict)
    operations = _operations(root, findings)
    response = Response(
        request_id=_request_id(root, request_id, findings),
        status=_status(root, findings),
        summary=_summary(root, findings),
        operations=operations[:max_operations],
        excess=operations[max_operations:],
        warnings=_warnings(root),
        notices=findings.notices,
        reasoning=text[:start].strip(),
    )
    findings.raise_faults()
    return response


def _request_id(root: Node, expected: str, findings: Findings) -> str:
    value = required_text(root, "request_id", findings)
    if value and value != expected:
        message = f"{quote(value)} is not the request_id of this request. Copy it from the request: {expected}."
        findings.fault(PROTOCOL_INVALID, "request_id", root.leaves["request_id"][1], message)
    return value


def _status(root: Node, findings: Findings) -> str:
    value = required_text(root, "status", findings).lower()
    if value and value not in STATUSES:
        message = f"{quote(value)} is not a status. Write one of {', '.join(STATUSES)}."
        findings.fault(PARSE_FAILED, "status", root.leaves["status"][1], message)
    return value


def _summary(root: Node, findings: Findings) -> str:
    summary = root.leaves.get("summary")
    if summary is None:
        findings.fault(PARSE_FAILED, "summary", root.place, "<summary> is missing. Say in it what you propose.")
        return ""
    return summary[0].strip()


def _operations(root: Node, findings: Findings) -> tuple[ProposedOperation, ...]:
    node = root.node("operations")
    if node is None or not node.nodes:
        _check_nothing_meant(root, node, findings)
        return ()
    seen: set[str] = set()
    operations = []
    # Each is dropped once it was read: thousands of them need less memory, and less time to come by it.
    children = node.nodes.pop("operation")[::-1]
    while children:
        child = children.pop()
        operation = read_operation(child, findings)
        if operation.operation_id and operation.operation_id in seen:
            message = f"operation_id {quote(operation.operation_id)} is used twice. Number the operations."
            findings.fault(PROTOCOL_INVALID, "operation_id", child.place, message)
        seen.add(operation.operation_id)
        operations.append(operation)
    return tuple(operations)


def _check_nothing_meant(root: Node, operations: Node | None, findings: Findings) -> None:
    """No operations are no proposals only where the answer declines, or says nothing in their place."""
    status = root.leaves.get("status")
    if status and status[0].strip().lower() in STATUSES[1:]:
        return
    if operations is None:
        message = "<operations> is missing. Write it, empty if you propose nothing."
        findings.fault(PARSE_FAILED, "operations", root.place, message)
    elif operations.texts:
        message = (
            f"<operations> holds {quote(operations.texts[0])} and no <operation>. "
            "Write an <operation> for each proposal, or nothing if you propose nothing."
        )
        findings.fault(PARSE_FAILED, "operations", operations.place, message)


def _warnings(root: Node) -> tuple[str, ...]:
    node = root.node("warnings")
    if node is None:
        return ()
    texts = [*(text for text, _ in node.items), *node.texts]
    return tuple(filter(None, map(str.strip, texts)))
