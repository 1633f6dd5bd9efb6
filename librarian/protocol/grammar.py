"""Which tags the two messages are made of, and the expressions that find them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# ASCII, because “ſ” and “K” would otherwise match “s” and “k” in names, and lower() does not undo that.
FLAGS = re.IGNORECASE | re.ASCII

# A tag never reaches beyond the next “<”, and no quantifier gives back what it took: every attempt costs at
# most the distance to the next attempt, so that a whole text is searched in linear time.
_ATTRIBUTES = r"""(?:\s++[\w:.-]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'|[^\s"'<>]++))*+"""


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    root: str
    containers: Mapping[str, frozenset[str]]
    """Container → the tags that may stand in it; every other name is a leaf."""
    repeated: frozenset[str] = frozenset()
    """May stand more than once in their container."""
    texts: frozenset[str] = frozenset()
    """Containers in which plain text may stand in the place of their children."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.root}.union(*self.containers.values()))

    @property
    def short_leaves(self) -> frozenset[str]:
        return self.names - self.containers.keys() - {"body_markdown"}


def alternatives(names: Iterable[str]) -> str:
    """An expression for any of the names; grouped by initial, which makes a miss several times cheaper."""
    tails: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (-len(name), name)):
        tails.setdefault(name[0], []).append(name[1:])
    groups = "|".join(f"{initial}(?:{'|'.join(rest)})" for initial, rest in tails.items())
    return f"(?=[{''.join(tails)}])(?:{groups})"


def tag_expression(names: Iterable[str], slash: str = "/?") -> str:
    """Groups: 1 the slash of a closer, 2 the name, 3 the slash of an empty element."""
    return f"<{_behind_bracket(names, slash)}"


def element_expression(grammar: Grammar) -> str:
    """A tag; or, whole, a short leaf that needs no second look, as nearly all are: groups 1 its name, 2 its text."""
    leaf = rf"(?-i:({alternatives(grammar.short_leaves)})>([^<]*+)</\1>)"
    return f"<(?:{leaf}|{_behind_bracket(grammar.names)})"


def _behind_bracket(names: Iterable[str], slash: str = "/?") -> str:
    return rf"({slash})({alternatives(names)}){_ATTRIBUTES}\s*+(/?)>"


REQUEST = Grammar(
    root="librarian_request",
    containers={
        "librarian_request": frozenset(
            {
                "request_id",
                "goal",
                "scope",
                "taxonomy",
                "existing_tags",
                "source_bundle",
                "constraints",
                "output_contract",
            }
        ),
        "source_bundle": frozenset({"source"}),
        "source": frozenset(
            {
                "source_id",
                "path",
                "title",
                "tags",
                "kind",
                "is_complete",
                "related_notes",
                "link_candidates",
                "body_markdown",
            }
        ),
        "tags": frozenset({"tag"}),
        "existing_tags": frozenset({"tag"}),
        "related_notes": frozenset({"related_note"}),
        "link_candidates": frozenset({"candidate"}),
        "taxonomy": frozenset({"topic"}),
        "constraints": frozenset(
            {"strict_mode", "max_operations", "allow_delete", "allowed_kinds", "taxonomy_closed", "style_profile"}
        ),
    },
    repeated=frozenset({"source", "tag", "topic", "related_note", "candidate"}),
)

RESPONSE = Grammar(
    root="librarian_response",
    containers={
        "librarian_response": frozenset({"request_id", "status", "summary", "operations", "warnings"}),
        "operations": frozenset({"operation"}),
        "operation": frozenset(
            {
                "operation_id",
                "kind",
                "target_note_id",
                "target_path",
                "title",
                "body_markdown",
                "tags",
                "links",
                "reason",
                "confidence",
            }
        ),
        "tags": frozenset({"tag"}),
        "links": frozenset({"link"}),
        "link": frozenset({"text", "target"}),
        "warnings": frozenset({"warning"}),
    },
    repeated=frozenset({"operation", "tag", "link", "warning"}),
    texts=frozenset({"tags", "warnings"}),
)
