"""What was proposed before proposals were grouped is grouped as well. The words are those of `effects.change_key`."""

from django.db import migrations

_CHUNK = 1000
_LONGEST = 200


def _tags(operation):
    before, after = set(operation.target_note.tags), set(operation.tags or ())
    return " ".join([*(f"+{tag}" for tag in sorted(after - before)), *(f"-{tag}" for tag in sorted(before - after))])


def _links(operation):
    return "; ".join(f"{link['text']} → {link['target']}" for link in operation.links or ())


def set_keys(apps, schema_editor):
    Operation = apps.get_model("librarian", "Operation")
    waiting = Operation.objects.filter(status="pending", change_key="", target_note__isnull=False)
    for kind, key_of in (("retag_note", _tags), ("relink_note", _links)):
        found = waiting.filter(kind=kind).select_related("target_note")
        found = found.only("kind", "tags", "links", "change_key", "target_note__tags")
        changed = []
        for operation in found.iterator(_CHUNK):
            operation.change_key = key_of(operation)
            if 0 < len(operation.change_key) <= _LONGEST:
                changed.append(operation)
        Operation.objects.bulk_update(changed, ["change_key"], batch_size=_CHUNK)


class Migration(migrations.Migration):
    dependencies = [("librarian", "0005_dashboard")]

    operations = [migrations.RunPython(set_keys, migrations.RunPython.noop, elidable=True)]
