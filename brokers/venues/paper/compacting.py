"""Old events of the paper venue: of each order only the newest is needed, as an event names only its order."""

from datetime import datetime

from algotrendy.database import sql

EVENTS_AT_ONCE = 20_000

_LAST = """
    SELECT max(id) FROM (
        SELECT id, recorded_at FROM paper_paperevent WHERE id > %s ORDER BY id LIMIT %s
    ) AS next WHERE recorded_at < %s
"""
_DELETE = """
    DELETE FROM paper_paperevent AS old WHERE id > %s AND id <= %s AND EXISTS (
        SELECT FROM paper_paperevent AS newer WHERE newer.order_id = old.order_id AND newer.id > old.id
    )
"""


def compact(progress: dict[str, int], before: datetime) -> int | None:
    """Delete what is repeated among the next events from before `before`; None when there are no more.

    An order whose newest event lies after a cursor is still reported from it, and its newest event is never
    deleted: no reader, however far behind, misses a change.
    """
    after = progress.get("event", 0)
    last: int | None = sql.values(_LAST, after, EVENTS_AT_ONCE, before)[0][0]
    if last is None:
        return None
    progress["event"] = last
    return sql.change(_DELETE, after, last)
