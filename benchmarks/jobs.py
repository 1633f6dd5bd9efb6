"""Jobs: how soon they are picked up, how many end in a second, how soon after a failure: `python -m benchmarks.jobs`.

Ours, django-q2's own queue and procrastinate take turns on one database, and medians count.
"""

import random
import time
from contextlib import ExitStack
from statistics import quantiles
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, tell
from benchmarks.installation import fresh_installation
from benchmarks.signs import Signs, signs

if TYPE_CHECKING:
    from benchmarks.contenders import Enqueue

PICK_UPS = 150
WARM_UP = 5
MOST_MS = {50: 10, 95: 40}
# Longer than the stock queue sleeps between its looks: each of its moments is as likely as any other.
LONGEST_GAP_SECONDS = 0.25


def main() -> None:
    with signs() as heard, fresh_installation("benchmarks.settings"):
        from benchmarks.contenders import ours, peer, peer_workers, stock
        from benchmarks.recovery import measure_recovery
        from benchmarks.throughput import measure_sharing, measure_throughput

        with peer():
            with ExitStack() as stack:
                contenders = {"ours": ours(), "stock polling": stock(), "procrastinate": peer_workers("one by one")}
                measure_pick_up({name: stack.enter_context(each) for name, each in contenders.items()}, heard)
            measure_throughput()
        measure_sharing()
        measure_recovery(heard)


def measure_pick_up(contenders: "dict[str, Enqueue]", heard: Signs) -> None:
    """From the commit of a job to the start of its work, while nothing else is there to do."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    number = 0
    for _ in range(WARM_UP + PICK_UPS):
        for name, enqueue in contenders.items():
            number += 1
            time.sleep(random.uniform(0, LONGEST_GAP_SECONDS))
            enqueue(number)
            committed = time.monotonic()
            times[name].append((heard.begun(number) - committed) * 1000)
    found = {name: quantiles(each[WARM_UP:], n=100) for name, each in times.items()}
    for share, bound in MOST_MS.items():
        remark = ", ".join(f"{name} {each[share - 1]:.0f} ms" for name, each in found.items() if name != "ours")
        tell(Figure(f"pick-up on an idle system, p{share}", found["ours"][share - 1], bound, "ms", remark=remark))


if __name__ == "__main__":
    main()
