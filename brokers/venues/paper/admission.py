"""What the paper venue refuses, and how much it can trade at once."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from algotrendy.database import sql
from brokers.contract import OrderRequest
from brokers.money import ZERO
from brokers.venues.paper.models import PaperAccount
from brokers.venues.paper.options import PaperOptions
from market.models import Instrument, Quote

HOLDINGS = """
    SELECT held.instrument_id, held.quantity, quote.price
    FROM paper_paperholding held LEFT JOIN market_quote quote USING (instrument_id)
    WHERE held.account_id = %s AND held.quantity <> 0
"""


def objection(
    account: PaperAccount, request: OrderRequest, instrument: Instrument, quote: Quote, options: PaperOptions
) -> str:
    """Return why the order is refused, or an empty string. An order that only reduces needs no money."""
    if request.quantity <= 0:
        return f"quantity is below one step of {instrument.step_size.normalize():f}"
    if request.type == "limit" and request.limit_price is None:
        return "a limit order needs a limit price"
    if request.type == "stop" and request.stop_price is None:
        return "a stop order needs a stop price"
    if request.reduce_only:
        return _nothing_to_reduce(account, request, instrument)
    if not is_fresh(quote, options):
        return f"the last price of {instrument} is from {quote.received_at:%Y-%m-%d %H:%M:%S} UTC"
    if request.quantity * quote.price < instrument.min_notional:
        return f"value is below the minimum of {instrument.min_notional.normalize():f}"
    return _insufficient_equity(account, request, instrument, quote, options)


def is_fresh(quote: Quote, options: PaperOptions) -> bool:
    """Return whether a price is young enough to enter at."""
    most = float(options.max_quote_age_s) or max(60.0, 3.0 * quote.timeframe)
    return (timezone.now() - quote.received_at).total_seconds() <= most


def holding(account_id: int, instrument_id: int | None) -> Decimal:
    """Return the signed quantity that an account holds of an instrument."""
    query = "SELECT quantity FROM paper_paperholding WHERE account_id = %s AND instrument_id = %s"
    rows = sql.values(query, account_id, instrument_id)
    return rows[0][0] if rows else ZERO


def depth(quote: Quote, options: PaperOptions) -> Decimal | None:
    """Return how much one order may trade at the quote: a share of the last candle's volume.

    None is no limit: where no volume is known, and on a market that stands still, where only exits get this far
    and no later candle would fill their rest.
    """
    if not is_fresh(quote, options):
        return None
    newest = quote.market_time - timedelta(seconds=quote.timeframe)
    query = """
        SELECT volume FROM market_candle WHERE instrument_id = %s AND timeframe = %s AND open_time <= %s
        ORDER BY open_time DESC LIMIT 1
    """
    last = sql.values(query, quote.instrument_id, quote.timeframe, newest)
    return share(last[0][0], options) if last else None


def share(volume: Decimal, options: PaperOptions) -> Decimal | None:
    """Return what one account may trade in a candle of `volume`; None (no limit) when no volume is known."""
    return volume * options.participation if volume > 0 else None


def _nothing_to_reduce(account: PaperAccount, request: OrderRequest, instrument: Instrument) -> str:
    held = holding(account.pk, instrument.pk)
    opposite = held > 0 if request.side == "sell" else held < 0
    return "" if opposite else "nothing to reduce: the position is flat or on the other side"


def _insufficient_equity(
    account: PaperAccount, request: OrderRequest, instrument: Instrument, quote: Quote, options: PaperOptions
) -> str:
    equity, exposure, held = account.cash, ZERO, ZERO
    for instrument_id, quantity, last in sql.values(HOLDINGS, account.pk):
        value = quantity * (last or ZERO)
        equity += value
        if instrument_id == instrument.pk:
            held = quantity
        else:
            exposure += abs(value)
    after = held + (request.quantity if request.side == "buy" else -request.quantity)
    price = request.limit_price or quote.price
    if abs(after) <= abs(held) or exposure + abs(after) * price <= equity * options.leverage:
        return ""
    needed = exposure + abs(after) * price
    return f"insufficient equity: {needed:.2f} would be held, {equity * options.leverage:.2f} is there"
