"""The one place that knows which venues there are, and the factory of what each of them brings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.module_loading import import_string

from brokers.contract import Broker, BrokerError, LocalVenue
from brokers.models import Connection
from brokers.venues.names import DEFAULT_VENUE


@dataclass(frozen=True, slots=True)
class Venue:
    """Import paths of a venue's classes, so that its library is loaded only where it is used."""

    #: A `Broker`, made of a Connection.
    adapter: str
    #: A `LocalVenue`, made of nothing. Empty, as for every venue out there, when it needs nothing from us.
    local: str = ""


VENUES: Final[Mapping[str, Venue]] = {
    DEFAULT_VENUE: Venue(
        adapter="brokers.venues.paper.broker.PaperBroker",
        local="brokers.venues.paper.local.LocalPaper",
    ),
}


def adapter(connection: Connection) -> Broker:
    """Return the adapter of a connection. Raises BrokerError for a venue that nobody has written."""
    venue = VENUES.get(connection.venue)
    if venue is None:
        raise BrokerError(f"there is no adapter for {connection.venue!r}; known are {', '.join(sorted(VENUES))}")
    broker: Broker = import_string(venue.adapter)(connection)
    return broker


def local_venues() -> Iterator[LocalVenue]:
    """Yield the venues that live in our own process and trade when our market moves."""
    return (_local(venue) for venue in VENUES.values() if venue.local)


def local_venues_by_name() -> Iterator[tuple[str, LocalVenue]]:
    """Yield them with their names."""
    return ((name, _local(venue)) for name, venue in VENUES.items() if venue.local)


def local_venue(name: str) -> LocalVenue | None:
    """Return the venue of this name if it lives in our own process, None for one out there."""
    venue = VENUES.get(name)
    return _local(venue) if venue is not None and venue.local else None


def _local(venue: Venue) -> LocalVenue:
    local: LocalVenue = import_string(venue.local)()
    return local
