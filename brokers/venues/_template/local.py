"""Delete this module, unless the venue lives in our own process. Then every member of it is required."""

from datetime import datetime

from brokers.contract import VenueUnavailable
from brokers.venues._template.broker import NOT_WRITTEN


class TemplateLocal:
    """The `LocalVenue` of all accounts. Imported by the feed: nothing heavy may be imported here."""

    #: The table whose lock keeps everybody else out of the venue's books: of its accounts.
    books_table = ""

    def has_work(self, instrument_id: int) -> bool:
        """Return whether an order waits for this instrument's candles, in one query that an index answers."""
        return False

    def on_candle(self, instrument_id: int) -> set[int]:
        """Trade what new candles reached, in transactions of its own; return the connections where it traded.

        Runs in a worker, may run twice at once and again for the same candle: it must then trade nothing twice.
        """
        return set()

    def on_sweep(self) -> set[int]:
        """Do the same for every instrument with work: a nudge may have been lost."""
        return set()

    def compact(self, progress: dict[str, int], before: datetime) -> int | None:
        """Delete a batch of old updates that newer ones repeat, None when no more are older than `before`.

        `updates` must still report every order that changed after any cursor: the newest of an order stays.
        """
        return None

    def erase(self, connection_id: int) -> int:
        """Empty the account in the caller's transaction; return the newest cursor that `updates` ever gave."""
        raise VenueUnavailable(NOT_WRITTEN)
