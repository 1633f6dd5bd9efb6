"""What people narrow the review queue to, and how many operations wait behind each choice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, CharField, Count, F, Func, Q, Value, When
from django.db.models.functions import Coalesce

from librarian.models import OperationKind, OperationQuerySet

# Riskiest first.
KINDS = (
    OperationKind.REWRITE,
    OperationKind.CREATE,
    OperationKind.RELINK,
    OperationKind.RETITLE,
    OperationKind.RETAG,
    OperationKind.DEFER,
)
CONFIDENCES = ("0.95", "0.9", "0.8", "0.7", "0.5")
# In days. Steps of age go up to these, from the one before.
AGES = (1, 7, 30)
NO_MODEL = "(none)"
_FOLDERS = 50

# Of the note as it is now; of a note that is to be, as proposed.
PATH = Coalesce("target_note__path", "target_path")


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Filters:
    """As they stand in the address; an empty one is not set."""

    workspace: str = ""
    rule: str = ""
    kind: str = ""
    model: str = ""
    confidence: str = ""
    """At the least: one of `CONFIDENCES`."""
    folder: str = ""
    age: str = ""
    """“newer-7” or “older-7”: of `AGES`, in days."""
    change_key: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Filters":
        """Values that cannot be are left out, as old bookmarks may hold them."""
        texts = {name: query.get(name, "") for name in cls.__dataclass_fields__}
        texts = {name: "" if "\0" in text else text for name, text in texts.items()}
        known = {
            "kind": OperationKind.values,
            "confidence": CONFIDENCES,
            "age": [f"{word}-{days}" for word in ("newer", "older") for days in AGES],
        }
        for name, values in known.items():
            texts[name] = texts[name] if texts[name] in values else ""
        texts["rule"] = str(as_uuid(texts["rule"]) or "")
        texts["folder"] = texts["folder"].strip().strip("/")
        return cls(**texts)

    def as_query(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}

    def in_words(self) -> list[str]:
        """But for the rule, whose name takes a query."""
        words = [
            self.workspace,
            self.kind and str(OperationKind(self.kind).label),
            self.model,
            self.confidence and _confidence_words(self.confidence),
            self.folder and f"in {self.folder}/",
            self.age and _age_words(self.age),
            self.change_key,
        ]
        return [word for word in words if word]

    def apply(self, operations: OperationQuerySet, now: datetime) -> OperationQuerySet:
        return operations.filter(self._condition(now)) if self.as_query() else operations

    def _condition(self, now: datetime) -> Q:
        lookups: dict[str, Any] = {
            "workspace__slug": self.workspace,
            "run__rule_id": self.rule,
            "kind": self.kind,
            "change_key": self.change_key,
            "confidence__gte": self.confidence and float(self.confidence),
        }
        condition = Q(**{lookup: value for lookup, value in lookups.items() if value})
        if self.model:
            condition &= Q(model="" if self.model == NO_MODEL else self.model)
        if self.folder:
            within = f"{self.folder}/"
            condition &= Q(target_note__path__startswith=within) | Q(
                target_note__isnull=True, target_path__startswith=within
            )
        if self.age:
            word, _, days = self.age.partition("-")
            condition &= Q(**{f"created_at__{'gt' if word == 'newer' else 'lte'}": now - timedelta(days=int(days))})
        return condition


@dataclass(frozen=True, slots=True)
class Facets:
    """Each choice with the number of operations that wait behind it, all other filters being as they are."""

    workspaces: Sequence[Choice]
    rules: Sequence[Choice]
    kinds: Sequence[Choice]
    models: Sequence[Choice]
    confidences: Sequence[Choice]
    ages: Sequence[Choice]
    folders: Sequence[Choice]
    total: int
    """Pending operations that pass all filters."""
    by_workspace: Mapping[UUID, int]
    """The same, apart."""


def facets(pending: OperationQuerySet, filters: Filters, now: datetime) -> Facets:
    """In two statements, however many choices there are."""
    in_sql = Filters(folder=filters.folder, change_key=filters.change_key)
    columns = ("workspace_id", "workspace__slug", "workspace__name", "run__rule_id", "run__rule__name", "kind", "model")
    steps = {"confidence_step": _confidence_step(), "age_step": _age_step(now)}
    counted = in_sql.apply(pending, now).order_by().annotate(**steps).values(*columns, *steps)
    rows = list(counted.annotate(waiting=Count("pk")))

    def passing(but: str = "") -> list[Mapping[str, Any]]:
        left = replace(filters, **{but: ""}) if but else filters
        return [row for row in rows if _passes(row, left)]

    passed = passing()
    kinds = {kind.value: str(kind.label) for kind in KINDS}
    return Facets(
        workspaces=choices(passing("workspace"), "workspace__slug", "workspace__name"),
        rules=choices(passing("rule"), "run__rule_id", "run__rule__name"),
        kinds=[replace(each, label=kinds[each.value]) for each in choices(passing("kind"), "kind", "kind")],
        models=[
            replace(each, value=each.value or NO_MODEL, label=each.label or "no model")
            for each in choices(passing("model"), "model", "model")
        ],
        confidences=_confidences(passing("confidence")),
        ages=_ages(passing("age")),
        folders=_folders(replace(filters, folder="").apply(pending, now)),
        total=sum(row["waiting"] for row in passed),
        by_workspace=_summed(passed, "workspace_id"),
    )


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# --- Steps ----------------------------------------------------------------------------------------


def _confidence_step() -> Case:
    steps = (When(confidence__gte=float(step), then=Value(step)) for step in CONFIDENCES)
    return Case(*steps, default=Value("0"), output_field=CharField())


def _age_step(now: datetime) -> Case:
    """How many of `AGES` it is past."""
    steps = (When(created_at__gt=now - timedelta(days=days), then=Value(step)) for step, days in enumerate(AGES))
    return Case(*steps, default=Value(len(AGES)))


def _passes(row: Mapping[str, Any], filters: Filters) -> bool:
    return (
        filters.workspace in ("", row["workspace__slug"])
        and filters.rule in ("", str(row["run__rule_id"]))
        and filters.kind in ("", row["kind"])
        and filters.model in ("", row["model"] or NO_MODEL)
        and float(row["confidence_step"]) >= float(filters.confidence or 0)
        and (not filters.age or _is_of_age(row, filters.age))
    )


def _is_of_age(row: Mapping[str, Any], age: str) -> bool:
    word, _, days = age.partition("-")
    newer: bool = row["age_step"] <= AGES.index(int(days))
    return newer == (word == "newer")


def _summed(rows: Iterable[Mapping[str, Any]], column: str) -> dict[Any, int]:
    sums: dict[Any, int] = {}
    for row in rows:
        sums[row[column]] = sums.get(row[column], 0) + row["waiting"]
    return sums


def choices(rows: Sequence[Mapping[str, Any]], value: str, label: str) -> list[Choice]:
    """Of rows with the column `waiting`, summed for each `value`."""
    labels = {row[value]: row[label] for row in rows}
    counts = _summed(rows, value).items()
    return sorted((Choice(str(each), labels[each], count) for each, count in counts), key=lambda choice: choice.label)


def _confidences(rows: Sequence[Mapping[str, Any]]) -> list[Choice]:
    counts = {
        step: sum(row["waiting"] for row in rows if float(row["confidence_step"]) >= float(step))
        for step in CONFIDENCES
    }
    return [Choice(step, _confidence_words(step), count) for step, count in counts.items() if count]


def _ages(rows: Sequence[Mapping[str, Any]]) -> list[Choice]:
    found = []
    for word in ("newer", "older"):
        for days in AGES:
            count = sum(row["waiting"] for row in rows if _is_of_age(row, f"{word}-{days}"))
            if count:
                found.append(Choice(f"{word}-{days}", _age_words(f"{word}-{days}"), count))
    return found


def _confidence_words(step: str) -> str:
    return f"{float(step):.0%} or more"


def _age_words(age: str) -> str:
    word, _, days = age.partition("-")
    return f"{word} than {days} day{'s' * (days != '1')}"


def _folders(operations: OperationQuerySet) -> list[Choice]:
    """The outermost ones, those with most first."""
    top = Func(F("path"), Value("/"), Value(1), function="split_part", output_field=CharField())
    within = operations.order_by().alias(path=PATH).filter(path__contains="/").values(top=top)
    counted = within.annotate(waiting=Count("pk")).order_by("-waiting", "top")[:_FOLDERS]
    return [Choice(row["top"], row["top"], row["waiting"]) for row in counted if row["top"]]
