import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The columns; what they hold follows in 0003. Quick, as it locks both tables."""

    dependencies = [("notes", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="attachment",
            name="keys",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=1100),
                # Workers of the version before, which go on while this is done, name none.
                db_default=models.Value([]),
                default=list,
                help_text="What links call it, the surest first.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="notelink",
            name="attachment",
            field=models.ForeignKey(
                help_text="Where it means no note.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="links",
                to="notes.attachment",
            ),
        ),
    ]
