"""Links that lead nowhere, with the lines on which they stand."""

from collections.abc import Collection, Iterator
from uuid import UUID

from django.db import connection

from kjxlkj.notes.sources import Lost

_DEAD = """
SELECT note.path, link.kind, link.raw,
    cardinality(string_to_array(note.front_matter || left(note.body, position(link.raw IN note.body)), E'\\n'))
FROM notes_notelink AS link JOIN notes_note AS note ON note.id = link.source_id
WHERE link.workspace_id = %s AND link.target_id IS NULL AND link.attachment_id IS NULL AND note.path = ANY(%s)
ORDER BY note.path, link.position
"""
_SHOWN = 200


def dead_links(workspace_id: UUID, paths: Collection[str]) -> Iterator[Lost]:
    """Of the live notes at these paths. Where a link stands twice, the line is the first one's."""
    with connection.cursor() as cursor:
        cursor.execute(_DEAD, [workspace_id, list(paths)])
        for path, kind, raw, line in cursor:
            if kind == "wikilink":
                yield Lost(path, line, "PAGE_MISSING", f"There is no page {raw[:_SHOWN]} (yet).")
            else:
                yield Lost(path, line, "LINK_BROKEN", f"There is no file where {raw[:_SHOWN]} leads from here.")
