"""The offline librarian: proposals from the vault itself, with no network and no model.

Pure: no Django. `librarian.offline.index` imports numpy and scipy, so import it where it is used.
"""

from librarian.offline.documents import Document, Proposal

__all__ = ["Document", "Proposal"]
