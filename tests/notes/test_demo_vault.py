"""The demo vault is coherent, and the faults planted in it for the librarian are there."""

import re
import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from ruamel.yaml import YAML

import kjxlkj.demo
from kjxlkj.notes.markdown import first_heading, link_key, mask, note_keys, parse_links

VAULT = Path(kjxlkj.demo.__file__).parent / "vault"
TAGS = {
    "billing",
    "customer",
    "database",
    "decision",
    "deploy",
    "harbour-office",
    "hiring",
    "incident",
    "meeting",
    "mobile",
    "observability",
    "onboarding",
    "payments",
    "release",
    "security",
    "tides",
}


@dataclass
class DemoNote:
    path: str
    body: str
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.metadata.get("title") or PurePosixPath(self.path).stem

    @property
    def tags(self) -> list[str]:
        return list(self.metadata.get("tags", []))


def read_note(path: Path) -> DemoNote:
    text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    name = path.relative_to(VAULT).as_posix()
    if not text.startswith("---\n"):
        return DemoNote(name, text)
    front_matter, closed, body = text[4:].partition("\n---\n")
    assert closed, name
    return DemoNote(name, body, YAML(typ="safe").load(front_matter))


NOTES = {note.path: note for note in map(read_note, sorted(VAULT.rglob("*.md")))}
ATTACHMENTS = sorted(VAULT.glob("attachments/*"))


def keys_of_everything() -> dict[str, str]:
    keys = {key: path for path, note in NOTES.items() for key in keys_of(note)}
    for file in ATTACHMENTS:
        path = file.relative_to(VAULT).as_posix()
        keys |= {path: path, "/" + path: path, file.name: path}
    return keys


def keys_of(note: DemoNote) -> list[str]:
    return [key for key, _ in note_keys(note.path, note.title, note.metadata.get("aliases", []))]


KEYS = keys_of_everything()


def targets_of(note: DemoNote) -> set[str]:
    return {KEYS[link_key(link, note.path)] for link in parse_links(note.body)}


def shingles(note: DemoNote) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", note.body.casefold())
    return set(zip(words, words[1:], words[2:], strict=False))


def test_it_is_a_small_teams_vault() -> None:
    assert 80 <= len(NOTES) <= 100
    folders = Counter(path.split("/")[0] for path in NOTES)
    assert folders["inbox"] == 16
    assert {"runbooks", "decisions", "meetings", "people", "customers", "postmortems", "daily"} <= set(folders)
    assert sum(file.stat().st_size for file in VAULT.rglob("*") if file.is_file()) < 300_000


def test_file_names_are_legal_everywhere() -> None:
    names = [file.relative_to(VAULT).as_posix() for file in VAULT.rglob("*")]
    assert len({name.casefold() for name in names}) == len(names)
    for part in (part for name in names for part in name.split("/")):
        assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', part), part
        assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part, re.IGNORECASE), part


def test_only_reserved_domains_are_named() -> None:
    text = "\n".join(note.body for note in NOTES.values())
    hosts = re.findall(r"(?:https?://|@)([\w.-]+\.[a-z]+)", text)
    assert hosts
    assert all(re.search(r"(^|\.)(example|example\.com)$", host) for host in hosts), hosts


def test_every_link_finds_a_note_or_an_attachment() -> None:
    links = [(note.path, link) for note in NOTES.values() for link in parse_links(note.body)]
    assert [(path, link.raw) for path, link in links if link_key(link, path) not in KEYS] == []
    assert len(links) >= 100


def test_no_name_means_two_notes() -> None:
    counts = Counter(key for note in NOTES.values() for key in keys_of(note))
    assert [key for key, count in counts.items() if count > 1] == []


def test_tags_are_a_shared_vocabulary() -> None:
    counts = Counter(tag for note in NOTES.values() for tag in note.tags)
    assert set(counts) == TAGS
    assert min(counts.values()) >= 4


def test_inbox_has_neither_front_matter_nor_tags() -> None:
    assert not any(note.metadata for path, note in NOTES.items() if path.startswith("inbox/"))


def test_six_untitled_notes_have_a_heading_that_could_be_their_title() -> None:
    headings = {
        PurePosixPath(note.path).stem: first_heading(note.body)
        for note in NOTES.values()
        if "title" not in note.metadata and first_heading(note.body)
    }
    assert headings == {
        "2026-03-14 0931": "Alert thresholds for keel disks",
        "2026-05-02": "Tide gauge at Port Ellery reads low",
        "20260611": "Release 3.8, what to tell harbours",
        "Untitled 3": "VAT for guest berths in Germany",
        "call-jonas-0417": "Lüttsand want SEPA mandates on paper",
        "new document (2)": "Questions for the platform engineer interview",
    }


