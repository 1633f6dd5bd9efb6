"""Figures: what was measured, beside the bound that it is held to."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Where `python -m benchmarks` gathers the figures of the benchmarks that it runs.
FIGURES_FILE = "KJXLKJ_BENCH_FIGURES"


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    measured: float
    bound: float
    unit: str
    at_least: bool = False
    """The bound is a floor (a speed), not a ceiling (a time, a size, a ratio)."""
    remark: str = ""

    @property
    def is_kept(self) -> bool:
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def tell(figure: Figure) -> None:
    """Print the figure, and hand it to whoever runs all the benchmarks."""
    print(_row(figure), flush=True)
    if path := os.environ.get(FIGURES_FILE):
        with Path(path).open("a", encoding="utf-8") as gathered:
            gathered.write(json.dumps(asdict(figure)) + "\n")


def gathered(path: Path) -> list[Figure]:
    return [Figure(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def print_table(figures: Sequence[Figure]) -> None:
    print(f"{'figure':<56}{'bound':>14}{'measured':>14}")
    for figure in figures:
        print(_row(figure))


def _row(figure: Figure) -> str:
    bound = f"{'≥' if figure.at_least else '≤'} {_number(figure.bound)} {figure.unit}"
    verdict = "ok" if figure.is_kept else "OVER THE BOUND  <<<<"
    remark = f"  ({figure.remark})" if figure.remark else ""
    return f"{figure.name:<56}{bound:>14}{f'{_number(figure.measured)} {figure.unit}':>14}  {verdict}{remark}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
