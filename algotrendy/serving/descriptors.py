"""How many files and sockets this process may have open at once. Pure."""

import resource

# Some systems allow a thousand million, and programs that walk through all of them then take for ever.
MOST = 65_536


def raise_limit() -> int:
    """Raise the soft limit of open descriptors as far as the hard one allows, and return it. Children inherit it.

    Many systems give a process 1,024, so a thousand idle connections would shut the door.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= allowed:
        return MOST if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (ValueError, OSError):  # macOS names a hard limit that it does not give
        return soft
    return allowed
