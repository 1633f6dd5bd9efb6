from django.db import migrations


class Migration(migrations.Migration):
    """What `kjxlkj.jobs.broker` reads at every look into the queue: the first of a key that is due.

    The table belongs to django-q2, so this is SQL and not a model's index; `IF NOT EXISTS` lets it pass
    should a later django-q2, or an operator, have made it.
    """

    dependencies = [
        ("jobs", "0001_initial"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX IF NOT EXISTS kjxlkj_ormq_key_lock ON django_q_ormq (key, lock)",
            "DROP INDEX IF EXISTS kjxlkj_ormq_key_lock",
        )
    ]
