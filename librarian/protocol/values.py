"""Leaves that are more than text."""

import re

from librarian.protocol.findings import PARSE_FAILED, Findings
from librarian.protocol.reader import Leaf, Node

# Bounded, and without the `1_0`, `inf`, `nan` and foreign digits that float() takes.
_CONFIDENCE = re.compile(r"(\d{1,20}(?:[.,]\d{1,40})?|[.,]\d{1,40})(e[+-]?\d{1,3})?\s?(%?)", re.IGNORECASE | re.ASCII)
_BULLET = re.compile(r"\s*+(?:[-*+•]|\d{1,9}[.)])\s++")
_AROUND_LABEL = " \t`\"'[]"


def parse_confidence(value: str) -> tuple[float | None, bool]:
    """The number in 0..1, or None; and whether it was written plainly (not as `0,85` or `85 %`).

    `value` has no white space around it.
    """
    match = _CONFIDENCE.fullmatch(value)
    if match is None:
        return None, False
    digits, exponent, percent = match.groups(default="")
    number = float(digits.replace(",", ".") + exponent)
    if percent:
        number /= 100
    return (number if 0 <= number <= 1 else None), not (percent or "," in digits)


def parse_label_list(text: str) -> tuple[str, ...]:
    """Labels from lines and commas: bullets, `#`, quotes and brackets around them fall away; each once."""
    labels: dict[str, None] = {}
    for line in text.split("\n"):
        for part in _BULLET.sub("", line, count=1).split(","):
            label = part.strip(_AROUND_LABEL).removeprefix("#").strip()
            if label:
                labels[label] = None
    return tuple(labels)


def optional_text(parent: Node, name: str) -> str | None:
    """A short leaf without the white space around it; None where it is missing or empty."""
    leaf = parent.leaves.get(name)
    return leaf[0].strip() or None if leaf else None


def required_text(parent: Node, name: str, findings: Findings, leaf: Leaf | None = None) -> str:
    """A short leaf that must hold something; “” after a fault."""
    leaf = leaf or parent.leaves.get(name)
    value = leaf[0].strip() if leaf else ""
    if not value:
        fault = "empty" if leaf else "missing"
        message = f"<{name}> is {fault} in its <{parent.name}>. Write it with a value."
        findings.fault(PARSE_FAILED, name, leaf[1] if leaf else parent.place, message)
    return value
