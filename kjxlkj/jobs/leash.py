"""Other people's programs, on a leash: `python -m kjxlkj.jobs.leash PARENT PROGRAM ARGUMENT…` becomes the program.

A worker that is killed outright must not leave one running. Set after a fork, by `preexec_fn`, it would be Python that
runs in the copy of a process with several threads, which may hang there.
"""

import os
import sys
from collections.abc import Sequence

from kjxlkj.jobs.processes import die_with_parent


def leashed(command: Sequence[str]) -> list[str]:
    """A command line that does the same, in the project's folder, and dies with this process. Linux only."""
    return [sys.executable, "-m", __name__, str(os.getpid()), *command]


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - what its own parent asks for
