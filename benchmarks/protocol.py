"""Speed of the protocol: plain and adversarial shapes, twice the size over the size.

    python -m benchmarks.protocol [bytes]

Linear means a ratio near 2. The best of several runs counts.
"""

import contextlib
import sys
import time
from collections.abc import Callable

from benchmarks.figures import Figure, tell
from librarian.protocol import ProtocolError, neutralise, parse_response, restore

FLOOR_MB_PER_SECOND = 20
# Of the time for twice the size to the time for the size: 2 is linear, 4 is quadratic, between lies the noise.
MOST_GROWTH = 3
# What takes less than this tells how memory is come by.
LEAST_SECONDS = 0.001
HEAD = "<librarian_response><request_id>r</request_id><status>ok</status><summary>s</summary><operations>"
OPERATION = (
    "<operation><operation_id>{id}</operation_id><kind>rewrite_note</kind><target_note_id>n</target_note_id>"
    "<body_markdown>{body}</body_markdown><reason>r</reason><confidence>0.9</confidence></operation>\n"
)
TAIL = "</operations></librarian_response>"
PROSE = "## Deploy\n\nUse `List<T>` & `a < b`, <details><b>see</b></details> [[runbook|the book]] for more.\n"


def body_of(unit: str) -> Callable[[int], str]:
    return lambda size: HEAD + OPERATION.format(id="op", body=unit * (size // len(unit))) + TAIL


def start_of(unit: str) -> Callable[[int], str]:
    return lambda size: unit * (size // len(unit))


def operations_of(body_size: int) -> Callable[[int], str]:
    body = PROSE * max(1, body_size // len(PROSE))

    def build(size: int) -> str:
        count = max(1, size // (len(body) + len(OPERATION)))
        return HEAD + "".join(OPERATION.format(id=n, body=body) for n in range(count)) + TAIL

    return build


SHAPES: dict[str, Callable[[int], str]] = {
    "operations with bodies of 4 kB": operations_of(4_000),
    "operations with bodies of 100 bytes": operations_of(100),
    "one long body": body_of(PROSE),
    "body of openers": body_of("<body_markdown>"),
    "body of operation openers": body_of("<operation>"),
    "body of its own closers, quoted": body_of("</body_markdown>."),
    "body of operation closers, quoted": body_of("</operation>."),
    "body of white space": body_of(" "),
    "body closers before long white space": body_of("</body_markdown>" + " " * 500 + "."),
    "body of <": body_of("<"),
    "body of unclosed tags": body_of("<title "),
    "body of unclosed attributes": body_of('<title a="'),
    "body neutralised": body_of("‹\\title>"),
    "start of openers": start_of("<librarian_response>"),
    "start of closers": start_of("</librarian_response>"),
    "start of reasoning openers": start_of("<think>"),
    "start of reasoning closers": start_of("</think>"),
    "start of reasoning blocks": start_of("<think>x</think>"),
    "start of <": start_of("<"),
    "start of white space": start_of(" "),
    "warnings among text": lambda size: (
        HEAD
        + "</operations><warnings>"
        + "text <warning>w</warning>" * (size // 25)
        + "</warnings></librarian_response>"
    ),
    "unknown tags": lambda size: HEAD + "<note>" * (size // 6) + TAIL,
}
UNITS = {
    "prose": PROSE,
    "tags": "<title>",
    "what is neutralised": "‹\\title>",
    "backslashes": "‹" + "\\" * 500,
    "<": "<",
    "‹": "‹",
}


def read(text: str) -> None:
    with contextlib.suppress(ProtocolError):
        parse_response(text, request_id="r", max_operations=50, max_bytes=1 << 40)


def best(work: Callable[[str], object], text: str, runs: int = 3) -> float:
    times = []
    for _ in range(runs):
        # Of the process alone: nothing here waits, and the machine may be busy with other things.
        start = time.process_time()
        work(text)
        times.append(time.process_time() - start)
    return min(times)


def main(size: int = 1_000_000) -> None:
    rows: list[tuple[str, Callable[[str], object], Callable[[int], str]]]
    rows = [(name, read, build) for name, build in SHAPES.items()]
    for name, unit in UNITS.items():
        rows.append((f"neutralise {name}", neutralise, start_of(unit)))
        rows += [(f"restore {name}", restore, start_of(unit))] if "‹" in unit else []
    print(f"{'shape':<40}{'kB':>8}{'MB/s':>10}{'2n / n':>8}")
    speeds, growths = {}, {}
    for name, work, build in rows:
        once, twice = build(size), build(2 * size)
        seconds, seconds_twice = best(work, once), best(work, twice)
        speeds[name] = speed = len(twice.encode()) / seconds_twice / 1e6
        growths[name] = growth = seconds_twice / max(seconds, LEAST_SECONDS)
        mark = "" if speed >= FLOOR_MB_PER_SECOND else f"  below {FLOOR_MB_PER_SECOND}"
        print(f"{name:<40}{len(twice) // 1000:>8}{speed:>10.1f}{growth:>8.2f}{mark}")
    slowest, steepest = min(speeds, key=speeds.__getitem__), max(growths, key=growths.__getitem__)
    speed, growth = speeds[slowest], growths[steepest]
    tell(Figure("parser, slowest shape", speed, FLOOR_MB_PER_SECOND, "MB/s", at_least=True, remark=slowest))
    tell(Figure("parser, twice the text takes", growth, MOST_GROWTH, "x", remark=steepest))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
