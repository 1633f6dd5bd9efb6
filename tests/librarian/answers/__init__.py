"""Answers as models give them, one a file: a JSON object, a line `-----`, then the answer to the byte.

The object has `about`, the parameters of `parse_response` that are not the usual ones, and what is expected: either
`faults` (code, tag, line), or `status`, `operations` (None left out, links as pairs), `excess` (operation_ids),
`warnings`, `notices` (codes) and `reasoning`. `fill`: “[fill]” stands for that many letters.
"""

import json
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from librarian.protocol import ProposedOperation, Response, parse_response

REQUEST_ID = "01997a3e-6c1f-7b52-8e0d-3f4a5b6c7d8e-0"
_PARAMETERS = ("strict", "max_operations", "finish_reason", "max_bytes")


@dataclass(frozen=True, slots=True)
class Answer:
    name: str
    text: str
    parameters: dict[str, Any]
    expected: dict[str, Any]

    def read(self) -> Response:
        return parse_response(self.text, **{"request_id": REQUEST_ID, "max_operations": 50, **self.parameters})


@cache
def all_answers() -> tuple[Answer, ...]:
    return tuple(_answer(path) for path in sorted(Path(__file__).parent.glob("*.txt")))


def _answer(path: Path) -> Answer:
    head, text = path.read_bytes().decode(errors="surrogatepass").split("\n-----\n", 1)
    expected = json.loads(head)
    del expected["about"]
    parameters = {name: expected.pop(name) for name in _PARAMETERS if name in expected}
    return Answer(path.stem, text.replace("[fill]", "x" * expected.pop("fill", 0)), parameters, expected)


def as_data(operation: ProposedOperation) -> dict[str, Any]:
    """As it stands in these files."""
    values = {each.name: getattr(operation, each.name) for each in fields(operation)}
    if operation.tags is not None:
        values["tags"] = list(operation.tags)
    if operation.links is not None:
        values["links"] = [[link.text, link.target] for link in operation.links]
    return {name: value for name, value in values.items() if value is not None}
