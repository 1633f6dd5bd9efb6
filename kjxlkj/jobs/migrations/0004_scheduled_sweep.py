from django.db import migrations

NAME = "kjxlkj: sweep"


def schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.get_or_create(
        name=NAME,
        defaults={"func": "kjxlkj.jobs.tasks.sweep", "schedule_type": "I", "minutes": 1, "repeats": -1},
    )


def unschedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    """The sweep for workers that somebody else supervises (`manage.py qcluster`): their cluster runs it itself.

    Our own supervisor sweeps from outside of the cluster and more often, and does not depend on this.
    """

    dependencies = [
        ("jobs", "0003_slot_canary_well_at"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(schedule, unschedule)]
