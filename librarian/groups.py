"""Proposals of the same change to many notes: one entry of the queue, one decision with a tick for each note."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, F, Q, Window
from django.db.models.functions import Coalesce, RowNumber

from kjxlkj.pagination import beyond
from librarian.changes import Chip
from librarian.models import Operation, OperationKind, OperationQuerySet
from librarian.queue_filters import PATH

# Seen with the card; the rest comes when it is looked at. A page full of groups lists fewer of each.
SEEN = 10
_SEEN_ON_A_PAGE = 120
MOST_IN_A_CARD = 200


@dataclass(frozen=True, slots=True)
class Key:
    """What makes proposals the same."""

    workspace_id: UUID
    kind: str
    change_key: str


@dataclass(frozen=True, slots=True)
class Member:
    id: UUID
    name: str
    path: str
    note_id: UUID | None
    percent: int
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    key: Key
    workspace: str
    size: int
    """How many wait, the ones not listed here too."""
    members: Sequence[Member]
    """Least confident first."""
    reasons: int
    """How many different ones."""
    may_decide: bool
    query: str
    """The part of an address that narrows the queue to it."""

    @property
    def id(self) -> UUID:
        return self.members[0].id

    @property
    def last_id(self) -> UUID:
        return self.members[-1].id

    @property
    def reason(self) -> str:
        return self.members[0].reason

    @property
    def other_reasons(self) -> Sequence[str]:
        """Of those listed."""
        return list(dict.fromkeys(member.reason for member in self.members if member.reason != self.reason))

    @property
    def left(self) -> int:
        return self.size - len(self.members)

    @property
    def beyond_a_card(self) -> bool:
        return self.size > MOST_IN_A_CARD

    @property
    def words(self) -> str:
        return group_words(self.key.kind, self.key.change_key)

    @property
    def chips(self) -> Sequence[Chip]:
        return _chips(self.key.change_key) if self.key.kind == OperationKind.RETAG else ()

    @property
    def kind(self) -> str:
        return str(OperationKind(self.key.kind).label)


def group_words(kind: str, change_key: str) -> str:
    """What is done to each note, as “Add tag billing”."""
    if kind != OperationKind.RETAG:
        return f"Link {change_key}"
    parts = []
    for state, verb in (("added", "add"), ("removed", "remove")):
        tags = [chip.tag for chip in _chips(change_key) if chip.state == state]
        if tags:
            parts.append(f"{verb} tag{'s' * (len(tags) > 1)} {', '.join(tags)}")
    words = " and ".join(parts)
    return words[:1].upper() + words[1:]


def read_groups(
    pending: OperationQuerySet, keys: Sequence[Key], *, writable: Iterable[UUID], query: Mapping[str, str]
) -> dict[Key, Group]:
    """Each with the first of its members, in two statements. `query`: the filters that `pending` has passed."""
    if not keys:
        return {}
    alike = pending.filter(reduce(or_, map(_of, keys))).order_by()
    columns = ("workspace_id", "workspace__slug", "workspace__name", "kind", "change_key")
    counted = alike.values(*columns).annotate(size=Count("pk"), reasons=Count("reason", distinct=True))
    about = {_key(row): row for row in counted}
    nth = Window(
        RowNumber(), partition_by=[F("workspace_id"), F("kind"), F("change_key")], order_by=[F("confidence"), F("id")]
    )
    members: dict[Key, list[Member]] = {}
    for row in _rows(alike.annotate(nth=nth).filter(nth__lte=min(SEEN, _SEEN_ON_A_PAGE // len(keys))).order_by("nth")):
        members.setdefault(_key(row), []).append(_member(row))
    writable = set(writable)
    return {
        key: Group(
            key=key,
            workspace=row["workspace__name"],
            size=row["size"],
            members=members[key],
            reasons=row["reasons"],
            may_decide=key.workspace_id in writable,
            query=urlencode(
                {**query, "workspace": row["workspace__slug"], "kind": key.kind, "change_key": key.change_key}
            ),
        )
        for key, row in about.items()
        if key in members
    }


def rest_of(pending: OperationQuerySet, last: Operation, writable: Iterable[UUID]) -> Group | None:
    """The group of `last` without its members up to it, as far as a card lists them; None if it is no more."""
    key = Key(last.workspace_id, last.kind, last.change_key)
    group = read_groups(pending, [key], writable=writable, query={}).get(key) if last.change_key else None
    if group is None:
        return None
    later = beyond(("confidence", "pk"), (last.confidence, last.pk))
    rest = pending.filter(_of(key)).filter(later).order_by("confidence", "pk")
    listed = group.size - rest.count()
    return replace(group, members=list_members(rest[: max(0, MOST_IN_A_CARD - listed)]))


def list_members(operations: OperationQuerySet) -> list[Member]:
    return list(map(_member, _rows(operations)))


# --- Steps ----------------------------------------------------------------------------------------


def _of(key: Key) -> Q:
    return Q(workspace_id=key.workspace_id, kind=key.kind, change_key=key.change_key)


def _key(row: Mapping[str, Any]) -> Key:
    return Key(row["workspace_id"], row["kind"], row["change_key"])


def _rows(operations: OperationQuerySet) -> Any:
    named = operations.annotate(path=PATH, name=Coalesce("target_note__title", F("title")))
    return named.values(
        "id", "workspace_id", "kind", "change_key", "confidence", "reason", "name", "path", "target_note_id"
    )


def _member(row: Mapping[str, Any]) -> Member:
    name = row["name"] or row["path"]
    percent = round(100 * row["confidence"])
    return Member(row["id"], name, row["path"], row["target_note_id"], percent, row["reason"])


def _chips(change_key: str) -> list[Chip]:
    states = {"+": "added", "-": "removed"}
    return [Chip(word[1:], states[word[0]]) for word in change_key.split(" ") if word[:1] in states]
