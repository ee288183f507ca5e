"""Whether an error means that the database is away, or only that one question to it was wrong."""

from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

# SQLSTATE classes: connection lost, out of resources (also disk full), the server stops or starts.
AWAY_CLASSES = ("08", "53", "57")
CANCELED = "57014"  # one query was too slow or was canceled; the server is there


def is_away(error: BaseException) -> bool:
    """Return whether `error` says that PostgreSQL can't be reached or can't work.

    A value that it does not take (DataError), a deadlock, a query that was canceled concern one statement only.
    """
    if not isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or (state.startswith(AWAY_CLASSES) and state != CANCELED)
