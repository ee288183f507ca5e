"""Marks of equity, and the end of a day that loses too much."""

from django.utils import timezone

from algotrendy.events import announce
from brokers import risk, selectors, signals
from brokers.account import Equity
from brokers.desk_state import reduce_until_midnight
from brokers.models import Connection, EquityMark


def mark_equity(connection: Connection) -> Equity:
    """Write down what a connection is worth now, and let only exits through once the day's loss is too large."""
    now_worth = selectors.equity(connection)
    mark = EquityMark(
        connection=connection,
        at=timezone.now(),
        equity=now_worth.equity,
        unrealised_pnl=now_worth.unrealised_pnl,
    )
    EquityMark.objects.bulk_create([mark], ignore_conflicts=True)
    announce(signals.equity_marked, EquityMark, connection_id=connection.pk)
    enforce_daily_loss(connection, now_worth)
    return now_worth


def enforce_daily_loss(connection: Connection, worth: Equity) -> bool:
    """Move an active desk to REDUCING until the next 00:00 UTC if `worth` breaches the limit; return whether."""
    desk = selectors.desk()
    if not risk.breaches_daily_loss(risk.Limits.of(desk), worth.equity, worth.day_pnl):
        return False
    loss = f"{-worth.day_pnl:.2f} {connection.currency} on {connection.name}"
    return reduce_until_midnight(f"daily loss limit of {desk.max_daily_loss_pct:g} % was reached: {loss}")
