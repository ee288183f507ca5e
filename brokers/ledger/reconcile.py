"""Comparing our books with a venue's from a checkpoint, in steps, with the same memory however long the history.

A comparison reads what the venue changed since the checkpoint, then our own orders since then that the venue has
not reported, then asks for each order that was or is open and for each that differed before; positions are
compared as a whole. The checkpoint (`brokers.models.Comparison`) moves past an order only if it agrees or is
remembered by name, to be looked up each time until it agrees. Once a day everything is compared from the first
order on, which also proves the checkpoint: see docs/adr/0015-reconcile-from-a-verified-checkpoint.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from algotrendy.retention.nightly import last_night
from brokers.contract import Broker, VenueOrder
from brokers.ledger.comparing import (
    compare_orders,
    compare_positions,
    compare_sums,
    our_orders,
)
from brokers.ledger.differences import Difference, OurOrder
from brokers.ledger.reported import Reported
from brokers.models import Comparison, Connection, Order
from brokers.orders import states
from brokers.venues import registry

__all__ = ["Difference", "Progress", "advance", "compare_all", "differences", "full_is_due", "verified_at"]

CURRENT, FULL = Comparison.Scope.CURRENT, Comparison.Scope.FULL
#: Steps that one task takes before it lets others run: a batch of the venue's, or of our own orders.
STEPS = 5
OURS_AT_ONCE, LOOKED_UP_AT_ONCE = 2000, 100
#: Orders that differ and are remembered by name. While so many differ the checkpoint stays where it is.
MOST_DIFFERING = 200
NAMED_EXTERNAL = 20
#: An order is written before it is numbered for good: younger ones wait for the next comparison.
SETTLED_AFTER = timedelta(minutes=1)
#: A comparison of all history that was begun so long ago begins anew.
FULL_LASTS = timedelta(hours=12)
#: Open, but perhaps not at the venue yet: nothing can be said of them before their answer is here.
NOT_THERE_YET = states.UNANSWERED | {"pending"}


@dataclass(frozen=True, slots=True)
class Progress:
    """What a comparison has come to. Unless it is `complete`, `differences` is empty and it has to go on."""

    complete: bool
    differences: list[Difference] = field(default_factory=list)


def differences(connection: Connection, *, full: bool = False) -> list[Difference]:
    """Return the differences between our books and the venue's; none means that they agree.

    What was compared before, and is over on both sides, is left out unless `full`. Orders that are just being sent
    are left out. Raises VenueUnavailable when the venue can't be read.
    """
    if full:
        Comparison.objects.filter(connection=connection, scope=FULL).delete()
    while True:
        progress = advance(connection, full=full)
        if progress.complete:
            return progress.differences


def compare_all(connection: Connection) -> list[Difference]:
    """Return all differences, from the first order on."""
    return differences(connection, full=True)


def advance(connection: Connection, *, full: bool = False, steps: int = STEPS) -> Progress:
    """Take the next `steps` of a comparison, and keep how far it is. Safe to run twice at once.

    Without a checkpoint all history is compared. Raises VenueUnavailable, with what was reached before kept.
    """
    run = _Run(connection, _row(connection, full=full), registry.adapter(connection))
    exhausted = run.take_steps(steps)
    run.save()
    if not exhausted:
        return Progress(complete=False)
    return Progress(complete=True, differences=run.conclude())


def _row(connection: Connection, *, full: bool) -> Comparison:
    rows = Comparison.objects.filter(connection=connection)
    checkpoint = None if full else rows.filter(scope=CURRENT).first()
    if checkpoint is not None:
        return checkpoint
    rows.filter(scope=FULL, started_at__lt=timezone.now() - FULL_LASTS).delete()
    return rows.get_or_create(connection=connection, scope=FULL)[0]


def full_is_due(connection: Connection, now: datetime | None = None) -> bool:
    """Return whether today's comparison of all history is still to come, or is under way."""
    verified = verified_at(connection)
    return verified is None or verified < last_night(now)


def verified_at(connection: Connection) -> datetime | None:
    """Return the wall time at which all history was last compared; None before the first time."""
    rows = Comparison.objects.filter(connection=connection, scope=CURRENT)
    return rows.values_list("verified_at", flat=True).first()