UNLINKED = [
    ("customers/kilcarra-pier.md", "Price list 2026"),
    ("customers/st-brannoc-harbour-trust.md", "Roadmap 2026"),
    ("customers/why-customers-left-2025.md", "Service levels"),
    ("daily/2026-06-09.md", "Roll back a release"),
    ("decisions/0004-one-paylane-account-per-harbour.md", "Quay Pay"),
    ("decisions/0012-move-to-two-virtual-machines.md", "Hosting comparison 2025"),
    ("decisions/hosting-comparison-2025.md", "ADR 12"),
    ("howto/add-a-harbour.md", "Jonas Brandt"),
    ("howto/advert-platform-engineer.md", "Interview loop"),
    ("howto/local-development-setup.md", "System overview"),
    ("howto/read-the-dashboards.md", "Service levels"),
    ("howto/ship-a-dockhand-beta.md", "Release checklist"),
    ("inbox/2026-03-14 0931.md", "On-call handbook"),
    ("inbox/2026-05-02.md", "Tide data ingestion"),
    ("meetings/2026/2026-01-12 Planning Q1.md", "Roadmap 2026"),
    ("meetings/2026/2026-02-09 weekly.md", "Monthly invoice run"),
    ("meetings/2026/2026-02-18 webhook outage review.md", "Marta Lindqvist"),
    ("meetings/2026/2026-03-02 weekly.md", "Skarvik Gästhamn"),
    ("meetings/2026/2026-03-16 dockhand go no go.md", "Port Ellery Marina"),
    ("meetings/2026/2026-04-27 hiring sync.md", "Interview loop"),
    ("meetings/2026/2026-05-18 security review.md", "Data retention"),
    ("people/samir-haddad.md", "On-call handbook"),
    ("postmortems/2025-11-08-stale-tides.md", "Tide data ingestion"),
    ("postmortems/2026-03-11-disk-full.md", "failover runbook"),
    ("products/berth-planner.md", "Midsummer double booking"),
    ("reference/how-we-write-notes.md", "Priya Nair"),
    ("reference/reading-notes-checklists.md", "Release checklist"),
    ("reference/season-handbook.md", "Monthly invoice run"),
    ("reference/season-handbook.md", "On-call handbook"),
    ("runbooks/deploy-bosun.md", "Write a safe migration"),
    ("runbooks/disk-full-on-keel.md", "Database failover"),
    ("runbooks/monthly-invoice-run.md", "Issue a credit note"),
    ("runbooks/restore-from-backup.md", "Data retention"),
    ("runbooks/tide-data-is-stale.md", "St Brannoc Harbour Trust"),
]


@pytest.mark.parametrize(("path", "mention"), UNLINKED)
def test_mention_in_prose_is_not_linked_yet(path: str, mention: str) -> None:
    note = NOTES[path]
    assert mention in mask(note.body)
    assert KEYS[mention.casefold()] not in targets_of(note)


@pytest.mark.parametrize(
    ("path", "mention"),
    [
        ("howto/write-a-safe-migration.md", "Release checklist"),  # a comment in fenced SQL
        ("howto/add-a-harbour.md", "data-retention"),  # in a URL
        ("reference/system-overview.md", "Database failover"),  # a heading
        ("reference/system-overview.md", "Harbour Office"),  # a drawing in a fence
        ("reference/tide-data-ingestion.md", "Tide data is stale"),  # a comment in fenced TOML
    ],
)
def test_mention_where_no_link_may_stand(path: str, mention: str) -> None:
    note = NOTES[path]
    assert mention in note.body
    assert mention not in mask(note.body)
    assert KEYS[mention.casefold()] not in targets_of(note)


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("decisions/0013-sepa-before-card-terminals.md", "payments"),
        ("howto/drain-the-webhook-queue.md", "incident"),
        ("howto/issue-a-credit-note.md", "billing"),
        ("howto/ship-a-dockhand-beta.md", "mobile"),
        ("postmortems/2026-02-17-webhook-outage.md", "payments"),
        ("runbooks/disk-full-on-keel.md", "database"),
    ],
)
def test_tagged_note_lacks_an_obvious_tag(path: str, tag: str) -> None:
    assert NOTES[path].tags
    assert tag not in NOTES[path].tags


def test_exactly_one_runbook_is_written_twice() -> None:
    sets = {path: words for path, note in NOTES.items() if len(words := shingles(note)) > 40}
    alike = [(a, b) for a, b in combinations(sets, 2) if len(sets[a] & sets[b]) > 0.5 * len(sets[a] | sets[b])]
    assert alike == [("howto/drain-the-webhook-queue.md", "runbooks/payment-webhook-backlog.md")]
    first, second = (NOTES[path] for path in alike[0])
    assert first.body != second.body


def test_two_notes_are_kept_from_librarians() -> None:
    restricted = {path: note.metadata["librarian"] for path, note in NOTES.items() if "librarian" in note.metadata}
    assert restricted == {"people/pay-review-2026.md": "never", "customers/kilcarra-pier.md": "local"}


def test_bytes_are_as_written() -> None:
    raw = {path: (VAULT / path).read_bytes() for path in NOTES}
    crlf = raw.pop("customers/hafen-luettsand.md")
    assert crlf.count(b"\r\n") == crlf.count(b"\n") > 10
    assert not any(b"\r" in data for data in raw.values())
    assert [path for path, data in raw.items() if not data.endswith(b"\n")] == ["inbox/note-to-self.md"]


def test_code_holds_no_links() -> None:
    note = NOTES["reference/how-we-write-notes.md"]
    assert "[[not a link]]" in note.body
    assert "\n```yaml\n---\n" in note.body
    assert parse_links(note.body) == []


def test_one_finished_note_is_an_orphan() -> None:
    linked = {target for note in NOTES.values() for target in targets_of(note)}
    orphan = NOTES["reference/knots-for-the-office-boat.md"]
    assert orphan.path not in linked
    assert not targets_of(orphan)
    assert not orphan.tags


def test_attachments_are_real_files() -> None:
    table, picture = ATTACHMENTS
    assert len(table.read_text().splitlines()) == 13
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    size = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[size - 4 : size])
    assert len(zlib.decompress(data[size + 4 : size + 4 + length])) == height * (1 + 3 * width)
