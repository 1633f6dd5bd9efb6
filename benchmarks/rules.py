"""What rules cost whoever writes: `python -m benchmarks.rules`.

One note written in a workspace with a hundred enabled rules that do not match, beside the same write in one without:
they take turns. Then a vault imported with twenty rules, of which five match every note, beside the same import
without; each in a process of its own, taking turns, the best of the rounds.
"""

import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, tell
from benchmarks.import_export import apart, import_files
from benchmarks.installation import CorpusMissing, corpus, fresh_installation

if TYPE_CHECKING:
    from kjxlkj.workspaces.models import Workspace

CORPUS = "windows-driver-docs"
RULES = 100
WRITES = 400
WRITE_RATIO = 1.3
IMPORT_RULES = 20
IMPORT_MATCHING = 5
IMPORT_RATIO = 1.5
ROUNDS = 2

# Each word of the vocabulary that can decide about a note, and nesting; none holds for the note that is written.
_CONDITIONS: list[Callable[[int], Mapping[str, Any]]] = [
    lambda i: {"folder": f"inbox/{i}"},
    lambda i: {"path_prefix": f"archive/{i}"},
    lambda i: {"tag": f"project-{i}"},
    lambda i: {"tag_any": [f"todo-{i}", f"later-{i}"]},
    lambda i: {"tag_all": [f"a-{i}", f"b-{i}"]},
    lambda i: {"title_contains": f"meeting {i}"},
    lambda i: {"body_contains": f"invoice {i}"},
    lambda i: {"text": f"quarterly report{i}"},
    lambda i: {"has_metadata": f"due-{i}"},
    lambda i: {"min_length": 100_000 + i},
    lambda i: {"created_since": f"2090-01-{i % 28 + 1:02}"},
    lambda i: {"kind": "media_image", "updated_within_days": i + 1},
    lambda i: {"orphan": True, "folder": f"loose/{i}"},
    lambda i: {"linked": True, "tag": f"hub-{i}"},
    lambda i: {"all": [{"untagged": True}, {"not": {"has_metadata": f"x{i}"}}, {"folder": f"inbox/new{i}"}]},
    lambda i: {"any": [{"title_contains": f"draft {i}"}, {"tag": f"draft-{i}"}], "max_length": 10},
]

_MATCHING: list[Mapping[str, Any]] = [
    {},
    {"min_length": 0},
    {"not": {"tag": "nobody-has-this"}},
    {"any": [{"untagged": True}, {"untagged": False}]},
    {"created_within_days": 2},
]

_BODY = "# A note\n\nSome words with a [[link]] or two, and #hashtags, as one writes them.\n" * 25


def main() -> None:
    with fresh_installation() as folder:
        measure_writes()
        try:
            source = corpus(CORPUS)
        except CorpusMissing as missing:
            print(f"skipped: {missing}")
            return
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder / CORPUS)
        measure_import(folder / CORPUS)


def measure_writes() -> None:
    from kjxlkj.notes.cause import by
    from kjxlkj.notes.services import NewNote, create_notes, update_note
    from kjxlkj.workspaces.services import system_user

    cause = by(system_user())
    without, with_rules = new_workspace("without"), new_workspace("with-rules")
    add_rules(with_rules, RULES)
    times: dict[str, list[float]] = {}
    notes = {}
    for workspace in (without, with_rules):
        news = [NewNote(f"Note {i}", path=f"notes/{i}.md", body=f"{_BODY}[[Note {i + 1}]]") for i in range(500)]
        notes[workspace.slug] = create_notes(workspace, news, cause=cause)[0]
    for number in range(WRITES):
        for slug, note in notes.items():
            began = time.perf_counter()
            notes[slug] = update_note(note, base_version=note.version, cause=cause, body=f"{_BODY}{number}")
            times.setdefault(slug, []).append(time.perf_counter() - began)
    ours, floor = median(times["with-rules"]), median(times["without"])
    remark = f"{ours * 1000:.1f} ms; without rules {floor * 1000:.1f} ms"
    tell(Figure(f"a note written with {RULES} rules, to none", ours / floor, WRITE_RATIO, "x", remark=remark))


def measure_import(files: Path) -> None:
    from automation.models import Run, RunSource

    with_rules, without = [], []
    for number in range(ROUNDS):
        new_workspace(f"without-{number}")
        add_rules(new_workspace(f"with-rules-{number}"), IMPORT_RULES - IMPORT_MATCHING, _MATCHING)
        without.append(apart(import_files, files, f"without-{number}"))
        with_rules.append(apart(import_files, files, f"with-rules-{number}"))
    print(f"{Run.objects.count():,} runs of {RunSource.objects.count():,} notes were started")
    ours, floor = min(with_rules).seconds, min(without).seconds
    name = f"import of {files.name} with {IMPORT_RULES} rules, to none"
    tell(Figure(name, ours / floor, IMPORT_RATIO, "x", remark=f"{ours:.1f} s; without rules {floor:.1f} s"))


def new_workspace(slug: str) -> "Workspace":
    from kjxlkj.workspaces.services import create_workspace, system_user

    return create_workspace(slug=slug, name=slug, owner=system_user())


def add_rules(workspace: "Workspace", count: int, also: list[Mapping[str, Any]] | None = None) -> None:
    from automation.services import create_rule
    from kjxlkj.workspaces.services import system_user

    conditions = [_CONDITIONS[i % len(_CONDITIONS)](i) for i in range(count)] + (also or [])
    for number, condition in enumerate(conditions):
        create_rule(
            workspace,
            actor=system_user(),
            name=f"Rule {number}",
            trigger="note.changed",
            condition_json=condition,
            action_json={"kind": "librarian_structure"},
        )


if __name__ == "__main__":
    sys.exit(main())
