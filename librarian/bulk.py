"""Many operations on one page: what would be decided together, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from kjxlkj.errors import BadRequest
from kjxlkj.pagination import beyond, decode_cursor, encode_cursor
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import scoped
from librarian.batches import MOST
from librarian.groups import Member, list_members
from librarian.models import Batch, Operation, OperationQuerySet, OperationStatus
from librarian.presentation import Card, cards, for_cards, writable_workspaces
from librarian.queue import changes_for_later, read_moment, with_lengths
from librarian.queue_filters import PATH, Filters

SAMPLE = 10


@dataclass(frozen=True, slots=True)
class BulkPage:
    """At most `MOST` operations, to be decided together by exactly those ticked."""

    filters: Filters
    total: int
    """That pass the filters and that this person may decide, those of other pages too."""
    sample: Sequence[Card]
    """From over all of their confidence."""
    others: Sequence[Member]
    next_query: str

    @property
    def size(self) -> int:
        return len(self.sample) + len(self.others)

    @property
    def query(self) -> str:
        return urlencode(self.filters.as_query())


def bulk_page(user: User, query: QueryDict, decision: str) -> BulkPage:
    """The first of what passes the filters, oldest first, or those after the place `after`.

    What a person has not ticked is passed too: it is not ticked again behind their back.
    """
    filters = Filters.read(query)
    pending = Operation.objects.pending().filter(workspace__in=writable_workspaces(user))
    pending = filters.apply(pending, timezone.now())
    total = pending.count()
    after = _place(query.get("after", ""))
    later = pending.filter(beyond(("created_at", "pk"), after)) if after else pending
    listed = later.order_by("created_at", "pk")
    places = list(listed.values_list("created_at", "pk", "confidence")[: MOST + 1])
    more = len(places) > MOST
    places = places[:MOST]
    chosen = _over_all([pk for _, pk, _ in sorted(places, key=lambda place: place[2])])
    others = {pk for _, pk, _ in places} - set(chosen)
    next_query = {**filters.as_query(), "decision": decision, "after": encode_cursor(places[-1][:2])} if more else {}
    return BulkPage(
        filters=filters,
        total=total,
        sample=_sample(chosen, user),
        others=list_members(listed.filter(pk__in=others)),
        next_query=urlencode(next_query),
    )


@dataclass(frozen=True, slots=True)
class BatchPage:
    batch: Batch
    done: Sequence[Operation]
    """As they are now."""
    refused: Sequence[Operation]
    taken_back: int
    """Rejections undone since: these may be decided again by now, and are of this batch no more."""
    elsewhere: int
    """In workspaces that this person does not see."""
    can_be_undone: int
    may_undo: bool


def batch_page(batch: Batch, user: User) -> BatchPage:
    why = {UUID(each["operation_id"]): each["message"] for each in batch.refusals}
    concerned = Operation.objects.filter(Q(batch=batch) | Q(pk__in=why))
    found = with_messages(scoped(concerned, user), why)
    refused = [operation for operation in found if operation.pk in why]
    done = [operation for operation in found if operation.pk not in why]
    all_done = concerned.exclude(pk__in=why)
    number = all_done.count()
    left = all_done.can_be_undone().order_by()
    where = dict(left.values_list("workspace_id").annotate(number=Count("pk")))
    return BatchPage(
        batch=batch,
        done=done,
        refused=refused,
        taken_back=batch.size - number - len(why),
        elsewhere=number + len(why) - len(found),
        can_be_undone=sum(where.values()),
        may_undo=bool(where) and where.keys() <= writable_workspaces(user),
    )


def with_messages(operations: OperationQuerySet, why: Mapping[UUID, str]) -> list[Operation]:
    """Operations with what a line tells of them: `path`, their note, and in `message` why they could not be done."""
    named = operations.select_related("target_note", "workspace").annotate(path=PATH).order_by("path", "pk")
    found = list(named.defer("body_markdown", "links", "target_note__body", "target_note__search_vector"))
    for operation in found:
        operation.message = why.get(operation.pk, "")  # type: ignore[attr-defined]
    return found


def latest_batches(user: User) -> QuerySet[Batch]:
    """Of their own, with the number of operations that can still be undone, and of those in whose workspaces they may
    not decide any more."""
    still = Q(operations__status__in=[OperationStatus.APPLIED, OperationStatus.REJECTED])
    lost = still & ~Q(operations__workspace__in=writable_workspaces(user))
    counted = {"still": Count("operations", filter=still), "lost": Count("operations", filter=lost)}
    return Batch.objects.filter(decided_by=user).annotate(**counted)[:50]


# --- Steps ----------------------------------------------------------------------------------------


def _place(text: str) -> tuple[object, object] | None:
    """None for what `bulk_page` did not name, as an old bookmark may hold."""
    try:
        match decode_cursor(text) if text else None:
            case [str(began), str(pk)]:
                return read_moment(began), UUID(pk)
    except (BadRequest, ValueError, OverflowError):
        pass
    return None


def _over_all(ids: Sequence[UUID]) -> list[UUID]:
    """`SAMPLE` of them at equal distances, the first and the last among them."""
    if len(ids) <= SAMPLE:
        return list(ids)
    return [ids[number * (len(ids) - 1) // (SAMPLE - 1)] for number in range(SAMPLE)]


def _sample(ids: Sequence[UUID], user: User) -> list[Card]:
    """Without buttons of their own: a tick decides each with the others."""
    found = {operation.pk: operation for operation in with_lengths(for_cards(Operation.objects.filter(pk__in=ids)))}
    operations = [found[pk] for pk in ids]
    made = cards(operations, user, later=changes_for_later(operations))
    return [replace(card, may_decide=False) for card in made]
