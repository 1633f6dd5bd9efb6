import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

from kjxlkj.notes.markdown import attachment_keys

CHUNK = 1000

# Links that mean no note, to the attachment that they mean: the surest key, then the shortest path, then the oldest.
RESOLVE = """
UPDATE notes_notelink AS link SET attachment_id = meant.id
FROM (
    SELECT DISTINCT ON (file.workspace_id, name.key) file.workspace_id, name.key, file.id
    FROM notes_attachment AS file, unnest(file.keys) WITH ORDINALITY AS name(key, rank)
    WHERE file.deleted_at IS NULL
    ORDER BY file.workspace_id, name.key, name.rank, length(file.path), file.id
) AS meant
WHERE link.target_id IS NULL AND link.workspace_id = meant.workspace_id AND link.key = meant.key
"""


def name_attachments(apps, schema_editor):
    attachments = apps.get_model("notes", "Attachment")
    chunk = []
    for row in attachments.objects.only("id", "path").iterator(CHUNK):
        row.keys = attachment_keys(row.path)
        chunk.append(row)
        if len(chunk) == CHUNK:
            attachments.objects.bulk_update(chunk, ["keys"])
            chunk = []
    attachments.objects.bulk_update(chunk, ["keys"])
    schema_editor.execute(RESOLVE)


class Migration(migrations.Migration):
    dependencies = [("notes", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="attachment",
            name="keys",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=1100),
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
        migrations.RunPython(name_attachments, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="attachment",
            index=django.contrib.postgres.indexes.GinIndex(fields=["keys"], name="attachment_keys", fastupdate=False),
        ),
    ]
