from itertools import product

import pytest
from django.utils import timezone

from librarian.models import Operation, OperationStatus
from librarian.verdicts import MEANING, OF_PEOPLE, Verdict, verdict_of


@pytest.mark.django_db
def test_the_database_and_we_mean_the_same(decided, owner):
    for status, edited, by_person in product(OperationStatus, (False, True), (False, True)):
        decided(
            "accepted",
            status=status,
            edited=edited,
            decided_by=owner if by_person else None,
            decided_at=timezone.now(),
            reject_code="NO_CHANGE" if status == OperationStatus.REJECTED else "",
        )
    for operation in Operation.objects.all():
        same = Operation.objects.filter(pk=operation.pk)
        by_person = operation.decided_by_id is not None
        verdict = verdict_of(operation.status, edited=operation.edited, by_person=by_person)
        assert [each for each in Verdict if same.filter(MEANING[each])] == ([] if verdict is None else [verdict])
        assert same.filter(OF_PEOPLE).exists() == (verdict not in {None, Verdict.BY_RULE})
