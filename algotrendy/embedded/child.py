"""What happens between fork and exec of a child: dying with the parent, and not being root.

These functions run in the forked child. They call the kernel directly, because going through helper
programs (`setpriv`, `unshare`) would add packages that a slim container may not have.
"""

import ctypes
import functools
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000

Preexec = Callable[[], None]
# Looked up before any fork: a forked child must not start loading libraries.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
# An ordinary user of this machine: initdb wants the name of the one it runs as.
_somebody = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid not in (0, 65534)), 65534)


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> Preexec:
    """Return a function for `preexec_fn` that makes the kernel send `number` when the parent dies.

    Only Linux can do this; elsewhere the next start removes what was left behind.
    """
    libc, parent = _libc, os.getpid()
    if libc is None:
        return lambda: None

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # it died before the arrangement was made
            os.kill(os.getpid(), number)

    return arrange


def enter_user_namespace() -> None:
    """Become an ordinary user in a user namespace of our own: outside nothing changes, not even file owners.

    Raises OSError where the kernel or the container forbids user namespaces.
    """
    uid, gid = os.geteuid(), os.getegid()
    if _libc is None or _libc.unshare(CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_somebody} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{_somebody} {gid} 1")


@functools.cache
def user_namespaces_work() -> bool:
    """Tell whether this machine lets us enter a user namespace, by trying it in a throw-away child."""
    try:
        subprocess.run(["true"], preexec_fn=enter_user_namespace, check=True)
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def become(uid: int, gid: int) -> Preexec:
    """Return a function for `preexec_fn` that gives up root for `uid` and `gid`."""

    def drop() -> None:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)

    return drop


def in_order(*steps: Preexec) -> Preexec:
    """Return a function for `preexec_fn` that does `steps` one after another.

    A change of credentials clears the death signal, so arrange that last.
    """

    def run() -> None:
        for step in steps:
            step()

    return run
