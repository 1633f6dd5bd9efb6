"""What an import did, and what it could not take or not take as it was."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from kjxlkj.notes.sources import PLAIN, Lost, Source
from kjxlkj.notes.vault import Refused

_COUNTS = ("created", "changed", "unchanged", "deleted", "attachments_stored", "attachments_unchanged",
           "attachments_deleted", "skipped")  # fmt: skip


@dataclass(slots=True)
class ImportReport:
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    attachments_stored: int = 0
    attachments_unchanged: int = 0
    attachments_deleted: int = 0
    skipped: int = 0
    refused: list[Refused] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """(path, what was not taken as it stands)"""
    source: Source = PLAIN
    sign: str = ""
    """What the source was recognised by; "" where nothing showed it, or it was named."""
    lost: list[Lost] = field(default_factory=list)

    @property
    def changes_nothing(self) -> bool:
        return not (self.created + self.changed + self.deleted + self.attachments_stored + self.attachments_deleted)

    @property
    def lost_by_code(self) -> dict[str, int]:
        return dict(sorted(Counter(lost.code for lost in self.lost).items()))

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source.name,
            "recognised_by": self.sign,
            **{name: getattr(self, name) for name in _COUNTS},
            "refused": [asdict(refused) for refused in self.refused],
            "warnings": [{"path": path, "text": text} for path, text in self.warnings],
            "lost_by_code": self.lost_by_code,
            "lost": [asdict(lost) for lost in self.lost],
        }
