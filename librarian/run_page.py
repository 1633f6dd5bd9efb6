"""A run's operations, of every status, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count

from automation.models import Run
from librarian.models import Operation, OperationStatus
from librarian.presentation import for_cards
from librarian.queue import PAGE_SIZE, with_lengths
from librarian.queue_filters import Choice


@dataclass(frozen=True, slots=True)
class RunPage:
    run: Run
    operations: Sequence[Operation]
    by_status: Sequence[Choice]
    status: str
    next_after: int | None

    @property
    def counts(self) -> dict[str, int]:
        return {choice.value: choice.count for choice in self.by_status}

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def run_page(run: Run, query: Mapping[str, str]) -> RunPage:
    """Operations of all statuses in the order of the run's answers, after the one with the index `after`."""
    status = query.get("status", "")
    status = status if status in OperationStatus.values else ""
    counted = dict(run.operations.order_by().values_list("status").annotate(Count("pk")))
    operations = Operation.objects.filter(run=run, **({"status": status} if status else {}))
    after = query.get("after", "")
    if after.isascii() and after.isdigit():
        operations = operations.filter(index__gt=min(int(after), 2**31 - 1))
    rows = list(with_lengths(for_cards(operations)).order_by("index")[: PAGE_SIZE + 1])
    return RunPage(
        run=run,
        operations=rows[:PAGE_SIZE],
        by_status=[
            Choice(value, str(label), counted[value]) for value, label in OperationStatus.choices if counted.get(value)
        ],
        status=status,
        next_after=rows[PAGE_SIZE - 1].index if len(rows) > PAGE_SIZE else None,
    )
