"""The demo vault: the notes of “Tidewater”, an invented eight-person company with booking software for harbours.

`vault/` is what a first start imports, so that the first screen after set-up is a review queue worth reading.
Everything in it is made up and stands under this project's licence; hosts are reserved example domains.

The notes are imperfect on purpose: inbox notes without a title or tags, names of other notes in prose that are
not linked, one runbook written twice, notes that lack an obvious tag, front matter in the styles people really
use, a note that no librarian may read and one that only a local one may. `tests/notes/test_demo_vault.py`
keeps these. Git must not touch the line ends here (`.gitattributes`): one note has CRLF, one no last newline.
"""
