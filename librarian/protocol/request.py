"""What is asked of a model."""

from librarian.protocol.findings import PARSE_FAILED, Findings
from librarian.protocol.grammar import REQUEST
from librarian.protocol.messages import Constraints, Request, Source
from librarian.protocol.reader import Node, normalise, read_document
from librarian.protocol.writer import container, leaf

_ENDLESS = 1 << 62


def serialize_request(request: Request) -> str:
    """Every leaf neutralised. `parse_request` gives the same Request back, but for CR, NUL and surrogates."""
    return container(
        REQUEST.root,
        leaf("request_id", request.request_id),
        leaf("goal", request.goal),
        leaf("scope", request.scope),
        container("taxonomy", *(leaf("topic", topic) for topic in request.taxonomy)),
        _list("existing_tags", "tag", request.existing_tags),
        container("source_bundle", *map(serialize_source, request.sources)),
        _constraints_text(request.constraints),
        leaf("output_contract", request.output_contract),
    )


def serialize_source(source: Source) -> str:
    """A `<source>` alone: what it adds to a request."""
    return container(
        "source",
        leaf("source_id", source.source_id),
        leaf("path", source.path),
        leaf("title", source.title),
        container("tags", *(leaf("tag", tag) for tag in source.tags)),
        leaf("kind", source.kind),
        leaf("is_complete", str(source.is_complete).lower()),
        _list("related_notes", "related_note", source.related_notes),
        _list("link_candidates", "candidate", source.link_candidates),
        leaf("body_markdown", source.body_markdown),
    )


def _list(name: str, item: str, values: tuple[str, ...]) -> str:
    """Left out where there are none: every tag costs tokens."""
    return container(name, *(leaf(item, value) for value in values)) if values else ""


def _constraints_text(constraints: Constraints) -> str:
    kinds = constraints.allowed_kinds
    return container(
        "constraints",
        leaf("strict_mode", str(constraints.strict_mode).lower()),
        leaf("max_operations", str(constraints.max_operations)),
        leaf("allow_delete", str(constraints.allow_delete).lower()),
        "" if kinds is None else leaf("allowed_kinds", " ".join(kinds)),
        leaf("taxonomy_closed", str(constraints.taxonomy_closed).lower()),
        leaf("style_profile", constraints.style_profile),
    )


def parse_request(text: str) -> Request:
    """Read what `serialize_request` wrote, as a provider does that needs no model. Raises ProtocolError."""
    findings = Findings(text)
    normalise(text, _ENDLESS, findings)
    root = read_document(0, REQUEST, findings, strict=True)
    reader = _RequestReader(findings)
    request = Request(
        request_id=reader.text(root, "request_id"),
        goal=reader.text(root, "goal"),
        scope=reader.text(root, "scope"),
        sources=tuple(map(reader.source, reader.node(root, "source_bundle").nodes.get("source", ()))),
        taxonomy=_texts(reader.node(root, "taxonomy")),
        constraints=reader.constraints(reader.node(root, "constraints")),
        output_contract=reader.text(root, "output_contract"),
        existing_tags=_texts(root.node("existing_tags")),
    )
    findings.raise_faults()
    return request


def _texts(container: Node | None) -> tuple[str, ...]:
    """Of a list; empty where there is none."""
    return tuple(text for text, _ in container.items) if container else ()


class _RequestReader:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def node(self, parent: Node, name: str) -> Node:
        return parent.node(name) or Node(name, self._missing(parent, name))

    def text(self, parent: Node, name: str) -> str:
        leaf = parent.leaves.get(name)
        if leaf is None:
            self._missing(parent, name)
            return ""
        return leaf[0]

    def source(self, node: Node) -> Source:
        return Source(
            source_id=self.text(node, "source_id"),
            path=self.text(node, "path"),
            title=self.text(node, "title"),
            tags=_texts(self.node(node, "tags")),
            kind=self.text(node, "kind"),
            body_markdown=self.text(node, "body_markdown"),
            is_complete=self._flag(node, "is_complete"),
            related_notes=_texts(node.node("related_notes")),
            link_candidates=_texts(node.node("link_candidates")),
        )

    def constraints(self, node: Node) -> Constraints:
        kinds = node.leaves.get("allowed_kinds")
        return Constraints(
            strict_mode=self._flag(node, "strict_mode"),
            max_operations=self._count(node, "max_operations"),
            allow_delete=self._flag(node, "allow_delete"),
            allowed_kinds=None if kinds is None else tuple(kinds[0].split()),
            style_profile=self.text(node, "style_profile"),
            taxonomy_closed=self._flag(node, "taxonomy_closed"),
        )

    def _missing(self, parent: Node, name: str) -> int:
        """Tells the fault, and returns its place."""
        self.findings.fault(PARSE_FAILED, name, parent.place, f"<{parent.name}> has no <{name}>.")
        return parent.place

    def _flag(self, parent: Node, name: str) -> bool:
        value = self.text(parent, name).strip()
        if value not in ("true", "false"):
            self.findings.fault(PARSE_FAILED, name, parent.place, f"<{name}> is true or false.")
        return value == "true"

    def _count(self, parent: Node, name: str) -> int:
        value = self.text(parent, name).strip()
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            self.findings.fault(PARSE_FAILED, name, parent.place, f"<{name}> is a whole number.")
            return 0
        return int(value)
