"""PostgreSQL of each version that is to be had here, for what has to hold on all of them."""

import os
from pathlib import Path

from kjxlkj.embedded_postgres.server import binaries


def _others() -> list[Path]:
    """Where a system keeps its own, or what KJXLKJ_TEST_POSTGRES names: folders of programs, separated as in PATH."""
    named = os.environ.get("KJXLKJ_TEST_POSTGRES")
    found = named.split(os.pathsep) if named else sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    return [Path(folder) for folder in found if folder and (Path(folder) / "initdb").exists()]


OURS = binaries()
OTHERS = _others()


def major(folder: Path) -> str:
    return "embedded" if folder == OURS else folder.parent.name
