"""Instruments of a feed fail alone: the others go on, and the page Health names the one that fails and why.

Three kinds of work, so that one that succeeds does not clear the failure of another: making an instrument's
candles, or what to ask for; reading a venue's answer; and storing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from django.db.models import Q

from algotrendy.isolation.models import RowFailure
from algotrendy.isolation.rows import clear, each, ends_the_work, name_of
from market.models import Feed, Instrument

T = TypeVar("T")
R = TypeVar("R")
MAKE, READ, STORE = "market.feed", "market.fetch", "market.store"


class Outcome(NamedTuple, Generic[R]):
    """What became of the rows that succeeded, and a sentence about those that did not."""

    results: list[R]
    problem: str


def work_of(kind: str, feed: Feed) -> str:
    """Return the name of one kind of a feed's work on the page Health."""
    return f"{kind} {feed.name}"


def each_instrument(
    work: str, rows: Sequence[T], handle: Callable[[T], R], instrument_of: Callable[[T], Instrument]
) -> Outcome[R]:
    """Have `handle` do each of `rows`, one of each instrument, for itself.

    Raises what the first of them raised if none succeeded: then it is the feed that fails.
    """
    errors: list[tuple[str, Exception]] = []

    def guarded(row: T) -> R:
        try:
            return handle(row)
        except Exception as error:
            if not ends_the_work(error):
                errors.append((instrument_of(row).symbol, error))
            raise

    results = each(work, rows, guarded, key=instrument_of)
    if errors and not results:
        raise errors[0][1]
    return Outcome(results, "; ".join(f"{symbol}: {type(error).__name__}: {error}" for symbol, error in errors))


def forget_others(instruments_of: Mapping[str, Iterable[int]]) -> None:
    """Forget failures of instruments that no running feed of theirs has any more. Feeds are given by name."""
    ours = {
        (f"{kind} {name}", str(instrument_id))
        for name, ids in instruments_of.items()
        for instrument_id in ids
        for kind in (MAKE, READ, STORE)
    }
    kinds = Q(work__startswith=f"{MAKE} ") | Q(work__startswith=f"{READ} ") | Q(work__startswith=f"{STORE} ")
    for failure in RowFailure.objects.filter(kinds, table=Instrument._meta.label_lower):
        if (failure.work, failure.key) not in ours:
            clear(failure.work, name_of(failure.key, Instrument))
