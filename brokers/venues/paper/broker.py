"""The adapter of the paper venue: the broker contract over its books."""

import time
from collections.abc import Sequence
from decimal import Decimal

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from algotrendy.database import sql
from brokers.contract import (
    Execution,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
    Setting,
    Updates,
    VenueOrder,
    VenuePosition,
    VenueState,
    VenueUnavailable,
)
from brokers.models import Connection
from brokers.venues.paper import book
from brokers.venues.paper.models import PaperEvent, PaperExecution, PaperHolding, PaperOrder
from brokers.venues.paper.options import SETTING_NAMES, PaperOptions

EVENTS_AT_ONCE = 500


class PaperBroker:
    """Broker of one paper account. Client ids are refused for ever, brackets are the venue's own."""

    idempotent_client_ids = True
    native_brackets = True
    setting_names = SETTING_NAMES

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.options = PaperOptions.of(connection.settings)

    def submit(self, request: OrderRequest) -> VenueOrder:
        """Place an order. Raises OrderRejected or OutcomeUnknown."""
        time.sleep(float(self.options.latency_ms) / 1000)
        if self._fault("timeout_before"):
            raise OutcomeUnknown("time-out before the order arrived (injected)")
        try:
            with transaction.atomic(durable=True):
                order = book.place(book.locked_account(self.connection), request, self.options)
                report = venue_order(order)
        except DatabaseError as error:
            raise OutcomeUnknown(f"the venue broke off: {error}") from error
        if self._fault("timeout_after"):
            raise OutcomeUnknown("time-out after the order arrived (injected)")
        if report.state == "rejected":
            raise OrderRejected(report.reason)
        return report

    def cancel(self, client_order_id: str) -> VenueOrder:
        """Cancel what is left of an order and return its state then. Raises OrderRejected or OutcomeUnknown."""
        try:
            with transaction.atomic(durable=True):
                book.locked_account(self.connection)
                order = self._orders().filter(client_order_id=client_order_id).first()
                if order is None:
                    raise OrderRejected(f"there is no order {client_order_id}")
                book.cancel(order, "cancelled on request")
                return venue_order(order)
        except DatabaseError as error:
            raise OutcomeUnknown(f"the venue broke off: {error}") from error

    def lookup(self, client_order_id: str) -> VenueOrder | None:
        """Return the order, or None if it never arrived. Raises VenueUnavailable."""
        self._must_be_readable()
        try:
            order = self._orders().filter(client_order_id=client_order_id).first()
            return venue_order(order) if order else None
        except DatabaseError as error:
            raise VenueUnavailable(str(error)) from error

    def updates(self, cursor: int) -> Updates:
        """Return orders that changed after event `cursor`. Raises VenueUnavailable."""
        self._must_be_readable()
        try:
            rows = PaperEvent.objects.filter(account__connection=self.connection, id__gt=cursor).order_by("id")
            events = list(rows.values_list("id", "order_id")[:EVENTS_AT_ONCE])
            order_ids = dict.fromkeys(order_id for _, order_id in events)  # each once, oldest change first
            rows_by_id = self._orders().in_bulk(list(order_ids))
            orders = tuple(venue_order(rows_by_id[order_id]) for order_id in order_ids)
        except DatabaseError as error:
            raise VenueUnavailable(str(error)) from error
        return Updates(events[-1][0] if events else cursor, orders)

    def positions(self) -> Sequence[VenuePosition]:
        """Return all net positions of the account. Raises VenueUnavailable."""
        self._must_be_readable()
        try:
            rows = PaperHolding.objects.filter(account__connection=self.connection).exclude(quantity=0)
            named = rows.order_by("instrument__symbol").values_list("instrument__symbol", "quantity")
            return tuple(VenuePosition(symbol, quantity) for symbol, quantity in named)
        except DatabaseError as error:
            raise VenueUnavailable(str(error)) from error

    def round_trip_cost(self) -> Decimal:
        """Return what entering and leaving at market costs, as a fraction of the price."""
        return self.options.round_trip

    def settings_summary(self) -> Sequence[Setting]:
        """Return what the account costs and how it behaves."""
        return self.options.summary

    def _orders(self) -> QuerySet[PaperOrder]:
        rows = PaperOrder.objects.filter(account__connection=self.connection)
        return rows.select_related("instrument", "parent").prefetch_related("executions")

    def _must_be_readable(self) -> None:
        if self._fault("unavailable"):
            raise VenueUnavailable("the venue could not be reached (injected)")

    def _fault(self, name: str) -> bool:
        """Return whether this call shall fail, and count it. Costs nothing unless faults are asked for."""
        times = int(self.connection.settings.get("faults", {}).get(name, 0))
        if not times:
            return False
        with transaction.atomic():
            account = book.locked_account(self.connection)
            happened = account.faults.get(name, 0)
            account.faults[name] = min(happened + 1, times)
            account.save(update_fields=["faults"])
        return bool(happened < times)


def venue_order(order: PaperOrder) -> VenueOrder:
    """Return the order as the contract has it, with all executions so far, oldest first."""
    symbol = order.instrument.symbol if order.instrument else ""
    side = "buy" if order.side == "buy" else "sell"
    executions = tuple(
        Execution(
            venue_trade_id=row.trade_id,
            client_order_id=order.client_order_id,
            symbol=symbol,
            side="buy" if side == "buy" else "sell",
            quantity=row.quantity,
            price=row.price,
            fee=row.fee,
            executed_at=row.executed_at,
        )
        for row in _executions(order)
    )
    return VenueOrder(order.client_order_id, str(order.pk), _state(order), order.reason, executions)


def _executions(order: PaperOrder) -> list[PaperExecution]:
    if order.filled_quantity == 0:
        return []
    if "executions" in getattr(order, "_prefetched_objects_cache", {}):
        return sorted(order.executions.all(), key=lambda row: row.pk)
    return sql.rows(PaperExecution, "WHERE order_id = %s ORDER BY id", order.pk)


def _state(order: PaperOrder) -> VenueState:
    if order.state in (PaperOrder.State.HELD, PaperOrder.State.WORKING):
        return "partially_filled" if order.filled_quantity > 0 else "accepted"
    if order.state == PaperOrder.State.FILLED:
        return "filled"
    return "canceled" if order.state == PaperOrder.State.CANCELED else "rejected"
