"""PostgreSQL of each version that is to be had here, for what has to hold on all of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kjxlkj.embedded_postgres.server import binaries
from tests.faults.installation import instead_of_the_suites_database
from tests.faults.server import Server


def _others() -> list[Path]:
    """Where a system keeps its own, or what KJXLKJ_TEST_POSTGRES names: folders of programs, separated as in PATH."""
    named = os.environ.get("KJXLKJ_TEST_POSTGRES")
    found = named.split(os.pathsep) if named else sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    return [Path(folder) for folder in found if folder and (Path(folder) / "initdb").exists()]


OURS = binaries()
OTHERS = _others()


def major(folder: Path) -> str:
    return "embedded" if folder == OURS else folder.parent.name


@contextmanager
def used(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All of this process's models are found there, and the programs on the PATH are those of `folder`."""
    with monkeypatch.context() as patch, instead_of_the_suites_database(server):
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        yield
