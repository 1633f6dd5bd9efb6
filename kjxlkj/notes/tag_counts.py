"""Which tags are in use, and how often."""

from uuid import UUID

from django.db import connection

_COUNT = """
SELECT label, count(*) FROM notes_note, unnest(tags) AS label
WHERE workspace_id = %s AND deleted_at IS NULL AND label > %s
GROUP BY label ORDER BY label LIMIT %s
"""


def tag_counts(workspace_id: UUID, *, after: str = "", limit: int | None = None) -> list[tuple[str, int]]:
    """Tags of live notes in alphabetical order from behind `after`, with the number of notes that bear them."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [workspace_id, after, limit])
        rows: list[tuple[str, int]] = cursor.fetchall()
    return rows
