"""Conditions of jobs that wait, or may be tried again, say what those of rules do (automation 0005)."""

from importlib import import_module

from django.db import migrations


def rewrite(apps, schema_editor):
    by_type = import_module("automation.migrations.0005_conditions_by_type").by_type
    for job in apps.get_model("exports", "ExportJob").objects.exclude(status="succeeded").iterator():
        condition = by_type(job.condition_json)
        if condition != job.condition_json:
            job.condition_json = condition
            job.save(update_fields=["condition_json"])


class Migration(migrations.Migration):
    dependencies = [("exports", "0003_cheaper_guard"), ("automation", "0005_conditions_by_type")]

    operations = [migrations.RunPython(rewrite, migrations.RunPython.noop)]
