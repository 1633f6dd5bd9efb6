"""Which account runs the server, and how root becomes it. Standard library only."""

import ctypes
import os
import pwd
from pathlib import Path

from kjxlkj.embedded_postgres.layout import LINUX, StartError

# Either lets a process through directories that shut it out; the first may not write there. Docker allows only
# the second.
CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE = 2, 1
# <linux/prctl.h>, <linux/capability.h>
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522

REMEDY = (
    "Use a KJXLKJ_DATA_DIR (and an installation) that this account can reach, run as a normal user, "
    "or set DATABASE_URL to a PostgreSQL that is run elsewhere."
)


def service_account() -> pwd.struct_passwd:
    """The unprivileged account that a server started by root runs as."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StartError(
        "PostgreSQL refuses to run as root, and there is neither an account 'postgres' nor 'nobody' to run it "
        "as. Run as a normal user, make such an account, or set DATABASE_URL."
    )


def account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise StartError(
            f"The user id {uid} has no name in the system's user database (/etc/passwd), and PostgreSQL needs "
            "one. Add it, run as another user, or set DATABASE_URL."
        ) from None


def become(uid: int, gid: int, *, must_reach: list[Path]) -> None:
    """Turn a root process into an account for good, still able to reach the given paths.

    Where a parent directory shuts the account out (/root is 0700), nobody's permissions are changed: the
    process and the programs it runs keep one capability, to pass through directories, and lose all others.
    """
    try:
        if LINUX:
            _prctl(PR_SET_KEEPCAPS, 1)
        os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise StartError(f"Root cannot become the account {account_name(uid)} here ({error}). {REMEDY}") from error
    # access() judges by the account alone, whatever capabilities are left.
    blocked = [path for path in must_reach if not os.access(path, os.R_OK | os.X_OK)]
    if blocked and not (LINUX and (_keep(CAP_DAC_READ_SEARCH) or _keep(CAP_DAC_OVERRIDE))):
        raise StartError(
            "PostgreSQL refuses to run as root, and the account "
            f"{account_name(uid)} cannot reach {blocked[0]}. {REMEDY}"
        )
    if LINUX and not blocked:
        _set_capabilities(0)


def die_with_parent(parent: int, signal_number: int) -> None:
    """Where the system can: have this new process signalled when its parent ends, however it ends."""
    if LINUX:
        _prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)


def _keep(capability: int) -> bool:
    """Keep this one capability, through exec too, and lose the others; False where that is not allowed."""
    try:
        _set_capabilities(1 << capability)
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
    except PermissionError:
        return False
    return True


def _set_capabilities(wanted: int) -> None:
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable; then their high words
    data = (ctypes.c_uint32 * 6)(wanted, wanted, wanted, 0, 0, 0)
    _check(_libc().capset(ctypes.byref(header), ctypes.byref(data)))


def _prctl(*arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:5]
    _check(_libc().prctl(padded[0], *(ctypes.c_ulong(value) for value in padded[1:])))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
