"""Reading a folder or a zip of notes: one entry at a time, in the order of the paths, trusting nothing in it.

Nothing here writes or knows the database. What cannot be taken is named with a stable code and a remedy; one bad
entry never stops the others.
"""

from kjxlkj.notes.vault.entries import (
    AttachmentFile,
    Entry,
    EntryFault,
    Limits,
    NoteFile,
    Refused,
    Shape,
    Skipped,
    VaultError,
    is_note,
    is_skipped,
)
from kjxlkj.notes.vault.reading import Contents, look_into, read_vault

__all__ = [
    "AttachmentFile",
    "Contents",
    "Entry",
    "EntryFault",
    "Limits",
    "NoteFile",
    "Refused",
    "Shape",
    "Skipped",
    "VaultError",
    "is_note",
    "is_skipped",
    "look_into",
    "read_vault",
]
