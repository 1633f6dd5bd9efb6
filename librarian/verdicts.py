"""What became of an operation that was decided: one of five, for figures and for the lists behind them.

Of people's, all but `ACCEPTED` speak against the proposal, as in `librarian.acceptance`.
"""

from functools import reduce
from operator import or_

from django.db.models import Q, TextChoices

from librarian.models import OperationStatus


class Verdict(TextChoices):
    ACCEPTED = "accepted", "accepted"
    EDITED = "edited", "edited first"
    REJECTED = "rejected", "rejected"
    UNDONE = "undone", "undone"
    BY_RULE = "by_rule", "applied by a rule"


_BY_PERSON = Q(decided_by__isnull=False)

MEANING = {
    Verdict.ACCEPTED: Q(_BY_PERSON, status=OperationStatus.APPLIED, edited=False),
    Verdict.EDITED: Q(_BY_PERSON, status=OperationStatus.APPLIED, edited=True),
    Verdict.REJECTED: Q(_BY_PERSON, status=OperationStatus.REJECTED),
    # By a person in any case, whoever applied it.
    Verdict.UNDONE: Q(status=OperationStatus.REVERTED),
    Verdict.BY_RULE: Q(~_BY_PERSON, status=OperationStatus.APPLIED),
}

OF_PEOPLE = reduce(or_, (MEANING[verdict] for verdict in Verdict if verdict != Verdict.BY_RULE))


def verdict_of(status: str, *, edited: bool, by_person: bool) -> Verdict | None:
    """The same as `MEANING`; None: nobody has decided, or a check has."""
    if status == OperationStatus.REVERTED:
        return Verdict.UNDONE
    if status == OperationStatus.APPLIED and not by_person:
        return Verdict.BY_RULE
    if status == OperationStatus.APPLIED:
        return Verdict.EDITED if edited else Verdict.ACCEPTED
    return Verdict.REJECTED if status == OperationStatus.REJECTED and by_person else None
