"""Finds the Chromium that browser tests drive, or installs one: `python -m tests.browser.chromium`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_REMEDY = """\
The browser tests need Chromium, and it could not be installed from here.
Install it by hand (Debian, Ubuntu: apt install chromium; Fedora: dnf install chromium; macOS: brew install chromium),
or name one with CHROMIUM=/path/to/chromium, then run `make test` again."""


def find() -> str | None:
    """The executable's path: what CHROMIUM names, one on the PATH, or Playwright's own."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    for name in _NAMES:
        path = shutil.which(name)
        if path:
            return path
    return _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> bool:
    """Debian's package where we may install it, else Playwright's download. Says what it does."""
    print("No Chromium here; installing one for the browser tests …", file=sys.stderr)  # noqa: T201  a command's output
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False, stdout=subprocess.DEVNULL)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        if subprocess.run(command, env=quiet, check=False, stdout=subprocess.DEVNULL).returncode == 0:
            return True
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    if find() is None and not (install() and find()):
        sys.exit(_REMEDY)
