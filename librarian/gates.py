"""What a rule has to earn before its proposals are applied without a person, and whether it has.

A gate belongs to one rule, model, kind and confidence band. It opens once enough of its proposals were decided by
people and enough of these were accepted as proposed, and closes when the share falls. Only the newest decisions
count: a rule that was good for years and is not any more is found out soon.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from librarian.acceptance import Row, acceptance, band_label, band_of, newest, of_rule, pending_bands, percent
from librarian.models import Operation, OperationKind
from librarian.plan import Plan

NEWEST = 100
"""Decisions that count, or as many as the rule asks for if these are more."""


@dataclass(frozen=True, slots=True)
class Gate:
    """`needed` decisions, of which a share of at least `rate` accepted. `why`: a sentence for people."""

    kind: str
    model: str
    band: int
    least_confidence: float
    decided: int
    accepted: int
    needed: int
    rate: float

    @property
    def is_open(self) -> bool:
        return self.decided >= self.needed and self.accepted >= self.rate * self.decided - 1e-9

    @property
    def why(self) -> str:
        if self.decided < self.needed:
            return f"{self.decided} of {self.needed} decisions; people review them until then."
        received = f"{self.evidence} ({self.received}, {self.rate_label} needed)"
        return f"{received}." if self.is_open else f"{received}; people review them until more are."

    @property
    def evidence(self) -> str:
        return f"{self.accepted} of the last {self.decided} such proposals were accepted"

    @property
    def name(self) -> str:
        by = f" by {self.model}" if self.model else ""
        return f"{OperationKind(self.kind).label.capitalize()} at {self.band_label}{by}"

    @property
    def received(self) -> str:
        return percent(self.accepted / self.decided) if self.decided else "–"

    @property
    def rate_label(self) -> str:
        return percent(self.rate)

    @property
    def least_label(self) -> str:
        return percent(self.least_confidence)

    @property
    def band_label(self) -> str:
        return band_label(self.band)

    @property
    def kind_label(self) -> str:
        return str(OperationKind(self.kind).label)


def gates(rule_id: UUID, plan: Plan) -> list[Gate]:
    """Those at or above the plan's thresholds in which anything was decided or waits, by model and kind.

    The band that a threshold lies in counts whole: what was decided of its lower part tells of the upper one.
    """
    if not plan.auto_apply:
        return []
    operations = of_rule(rule_id).filter(kind__in=plan.auto_apply)
    rows = _rows(operations, plan)
    found = sorted(rows.keys() | pending_bands(operations), key=lambda key: (key[0], key[1], -key[2]))
    return [
        _gate(plan, model, kind, band, rows.get((model, kind, band)))
        for model, kind, band in found
        if band >= band_of(plan.auto_apply[kind])
    ]


def gates_for(rule_id: UUID, plan: Plan, operations: Iterable[Operation]) -> dict[tuple[str, str, int], Gate]:
    """By model, kind and band, those of the operations, whose kinds the plan has to name."""
    wanted = {key_of(operation) for operation in operations}
    if not wanted:
        return {}
    models, kinds, _ = zip(*wanted, strict=True)
    rows = _rows(of_rule(rule_id).filter(kind__in=set(kinds), model__in=set(models)), plan)
    return {key: _gate(plan, *key, rows.get(key)) for key in wanted}


def key_of(operation: Operation) -> tuple[str, str, int]:
    return operation.model, operation.kind, band_of(operation.confidence)


def _rows(operations: QuerySet[Operation], plan: Plan) -> dict[tuple[str, str, int], Row]:
    counted = newest(operations, max(NEWEST, plan.auto_apply_decisions))
    return {(row.model, row.kind, row.band): row for row in acceptance(counted)}


def _gate(plan: Plan, model: str, kind: str, band: int, row: Row | None) -> Gate:
    return Gate(
        kind=kind,
        model=model,
        band=band,
        least_confidence=plan.auto_apply[kind],
        decided=row.decided if row else 0,
        accepted=row.accepted if row else 0,
        needed=plan.auto_apply_decisions,
        rate=plan.auto_apply_rate,
    )
