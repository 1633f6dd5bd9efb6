"""What a restored database holds beside what the manifest of its backup says."""

from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

from exports import digests, programs
from exports.backup_file import Backup
from exports.servers import connect

Difference = dict[str, Any]
"""`{"table", "what", "expected", "found"}`."""


def differences(database: str, backup: Backup, look: Callable[[], object] = lambda: None) -> list[Difference]:
    """Empty: it came back. `look` is called now and then and may raise."""
    with connect(database) as session:
        digests.pin(session)
        positions = digests.positions(session, digests.sequences(session))
        with digests.measuring(session, digests.tables(session)) as measuring:
            while not measuring.done():
                look()
                wait([measuring], programs.LOOK_SECONDS)
        return [*_tables(backup.tables, measuring.result()), *_sequences(backup, positions)]


def _tables(expected: dict[str, Any], found: dict[str, digests.Figures]) -> Iterator[Difference]:
    for name in sorted({*expected, *found}):
        here, there = expected.get(name), found.get(name)
        if here is None or there is None:
            yield _difference(name, "table", here and here["rows"], there and there["rows"])
        elif here["rows"] != there["rows"]:
            yield _difference(name, "rows", here["rows"], there["rows"])
        elif here.get("digest", there["digest"]) != there["digest"]:
            yield _difference(name, "digest", here["digest"], there["digest"])


def _sequences(backup: Backup, found: dict[str, int]) -> Iterator[Difference]:
    for name, (least, most) in backup.manifest.get("sequences", {}).items():
        if not least <= found.get(name, least - 1) <= most:
            yield _difference(name, "sequence", f"{least} to {most}", found.get(name))


def _difference(table: str, what: str, expected: Any, found: Any) -> Difference:
    return {"table": table, "what": what, "expected": expected, "found": found}


def said(found: list[Difference]) -> str:
    """The first of them, for people."""
    words = [f"{each['table']}: {each['what']} {each['found']} instead of {each['expected']}" for each in found[:10]]
    more = f", and {len(found) - 10} more" if len(found) > 10 else ""
    return "; ".join(words) + more