class _Run:
    """A comparison under way, as its row was read."""

    def __init__(self, connection: Connection, row: Comparison, broker: Broker) -> None:
        self.connection, self.row, self.broker = connection, row, broker
        self.reported = Reported(row.order_id, bytes(row.reported))
        self.differing = dict.fromkeys(row.differing)
        self.agreed: set[str] = set()
        self.wanted = {*row.open_orders, *row.differing, *self._open_now()}

    @property
    def is_full(self) -> bool:
        return self.row.scope == FULL

    @property
    def is_stopped(self) -> bool:
        """Whether too many orders differ to remember more."""
        return len(self.differing) >= MOST_DIFFERING

    def take_steps(self, steps: int) -> bool:
        """Compare the next batches; return whether there are no more, or no more that could be remembered."""
        for _ in range(steps):
            if self.is_stopped or (not self._next_of_theirs() and not self._next_of_ours()):
                return True
        return False

    def _next_of_theirs(self) -> bool:
        updates = self.broker.updates(self.row.cursor)
        if updates.cursor == self.row.cursor:
            return False
        self._compare({order.client_order_id: order for order in updates.orders})
        self.row.cursor = updates.cursor
        return True

    def _next_of_ours(self) -> bool:
        """Look up the orders that the venue must know, but has not reported."""
        last = _last_settled()
        rows = Order.objects.filter(id__gt=self.row.order_id, id__lte=last).order_by("id")
        ids = list(rows.values_list("id", flat=True)[:OURS_AT_ONCE])
        if not ids:
            return False
        missing = self._unreported(rows.filter(connection=self.connection, id__lte=ids[-1]))
        self._look_up([order.client_order_id for order in missing[:LOOKED_UP_AT_ONCE]])
        self.row.order_id = missing[LOOKED_UP_AT_ONCE - 1].id if len(missing) > LOOKED_UP_AT_ONCE else ids[-1]
        self.reported.begin_after(self.row.order_id)
        return True

    def _unreported(self, rows: QuerySet[Order]) -> list[OurOrder]:
        mine = (OurOrder(*row) for row in rows.values_list(*OurOrder._fields))
        return [order for order in mine if order.must_be_there and order.id not in self.reported]

    def _compare(self, reports: dict[str, VenueOrder]) -> None:
        ours = our_orders(self.connection, reports)
        rows = compare_orders(self.connection, ours, reports)
        for client_id in reports:
            if client_id in ours:
                self.reported.add(ours[client_id].id)
                self._remember(client_id, differs=client_id in rows)
            elif client_id not in self.row.external:
                self.row.external_count += 1
                self.row.external = [*self.row.external, client_id][-NAMED_EXTERNAL:]

    def _remember(self, client_id: str, *, differs: bool) -> None:
        if differs:
            self.differing[client_id] = None
            self.agreed.discard(client_id)
        else:
            self.differing.pop(client_id, None)
            if client_id in self.wanted:
                self.agreed.add(client_id)

    def _look_up(self, client_ids: list[str]) -> dict[str, list[Difference]]:
        """Ask the venue for each of these orders, remember which differ, and return how."""
        reports = {client_id: self.broker.lookup(client_id) for client_id in client_ids}
        ours = our_orders(self.connection, reports)
        rows = compare_orders(self.connection, ours, reports)
        for client_id in reports:
            self._remember(client_id, differs=client_id in rows)
        return rows

    def conclude(self) -> list[Difference]:
        """Look again at what is open or differs, compare positions, and move the checkpoint here."""
        open_now = self._open_now()
        waiting = {client_id for client_id, state in open_now.items() if state in NOT_THERE_YET}
        wanted = self.wanted | open_now.keys() | self._young()
        resting = wanted - self.agreed - self.differing.keys() - waiting
        differing = self._look_up([*self.differing, *sorted(resting)])
        rows = [difference for some in differing.values() for difference in some]
        rows += self._external()
        rows += compare_positions(self.connection, self.broker)
        rows += compare_sums(self.connection, full=self.is_full)
        self.row.open_orders = list(open_now)
        self.row.ended_at = timezone.now()
        if self.is_full and not self.is_stopped:
            self._become_checkpoint()
        else:
            self.save()
        return rows

    def _young(self) -> set[str]:
        """Return the orders above the checkpoint that the venue should have reported: of the last minute."""
        if self.is_stopped:
            return set()
        rows = Order.objects.filter(connection=self.connection, id__gt=self.row.order_id)
        return {order.client_order_id for order in self._unreported(rows)}

    def _external(self) -> Iterator[Difference]:
        known = our_orders(self.connection, self.row.external)
        self.row.external_count -= len(known)
        self.row.external = [client_id for client_id in self.row.external if client_id not in known]
        yield from (Difference("external", client_id, "unknown", "placed") for client_id in self.row.external)
        if more := self.row.external_count - len(self.row.external):
            yield Difference("external", f"{more} more", "unknown", "placed")

    def _open_now(self) -> dict[str, str]:
        rows = Order.objects.filter(connection=self.connection, state__in=states.OPEN).order_by("id")
        return dict(rows.values_list("client_order_id", "state"))

    def save(self) -> None:
        """Keep how far it is, in one statement: whatever another run of it keeps is a whole state as well."""
        Comparison.objects.filter(pk=self.row.pk).update(**self._values())

    def _values(self) -> dict[str, object]:
        names = ("cursor", "order_id", "open_orders", "external", "external_count", "ended_at")
        values: dict[str, object] = {name: getattr(self.row, name) for name in names}
        return values | {"reported": bytes(self.reported.bits), "differing": list(self.differing)}

    @transaction.atomic
    def _become_checkpoint(self) -> None:
        if not Comparison.objects.filter(pk=self.row.pk).delete()[0]:
            return  # another run of it came to the end, or the account was emptied meanwhile
        values = self._values() | {"verified_at": self.row.ended_at}
        Comparison.objects.update_or_create(connection=self.connection, scope=CURRENT, defaults=values)


def _last_settled() -> int:
    """Return the newest order that is old enough for no older one to be written still."""
    rows = Order.objects.filter(created_at__lte=timezone.now() - SETTLED_AFTER).order_by("-id")
    return rows.values_list("id", flat=True).first() or 0
