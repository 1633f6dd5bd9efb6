"""The bars of the last hour's throughput, as whole numbers for a server-rendered SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from kjxlkj.jobs.overview import Bucket

HEIGHT = 100
_WIDTH = 30
_GAP = 6
_LEAST = 3  # a single failure among thousands is seen


@dataclass(frozen=True, slots=True)
class Bar:
    """What succeeded below, what failed on top of it."""

    bucket: Bucket
    x: int
    succeeded: int
    failed: int

    @property
    def width(self) -> int:
        return _WIDTH - _GAP

    @property
    def succeeded_y(self) -> int:
        return HEIGHT - self.succeeded

    @property
    def failed_y(self) -> int:
        return self.succeeded_y - self.failed


@dataclass(frozen=True, slots=True)
class Chart:
    bars: list[Bar]
    most: int

    @property
    def height(self) -> int:
        return HEIGHT

    @property
    def width(self) -> int:
        return len(self.bars) * _WIDTH


def chart(buckets: Sequence[Bucket]) -> Chart:
    most = max((bucket.succeeded + bucket.failed for bucket in buckets), default=0)
    bars = [
        Bar(bucket, place * _WIDTH + _GAP // 2, _scaled(bucket.succeeded, most), _scaled(bucket.failed, most))
        for place, bucket in enumerate(buckets)
    ]
    return Chart(bars, most)


def _scaled(number: int, most: int) -> int:
    # Room is left on top, since each of two parts may have been made as high as the least.
    return max(_LEAST, number * (HEIGHT - 2 * _LEAST) // most) if number else 0
