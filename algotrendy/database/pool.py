"""The connections of web."""

from typing import Any


def pool_connections(database: dict[str, Any]) -> None:
    """Have the connections of `database` (of DATABASES) come from a pool, before the first one is opened.

    Every request runs in a thread of its own: without a pool each would open a connection.
    """
    database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 12, "timeout": 5}
    database["CONN_MAX_AGE"] = 0
