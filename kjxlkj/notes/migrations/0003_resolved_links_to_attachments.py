import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, transaction

from kjxlkj.notes.markdown import attachment_keys

CHUNK = 1000

# As writing notes does (`notes.index.lock_links`): of two that resolve a workspace's links, one after the other.
LOCK = "SELECT 1 FROM workspaces_workspace WHERE id = %s FOR NO KEY UPDATE"
# Links that mean no note, to the attachment that they mean: the surest key, then the shortest path, then the oldest.
RESOLVE = """
UPDATE notes_notelink AS link SET attachment_id = meant.id
FROM (
    SELECT DISTINCT ON (name.key) name.key, file.id
    FROM notes_attachment AS file, unnest(file.keys) WITH ORDINALITY AS name(key, rank)
    WHERE file.workspace_id = %s AND file.deleted_at IS NULL
    ORDER BY name.key, name.rank, length(file.path), file.id
) AS meant
WHERE link.workspace_id = %s AND link.target_id IS NULL AND link.key = meant.key
AND link.attachment_id IS DISTINCT FROM meant.id
"""


def name_attachments(apps, schema_editor):
    nameless = apps.get_model("notes", "Attachment").objects.filter(keys=[]).order_by("pk").only("path")
    chunk = list(nameless[:CHUNK])
    while chunk:
        for row in chunk:
            row.keys = attachment_keys(row.path)
        nameless.bulk_update(chunk, ["keys"])
        chunk = list(nameless.filter(pk__gt=chunk[-1].pk)[:CHUNK])


def resolve_links(apps, schema_editor):
    attachments = apps.get_model("notes", "Attachment").objects
    for workspace_id in attachments.order_by().values_list("workspace_id", flat=True).distinct():
        with transaction.atomic(), schema_editor.connection.cursor() as cursor:
            cursor.execute(LOCK, [workspace_id])
            cursor.execute(RESOLVE, [workspace_id, workspace_id])


class Migration(migrations.Migration):
    """Chunk by chunk, while everybody reads and writes on. Killed anywhere, it is run again and goes on."""

    atomic = False

    dependencies = [("notes", "0002_links_to_attachments")]

    operations = [
        migrations.RunPython(name_attachments, migrations.RunPython.noop),
        migrations.RunPython(resolve_links, migrations.RunPython.noop),
        # What is left of one that was killed, and not valid.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS attachment_keys", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="attachment",
            index=django.contrib.postgres.indexes.GinIndex(fields=["keys"], name="attachment_keys", fastupdate=False),
        ),
    ]
