"""A small desk with something on every page, and the people who look at it."""

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

import dashboard.urls  # noqa: F401 (registers the live regions, as `algotrendy.asgi` does)
from brokers.models import Connection, Fill, Order, Trade
from market.models import Candle, Feed, Instrument, Quote
from memory.models import Decision
from memory.services import decide
from memory.trade_signal import TradeSignal
from webhooks.keys import digest, hint, new_token
from webhooks.models import Alert, Source

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


def person(role: str = "", name: str = "", **fields: Any) -> User:
    """Make somebody with a role; `admin` also gets into the admin pages."""
    user = User.objects.create_user(name or role or "nobody", password=PASSWORD, **fields)
    if role:
        # A test with transactions of its own empties the tables, groups included.
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def signed_in(user: User) -> Client:
    """Return a browser in which `user` is signed in."""
    client = Client()
    client.force_login(user)
    return client


def confirmed(client: Client) -> Client:
    """Confirm the password, as the pages ask for before secrets and limits are touched."""
    answer = client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert answer.status_code == 302, answer.content.decode()
    return client


def market(symbol: str = "BTCUSDT", bars: int = 60) -> Instrument:
    """Make an instrument with simulated five-second candles up to now, and a quote."""
    feed, _ = Feed.objects.get_or_create(
        name="simulated", defaults={"driver": "simulator", "timeframe": 5, "state": "running"}
    )
    now = timezone.now().replace(microsecond=0)
    now -= timedelta(seconds=now.second % 5)
    Feed.objects.filter(pk=feed.pk).update(last_candle_at=now, heartbeat_at=now, clock=now)
    instrument = Instrument.objects.create(
        symbol=symbol, base=symbol.removesuffix("USDT"), quote="USDT", feed=feed
    )
    candles(instrument, now - timedelta(seconds=5 * bars), bars)
    Quote.objects.create(
        instrument=instrument, price=100, timeframe=5, kind="simulated", market_time=now, received_at=now
    )
    return instrument


def candles(instrument: Instrument, start: Any, bars: int, price: Decimal = Decimal(100)) -> None:
    """Store `bars` candles of five seconds from `start`, swinging around `price`."""
    swing = [Decimal(n % 5 - 2) / 10 for n in range(bars + 1)]
    Candle.objects.bulk_create(
        Candle(
            instrument=instrument,
            timeframe=5,
            open_time=start + timedelta(seconds=5 * n),
            open=price + swing[n],
            high=price + max(swing[n], swing[n + 1]) + Decimal("0.05"),
            low=price + min(swing[n], swing[n + 1]) - Decimal("0.05"),
            close=price + swing[n + 1],
            volume=10,
            kind="simulated",
        )
        for n in range(bars)
    )


def replayed(instrument: Instrument, until: Any) -> None:
    """Have `instrument` replayed up to the market time `until`: the candles after it are there, but ahead."""
    feed, _ = Feed.objects.get_or_create(name="replay", defaults={"driver": "replay", "timeframe": 5})
    Feed.objects.filter(pk=feed.pk).update(enabled=True, clock=until)
    Instrument.objects.filter(pk=instrument.pk).update(feed=feed)
    Quote.objects.filter(instrument=instrument).update(kind="replay", market_time=until)


def source(name: str = "EMA cross", **fields: Any) -> Source:
    """Make a source on the paper account."""
    token = new_token()
    account, _ = Connection.objects.get_or_create(name="paper")
    defaults = {"slug": name.lower().replace(" ", "-"), "connection": account}
    return Source.objects.create(
        **(defaults | {"name": name, "token_hash": digest(token), "token_hint": hint(token)} | fields)
    )


def alert(sender: Source, body: bytes = b'{"symbol": "BTCUSDT", "action": "buy"}', **fields: Any) -> Alert:
    """Make an alert as the door would have written it."""
    fields = {"received_at": timezone.now(), "content_type": "application/json"} | fields
    return Alert.objects.create(source=sender, idempotency_key=f"test:{next(_numbers)}", body=body, **fields)


def decided(sender: Source, instrument: Instrument, intent: str = "long", **fields: Any) -> Alert:
    """Make an alert that the agent has decided."""
    taken = alert(sender, **fields)
    decision = decide(signal(sender, instrument, intent, f"alert-{taken.pk}"))
    taken.state, taken.decision, taken.instrument, taken.intent = "decided", decision, instrument, intent
    taken.parsed = {"symbol": instrument.symbol, "intent": intent, "action": "buy", "price": "100"}
    taken.decided_at = timezone.now()
    taken.save()
    return taken


def signal(sender: Source, instrument: Instrument, intent: str, key: str) -> TradeSignal:
    """Make a signal of `sender`."""
    return TradeSignal(
        key=key,
        source=sender.slug,
        policy=sender.policy,
        connection=sender.connection,
        instrument=instrument,
        intent=intent,
        price=Decimal(100),
        quantity=None,
        sizing="risk",
        risk_pct=Decimal(1),
        notional=None,
        allow_short=True,
        stale=False,
        stale_reason="",
        good_until=timezone.now() + timedelta(seconds=60),
        received_at=timezone.now(),
    )


def fill(order: Order, price: Decimal = Decimal("100.1")) -> Fill:
    """Fill an order completely, with its trade."""
    now = timezone.now()
    trade, _ = Trade.objects.get_or_create(
        connection=order.connection,
        instrument=order.instrument,
        state="open",
        defaults={
            "side": "long", "market": "simulated", "quantity": order.quantity, "entry_price": price,
            "opened_at": now,
        },
    )  # fmt: skip
    Order.objects.filter(pk=order.pk).update(
        state="filled", filled_quantity=order.quantity, average_price=price,
        submitted_at=now, accepted_at=now, closed_at=now,
    )  # fmt: skip
    return Fill.objects.create(
        connection=order.connection, order=order, instrument=order.instrument, trade=trade,
        venue_trade_id=f"t{next(_numbers)}", side=order.side, quantity=order.quantity, price=price,
        fee=Decimal("0.04"), executed_at=now,
    )  # fmt: skip


def decision_of(taken: Alert) -> Decision:
    """Return the decision of an alert that has one."""
    assert taken.decision is not None
    return taken.decision
