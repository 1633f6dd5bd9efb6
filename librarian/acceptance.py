"""How proposals were received: what people made of them, by model, kind and confidence band.

Accepted is what was applied as it was proposed, and stands. Against a proposal speaks its rejection, its being edited
first, and its undo, be it of one that was applied by itself: a person has decided there, too. An undo is the newest
decision, however old what it undoes. Of what was applied by itself and stands nobody has said anything. Questions
propose nothing, and do not count.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Avg, Count, F, FloatField, IntegerField, Q, QuerySet, Value, Window
from django.db.models.functions import Cast, Coalesce, Floor, Least, RowNumber

from librarian.models import Operation, OperationKind, OperationStatus

BANDS = 10

# An old acceptance that is undone today speaks of today.
_LAST = Coalesce("undone_at", "decided_at")
_DECIDED = Q(decided_at__isnull=False) & ~Q(status=OperationStatus.APPLIED, decided_by__isnull=True)
_ACCEPTED = Q(status=OperationStatus.APPLIED, edited=False, decided_by__isnull=False)
# As `band_of`.
_BAND = Least(
    Cast(Floor(F("confidence") * Value(float(BANDS)), output_field=FloatField()), IntegerField()), Value(BANDS - 1)
)


@dataclass(frozen=True, slots=True)
class Row:
    """Of one model, kind and band (see `band_of`)."""

    model: str
    kind: str
    band: int
    decided: int
    accepted: int
    mean_confidence: float

    @property
    def rate(self) -> float:
        return self.accepted / self.decided

    @property
    def kind_label(self) -> str:
        return str(OperationKind(self.kind).label)

    @property
    def band_label(self) -> str:
        return band_label(self.band)

    @property
    def percent(self) -> str:
        return percent(self.rate)

    @property
    def mean_percent(self) -> str:
        return percent(self.mean_confidence)


def band_of(confidence: float) -> int:
    """Bands are tenths: 0 is from 0.0 to below 0.1, 9 from 0.9 to 1.0 inclusive."""
    return min(int(confidence * BANDS), BANDS - 1)


def band_label(band: int) -> str:
    return f"{100 * band // BANDS}–{100 * (band + 1) // BANDS} %"


def percent(share: float) -> str:
    """Rounded down: 94.9 % is not yet 95 %."""
    tenths = int(share * 1000 + 1e-9)
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


def decided(operations: QuerySet[Operation]) -> QuerySet[Operation]:
    """Those that a person has decided about, in no order."""
    return operations.filter(_DECIDED).exclude(kind=OperationKind.DEFER).order_by()


def of_workspace(workspace_id: UUID) -> QuerySet[Operation]:
    return Operation.objects.filter(workspace_id=workspace_id)


def of_rule(rule_id: UUID) -> QuerySet[Operation]:
    return Operation.objects.filter(run__rule_id=rule_id)


def acceptance(operations: QuerySet[Operation]) -> list[Row]:
    """By model, kind and band, the surest first; in one statement."""
    groups = decided(operations).annotate(band=_BAND).values_list("model", "kind", "band")
    counted = groups.annotate(
        decided=Count("pk"), accepted=Count("pk", filter=_ACCEPTED), mean_confidence=Avg("confidence")
    )
    return [Row(*group) for group in counted.order_by("model", "kind", "-band")]


def newest(operations: QuerySet[Operation], count: int) -> QuerySet[Operation]:
    """Of the decided ones, the `count` that were decided last for each model, kind and band."""
    numbered = decided(operations).annotate(
        place=Window(RowNumber(), partition_by=[F("model"), F("kind"), _BAND], order_by=[_LAST.desc(), F("id").desc()])
    )
    return Operation.objects.filter(pk__in=numbered.filter(place__lte=count).values("pk"))


def pending_bands(operations: QuerySet[Operation]) -> set[tuple[str, str, int]]:
    """Model, kind and band of what waits for a decision."""
    waiting = operations.filter(status=OperationStatus.PENDING).exclude(kind=OperationKind.DEFER).order_by()
    return set(waiting.annotate(band=_BAND).values_list("model", "kind", "band").distinct())
