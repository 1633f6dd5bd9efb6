"""Operations as they were answered, in one form: what a replay has to come to, to the byte."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

from librarian.protocol import ProposedOperation


def canonical(operation: ProposedOperation) -> str:
    """One line of JSON."""
    return json.dumps(asdict(operation), ensure_ascii=False, sort_keys=True)


def digest(operations: Iterable[ProposedOperation]) -> str:
    lines = "\n".join(canonical(operation) for operation in operations)
    return hashlib.sha256(lines.encode(errors="replace")).hexdigest()
