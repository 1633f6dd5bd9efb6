"""What waited before an upgrade is treated as what came after it."""

from importlib import import_module

import pytest
from django.apps import apps

from librarian.models import Operation
from tests.librarian.conftest import op


@pytest.mark.django_db
def test_what_was_proposed_before_there_were_groups_is_grouped(propose, notes):
    operations = propose(
        op("retag_note", notes["alpha"], tags=("two",)),
        op("relink_note", notes["alpha"], links=[("Gamma plan", "Gamma plan")]),
        op("retitle_note", notes["beta"], title="B"),
    )
    keys = [operation.change_key for operation in operations]
    assert keys == ["+two -one", "Gamma plan → Gamma plan", ""]
    Operation.objects.update(change_key="")
    import_module("librarian.migrations.0006_change_keys").set_keys(apps, None)
    assert list(Operation.objects.order_by("index").values_list("change_key", flat=True)) == keys
