"""Taking a process's powers away, as far as its kernel lets us. Each step is harmless where it is not to be had.

What holds everywhere: no file of any length is written, no core is dumped, memory and processor time are bounded,
and after `close_doors` no file, socket or pipe can be opened at all. On Linux there is moreover no network, the
process ends with its parent, and the kernel refuses to start, trace or signal anything.
"""

import contextlib
import ctypes
import platform
import resource
import struct
import sys

MEMORY = 3 * 1024**3  # bytes of address space: the libraries alone map about one
SECONDS = 60  # of processor time
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_DEATH_SIGNAL, _NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 1, 38, 22, 2
_KILL = 9
# Numbers of: execve, execveat, fork, vfork, clone, clone3, kill, tkill, tgkill, ptrace, process_vm_writev, socket,
# connect, open, openat, openat2, creat, io_uring_setup, unlink, unlinkat, rename, renameat, renameat2, truncate.
_DENIED = {
    "x86_64": (
        0xC000003E,
        (
            59,
            322,
            57,
            58,
            56,
            435,
            62,
            200,
            234,
            101,
            311,
            41,
            42,
            2,
            257,
            437,
            85,
            425,
            87,
            263,
            82,
            264,
            316,
            76,
        ),
    ),
    # The old forms of some calls do not exist on ARM.
    "aarch64": (
        0xC00000B7,
        (221, 281, 220, 435, 129, 130, 131, 117, 271, 198, 203, 56, 437, 425, 35, 38, 276, 45),
    ),
}
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _NUMBER, _ARCHITECTURE, _X32 = 0x7FFF0000, 0x00050001, 0, 4, 0x40000000


def bound() -> None:
    """Bound memory, time and files, and leave the network; what is imported later can still be read."""
    limits = ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_FSIZE, 0),
              (resource.RLIMIT_CORE, 0))  # fmt: skip
    for which, limit in limits:
        _limit(which, limit)
    if sys.platform == "linux":
        system = ctypes.CDLL(None, use_errno=True)
        system.prctl(_DEATH_SIGNAL, _KILL, 0, 0, 0)
        if system.unshare(_NEW_NET) != 0:
            system.unshare(_NEW_USER | _NEW_NET)


def close_doors() -> None:
    """From here on nothing can be opened, and no process started: all that is needed must have been imported."""
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, 0)
    if sys.platform == "linux" and platform.machine() in _DENIED:
        _filter(*_DENIED[platform.machine()])


def _limit(which: int, limit: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # macOS has no limit of address space
        resource.setrlimit(which, (limit, limit))


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def _filter(architecture: int, denied: tuple[int, ...]) -> None:
    """Have the kernel answer EPERM to the calls in `denied`, and to all calls in another numbering than ours."""
    count = len(denied)
    # Jumps count the steps that are left out: to the refusal, over the rest of the list and the permission.
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, count + 3, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, count + 1, 0, _X32),
        *((_EQUAL, count - place, 0, number) for place, number in enumerate(denied)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    system.prctl(_SECCOMP, _FILTER, ctypes.byref(_Program(len(steps), code)), 0, 0)
