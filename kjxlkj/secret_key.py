"""The installation's secret key: made once, kept beside the data, readable by its owner alone."""

import os
import secrets
import tempfile
from pathlib import Path


def load_secret_key(data_dir: Path) -> str:
    """Read `data_dir/secret_key`, making it first where it is missing.

    Linking a finished file into place makes the race of two first processes harmless: one wins, both read it.
    """
    path = data_dir / "secret_key"
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        data_dir.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=data_dir, prefix=".secret_key-")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(64))
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
    return path.read_text(encoding="ascii")
