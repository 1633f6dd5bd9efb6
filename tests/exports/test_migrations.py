"""What waited before an upgrade is done after it."""

from importlib import import_module

import pytest
from django.apps import apps

from exports.models import ExportJob
from exports.services import queue_markdown_export


@pytest.mark.django_db
def test_the_condition_of_an_export_that_waits_becomes_what_it_meant(workspace, owner):
    job = queue_markdown_export(workspace, created_by=owner, condition={})
    ExportJob.objects.filter(pk=job.pk).update(condition_json={"untagged": "true"})
    import_module("exports.migrations.0004_conditions_by_type").rewrite(apps, None)
    job.refresh_from_db()
    assert job.condition_json == {"untagged": True}
