"""PostgreSQL of each version that is to be had here, for what has to hold on all of them."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

from kjxlkj.embedded_postgres.server import binaries


def _others() -> list[Path]:
    """What KJXLKJ_TEST_POSTGRES names: folders of programs, separated as in PATH. Else the one of the tests'
    environment, and those that the system keeps."""
    named = os.environ.get("KJXLKJ_TEST_POSTGRES")
    found = (
        named.split(os.pathsep) if named else [*_in_environment(), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    )
    return sorted(Path(folder) for folder in found if folder and (Path(folder) / "initdb").exists())


def _in_environment() -> list[str]:
    """A wheel of PostgreSQL 16, where there is one for this machine. Found, not imported: it would start a server."""
    package = find_spec("pgserver")
    return [str(Path(package.origin).with_name("pginstall") / "bin")] if package and package.origin else []


OURS = binaries()
OTHERS = _others()


def major(folder: Path) -> str:
    """For the names of tests: its version."""
    if folder == OURS:
        return "embedded"
    said = subprocess.run([folder / "pg_config", "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[1].partition(".")[0]
