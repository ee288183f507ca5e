"""The factory of broker adapters, by the name of the venue."""

from collections.abc import Callable
from typing import Final

from django.utils.module_loading import import_string

from brokers.contract import Broker, BrokerError
from brokers.models import Connection

# Import paths, so that a venue's library is loaded only where it is used.
VENUES: Final[dict[str, str]] = {"paper": "brokers.venues.paper.broker.PaperBroker"}


def adapter(connection: Connection) -> Broker:
    """Return the adapter of a connection. Raises BrokerError for a venue that nobody has written."""
    if connection.venue not in VENUES:
        raise BrokerError(f"there is no adapter for {connection.venue!r}; known are {', '.join(sorted(VENUES))}")
    make: Callable[[Connection], Broker] = import_string(VENUES[connection.venue])
    return make(connection)
