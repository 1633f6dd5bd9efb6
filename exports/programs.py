"""PostgreSQL's own programs (pg_dump, pg_restore), found, leashed and looked after."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import connection
from psycopg import conninfo, pq

from exports.servers import live
from kjxlkj.errors import DomainError
from kjxlkj.jobs.leash import leashed

# How often one is looked after: its progress shown, a cancel heeded.
LOOK_SECONDS = 0.25
_SAID_CHARACTERS = 2000
# Our own libpq tells these of any connection, and older programs do not know them: they came with versions 16 to 18.
_NEW_WORDS = {
    *("gssdelegation", "load_balance_hosts", "max_protocol_version", "min_protocol_version", "oauth_client_id"),
    *("oauth_client_secret", "oauth_issuer", "oauth_scope", "require_auth", "scram_client_key", "scram_server_key"),
    *("servicefile", "sslcertmode", "sslkeylogfile", "sslnegotiation"),
}
# Of our environment; what concerns the connection stands in its description, and keys are nobody's business.
_PASSED_ON = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    version: str
    major: int


@dataclass(frozen=True, slots=True)
class End:
    """How a program ended, and what it said, in the shell's way."""

    status: int
    said: str

    @property
    def last_words(self) -> str:
        return self.said[-_SAID_CHARACTERS:] or "nothing"


def find(name: str) -> Program:
    """The program beside the psql that the database's backend would use. Raises `DomainError` PG_…_MISSING."""
    (psql, *_), _ = connection.client.settings_to_cmd_args_env(connection.settings_dict, [])
    code = f"{name.upper()}_MISSING"
    path = shutil.which(Path(psql).with_name(name))
    if path is None:
        raise DomainError(code, f"This needs {name}, which is not to be found here. {remedy()}")
    asked = subprocess.run([path, "--version"], capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    said = re.search(r"\(PostgreSQL\) ((\d+)\S*)", asked.stdout)
    if said is None:
        raise DomainError(code, f"{path} is not the {name} of PostgreSQL. {remedy()}")
    return Program(path, said[1], int(said[2]))


def remedy(major: int = 0) -> str:
    """What to do where a program is missing, or older than `major`, or than the server."""
    wanted = max(major, live().server_version // 10_000)
    return f"Install the client programs of PostgreSQL {wanted} or newer where this runs, within its PATH."


def run(
    program: Program,
    options: Sequence[str],
    target: Mapping[str, str],
    stdout: IO[bytes] | int = subprocess.DEVNULL,
    look: Callable[[], object] = lambda: None,
) -> End:
    """Run a program on the database that `target` describes (see `servers.address`), and wait for its end.

    `look` is called now and then and may raise, which kills it. It dies with us.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if "password" in target:
        # Of a process of our own account, while command lines can be read by every account.
        environment["PGPASSWORD"] = target["password"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own program
            leashed([program.path, *options, "--no-password", f"--dbname={_described(program, target)}"]),
            cwd=settings.BASE_DIR,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=said,
        )
        try:
            while process.returncode is None:
                look()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        return End(process.returncode, said.read().decode(errors="replace").strip())


def _described(program: Program, target: Mapping[str, str]) -> str:
    left_out = {"password"} | (_NEW_WORDS if program.major < pq.version() // 10_000 else set())
    return conninfo.make_conninfo(**{key: value for key, value in target.items() if key not in left_out})
