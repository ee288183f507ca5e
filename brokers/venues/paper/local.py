"""The paper venue as the desk drives it: it trades when our market moves, and its books are ours to empty."""

from datetime import datetime

from brokers.venues.paper import compacting, matching
from brokers.venues.paper.models import PaperAccount, PaperEvent


class LocalPaper:
    """The `LocalVenue` of all paper accounts."""

    books_table = PaperAccount._meta.db_table

    def has_work(self, instrument_id: int) -> bool:
        """Return whether an order waits for this instrument's candles."""
        return matching.has_work(instrument_id)

    def on_candle(self, instrument_id: int) -> set[int]:
        """Match the instrument's orders; return the ids of connections where something traded."""
        return matching.match_instrument(instrument_id)

    def on_sweep(self) -> set[int]:
        """Match every instrument with working orders; return the ids of connections where something traded."""
        return matching.match_all()

    def compact(self, progress: dict[str, int], before: datetime) -> int | None:
        """Delete a batch of old events of orders that have a newer one: from any cursor each is still reported."""
        return compacting.compact(progress, before)

    def erase(self, connection_id: int) -> int:
        """Delete the account with all that hangs on it; return the newest event of any account."""
        newest = PaperEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
        PaperAccount.objects.filter(connection_id=connection_id).delete()
        return newest
