"""What happens between fork and exec of a child: dying with the parent, and not being root.

These functions run in the forked child. They call the kernel directly, because going through helper
programs (`setpriv`, `unshare`) would add packages that a slim container may not have.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NAMESPACE_ID = 1000  # any uid but 0

Preexec = Callable[[], None]


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> Preexec:
    """Return a function for `preexec_fn` that makes the kernel send `number` when the parent dies.

    Only Linux can do this; elsewhere the next start removes what was left behind.
    """
    if sys.platform != "linux":
        return lambda: None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # it died before the arrangement was made
            os.kill(os.getpid(), number)

    return arrange


def enter_user_namespace() -> None:
    """Become uid 1000 in a user namespace of our own: outside it nothing changes, not even file owners.

    Raises OSError where the kernel or the container forbids user namespaces.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NAMESPACE_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NAMESPACE_ID} {gid} 1")


def user_namespaces_work() -> bool:
    """Tell whether this machine lets us enter a user namespace, by trying it in a throw-away child."""
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        try:
            enter_user_namespace()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


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
