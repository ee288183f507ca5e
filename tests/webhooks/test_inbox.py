"""From a stored alert to its decision: once, in order, and with a reason when there is none."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from algotrendy.isolation.models import RowFailure
from algotrendy.locks import key
from brokers.models import Order
from market.models import Feed, Instrument, MarketKind
from market.services import ensure_instrument
from memory.models import Decision
from tests.support.locks import held_elsewhere, impatient, until_somebody_waits
from tests.support.market import set_quote
from tests.support.webhooks import make_source
from webhooks import inbox
from webhooks.models import Alert, Source
from webhooks.services import replay_alert, send_test
from webhooks.signals import alert_changed

pytestmark = pytest.mark.django_db

Take = Callable[..., Alert]


@pytest.fixture(autouse=True)
def standing_clock() -> Iterator[None]:
    """Let no time pass by itself: on a busy machine the pause after a failure would be over within the test."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


@pytest.fixture
def btc() -> Instrument:
    instrument = ensure_instrument("BTCUSDT")
    ensure_instrument("ETHUSDT")
    set_quote(
        instrument=instrument,
        price=50_000,
        timeframe=5,
        kind=MarketKind.SIMULATED,
        market_time=timezone.now(),
    )
    return instrument


@pytest.fixture
def source(btc: Instrument) -> Source:
    return make_source()


@pytest.fixture
def take(source: Source) -> Take:
    """Store an alert as the door does; a text is the body, fields are added to a plain buy."""

    def stored(body: Any = None, *, age: float = 0, **fields: Any) -> Alert:
        message = body if body is not None else {"symbol": "BTCUSDT", "action": "buy"} | fields
        return Alert.objects.create(
            source=source,
            body=message if isinstance(message, bytes) else json.dumps(message).encode(),
            idempotency_key=f"test:{Alert.objects.count()}",
            received_at=timezone.now() - timedelta(seconds=age),
        )

    return stored


def decided(alert: Alert) -> Alert:
    inbox.drain()
    return Alert.objects.select_related("decision", "instrument").get(pk=alert.pk)


def test_an_alert_becomes_one_decision_with_orders(take: Take, btc: Instrument) -> None:
    alert = decided(take(price="50,001", rsi="31.5"))
    assert (alert.state, alert.intent, alert.instrument) == ("decided", "long", btc)
    assert alert.decision.action == "BUY"
    assert alert.decision.signal_key == f"alert-{alert.pk}"
    assert alert.decision.evidence["signal"]["rsi"] == 31.5
    assert alert.parsed["price"] == "50001"
    assert alert.decided_at is not None
    assert alert.attempts == 1
    assert Order.objects.filter(decisions=alert.decision).count() == 3


def test_the_same_alert_is_not_decided_again(take: Take) -> None:
    alert = take()
    assert [inbox.drain(), inbox.drain()] == [1, 0]
    assert Decision.objects.filter(signal_key=f"alert-{alert.pk}").count() == 1


def test_alerts_are_decided_in_the_order_they_came(take: Take) -> None:
    alerts = [take(action=action) for action in ("buy", "flat", "sell", "flat")]
    assert inbox.drain() == 4
    keys = list(Decision.objects.order_by("id").values_list("signal_key", flat=True))
    assert keys == [f"alert-{alert.pk}" for alert in alerts]


@pytest.mark.parametrize("symbol", ["BINANCE:BTCUSDT", "btcusdt", "BTC/USDT", "BTCUSDT.P"])
def test_symbols_are_found_however_they_are_written(take: Take, btc: Instrument, symbol: str) -> None:
    assert decided(take(symbol=symbol)).instrument == btc


def test_an_unknown_symbol_is_told_which_ones_are_known(take: Take) -> None:
    alert = decided(take(symbol="DOGEXYZ"))
    assert alert.state == "failed"
    assert alert.reason == ("The symbol 'DOGEXYZ' is no instrument of this desk. It knows BTCUSDT, ETHUSDT.")
    assert alert.parsed["symbol"] == "DOGEXYZ"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"BUY\x00", "NUL"),
        (b"[" * 50_000, "nested too deeply"),
        (b'{"symbol": "BTCUSDT", "action": "buy", "price": NaN}', "NaN"),
        (b'{"symbol": "BTCUSDT", "action": "buy", "price": 1e400}', "1e400"),
        (b'{"symbol": "BTCUSDT", "action": "buy", "price": -1}', "above zero"),
        (b'{"symbol": "BTCUSDT", "action": "buy", "price": 0}', "above zero"),
        (b'{"symbol": "BTCUSDT", "action": "buy", "price": "{{close}}"}', "{{close}}"),
        (b'{"symbol": "\\u0000", "action": "buy"}', "no instrument"),
        (b'{"symbol": "BTCUSDT", "action": "buy", "note": "\\ud800\\u0000"}', ""),
    ],
)
def test_what_cannot_be_understood_is_failed_with_the_reason(take: Take, body: bytes, says: str) -> None:
    alert = decided(take(body))
    assert alert.state == ("failed" if says else "decided")
    assert says in alert.reason
    assert bytes(alert.body) == body


def test_a_bad_alert_does_not_hold_up_the_next(take: Take) -> None:
    bad, good = take(b"nonsense"), take()
    assert inbox.drain() == 2
    states = dict(Alert.objects.values_list("id", "state"))
    assert states == {bad.pk: "failed", good.pk: "decided"}


def test_hold_is_decided_and_does_nothing(take: Take) -> None:
    alert = decided(take(action="HOLD"))
    assert (alert.state, alert.decision.action, alert.decision.refused) == ("decided", "HOLD", False)
    assert alert.decision.reason == "the alert asks for nothing"
    assert not Order.objects.exists()


# --- how old is too old


def iso(seconds_ago: float) -> str:
    return (timezone.now() - timedelta(seconds=seconds_ago)).isoformat()


@pytest.mark.parametrize(
    ("age", "fields", "state"),
    [
        (0, {}, "decided"),
        (59, {}, "decided"),
        (61, {}, "expired"),
        (0, {"timenow": 30}, "decided"),
        (0, {"timenow": 90}, "expired"),
        (0, {"timenow": 7 * 86_400}, "expired"),
        (0, {"time": 330, "interval": "5"}, "decided"),
        (0, {"time": 400, "interval": "5"}, "expired"),
        (0, {"time": 80_000}, "decided"),
        (0, {"time": 7 * 86_400}, "expired"),
        (0, {"time": 7 * 86_400, "timenow": 1}, "decided"),
        (0, {"timenow": -30}, "decided"),
        (0, {"timenow": -90}, "expired"),
        (0, {"time": -3600}, "expired"),
    ],
)
def test_an_alert_may_open_only_while_it_is_fresh(take: Take, age: float, fields: dict, state: str) -> None:
    times = {name: iso(value) if name in ("time", "timenow") else value for name, value in fields.items()}
    alert = decided(take(age=age, **times))
    assert alert.state == state
    assert (alert.decision.action if alert.decision else None) == {"decided": "BUY", "expired": "HOLD"}.get(state)


def test_an_expired_alert_says_how_old_it_was(take: Take) -> None:
    assert decided(take(age=125)).reason == "The alert waited 2 min here; the limit is 60 s."
    assert "7 days ago; the limit is 60 s" in decided(take(timenow=iso(7 * 86_400))).reason


def test_a_time_from_the_future_is_told_with_the_time_now(take: Take) -> None:
    alert = decided(take(timenow="2101-01-01T00:00:00Z"))
    assert (alert.state, alert.decision.action) == ("expired", "HOLD")
    assert "2101-01-01 00:00:00 UTC lies 27" in alert.reason
    assert f"ahead of this desk's clock, which says {timezone.now():%Y-%m-%d}" in alert.reason
    assert "opens nothing" in alert.reason


@pytest.mark.parametrize("times", [{"timenow": -90}, {"timenow": -7200}, {"time": -7200}])
def test_a_close_is_honoured_although_its_time_lies_ahead_of_our_clock(
    take: Take, source: Source, btc: Instrument, times: dict
) -> None:
    from brokers.models import Position

    Position.objects.create(connection=source.connection, instrument=btc, quantity=1, average_price=50_000)
    alert = decided(take(action="flat", **{name: iso(value) for name, value in times.items()}))
    assert (alert.state, alert.decision.action) == ("decided", "CLOSE")
    assert Order.objects.get().role == "exit"


def test_a_reversal_whose_time_lies_ahead_closes_and_does_not_open(
    take: Take, source: Source, btc: Instrument
) -> None:
    from brokers.models import Position

    Position.objects.create(connection=source.connection, instrument=btc, quantity=1, average_price=50_000)
    alert = decided(take(action="sell", timenow=iso(-3600)))
    assert alert.decision.action == "CLOSE"
    assert [order.role for order in Order.objects.all()] == ["exit"]


def test_an_old_alert_still_closes(take: Take, source: Source, btc: Instrument) -> None:
    from brokers.models import Position

    Position.objects.create(connection=source.connection, instrument=btc, quantity=1, average_price=50_000)
    alert = decided(take(action="flat", age=3600))
    assert (alert.state, alert.decision.action) == ("decided", "CLOSE")
    assert Order.objects.get().role == "exit"


def test_an_old_opposite_alert_closes_and_does_not_open(take: Take, source: Source, btc: Instrument) -> None:
    from brokers.models import Position

    Position.objects.create(connection=source.connection, instrument=btc, quantity=1, average_price=50_000)
    alert = decided(take(action="sell", age=3600))
    assert (alert.state, alert.decision.action) == ("decided", "CLOSE")
    assert [order.role for order in Order.objects.all()] == ["exit"]


def replayed(btc: Instrument, market_time: str) -> None:
    feed = Feed.objects.create(name="replay", driver=Feed.Driver.REPLAY, timeframe=300, settings={"speed": 300})
    Instrument.objects.filter(pk=btc.pk).update(feed=feed)
    now = timezone.datetime.fromisoformat(market_time)
    set_quote(instrument=btc, price=50_000, timeframe=300, kind=MarketKind.REPLAY, market_time=now)


@pytest.mark.parametrize(
    ("time", "state"),
    [
        ("2025-10-15T10:00:00Z", "decided"),
        ("2025-10-15T07:00:00Z", "decided"),  # 3 h of a market that runs 300 times as fast are 36 s
        ("2025-10-14T10:00:00Z", "expired"),
    ],
)
def test_a_replayed_market_has_a_clock_of_its_own(take: Take, btc: Instrument, time: str, state: str) -> None:
    replayed(btc, "2025-10-15T10:00:00+00:00")
    assert decided(take(time=time, interval="5")).state == state


def test_now_is_fresh_in_a_replayed_market_too(take: Take, btc: Instrument) -> None:
    replayed(btc, "2025-10-15T10:00:00+00:00")
    assert decided(take(timenow=iso(1))).state == "decided"


def test_a_replay_is_decided_as_if_it_came_now(take: Take, django_user_model: Any) -> None:
    alert = decided(take(timenow=iso(7 * 86_400)))
    again = decided(replay_alert(alert=alert, by=django_user_model.objects.create(username="ann")))
    assert (alert.state, again.state) == ("expired", "decided")
    assert (again.replay_of, bytes(again.body)) == (alert, bytes(alert.body))


def test_a_test_alert_goes_the_same_way(source: Source) -> None:
    alert = decided(send_test(source=source, symbol="BTCUSDT", action="hold"))
    assert (alert.state, alert.decision.action) == ("decided", "HOLD")


# --- what goes wrong


def failing(error: Exception, times: int = 1000) -> Callable[..., Any]:
    left = [times]
    real = inbox.decide

    def decide(signal: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0 and signal.tags.get("poison"):
            raise error
        return real(signal)

    return decide


def end_pauses() -> None:
    """Let the pause of every alert be over."""
    Alert.objects.exclude(retry_at=None).update(retry_at=timezone.now() - timedelta(seconds=1))


def test_an_alert_that_breaks_the_desk_is_failed_for_good_after_growing_pauses(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = take(poison="yes")
    monkeypatch.setattr(inbox, "decide", failing(RuntimeError("a bug of ours")))
    pauses = []
    for _ in range(inbox.MAX_FAILURES - 1):
        begun = timezone.now()
        assert inbox.drain() == 0
        bad.refresh_from_db()
        assert bad.state == "received"
        pauses.append(round((bad.retry_at - begun).total_seconds()))
        assert inbox.drain() == 0
        assert not inbox.waiting()
        end_pauses()
    assert pauses == [1, 4, 16, 64, 256]
    assert inbox.drain() == 1
    bad.refresh_from_db()
    assert (bad.state, bad.attempts, bad.failures) == ("failed", 6, 6)
    assert bad.reason == "The desk failed 6 times to decide this alert: RuntimeError: a bug of ours"


def test_an_alert_that_fails_is_on_health_until_it_is_decided(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = take(poison="yes")
    monkeypatch.setattr(inbox, "decide", failing(RuntimeError("once"), times=1))
    inbox.drain()
    failure = RowFailure.objects.get()
    assert (failure.table, failure.key, failure.error) == ("webhooks.alert", str(alert.pk), "RuntimeError: once")
    end_pauses()
    assert decided(alert).state == "decided"
    assert RowFailure.objects.count() == 0


def test_an_alert_that_failed_for_good_stays_on_health_until_it_is_replayed(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = take(poison="yes")
    Alert.objects.filter(pk=alert.pk).update(attempts=5, failures=5)
    monkeypatch.setattr(inbox, "decide", failing(RuntimeError("a bug of ours"), times=1))
    alert = decided(alert)
    assert alert.state == "failed"
    assert RowFailure.objects.get().key == str(alert.pk)
    assert decided(replay_alert(alert=alert)).state == "decided"
    assert RowFailure.objects.count() == 0


def test_kills_and_failures_are_counted_apart(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = take(poison="yes")
    Alert.objects.filter(pk=alert.pk).update(attempts=8)  # all of them kills
    monkeypatch.setattr(inbox, "decide", failing(RuntimeError("a bug of ours"), times=1))
    assert decided(alert).state == "received"
    end_pauses()
    assert decided(alert).state == "decided"


def test_after_the_second_kill_the_next_attempt_waits(take: Take) -> None:
    alert = take()
    pauses = []
    for _ in range(5):
        begun = timezone.now()
        inbox._begin()  # and then the worker is killed
        alert.refresh_from_db()
        pauses.append(alert.retry_at and round((alert.retry_at - begun).total_seconds()))
        end_pauses()
    assert pauses == [None, 1, 2, 4, 8]


def test_a_passing_failure_leaves_one_decision(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = take(poison="yes")
    monkeypatch.setattr(inbox, "decide", failing(RuntimeError("once"), times=2))
    for _ in range(2):
        inbox.drain()
        end_pauses()
    assert decided(alert).state == "decided"
    assert Decision.objects.count() == 1


def test_other_sources_do_not_wait_for_an_alert_that_fails(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    take(poison="yes")
    other = take()
    Alert.objects.filter(pk=other.pk).update(source=make_source("other", token="another-token-nobody-guesses"))
    monkeypatch.setattr(inbox, "decide", failing(RuntimeError("a bug of ours")))
    assert decided(other).state == "decided"


def test_a_source_keeps_its_order_through_what_passes_by_itself(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = take(poison="yes"), take(action="flat")
    monkeypatch.setattr(inbox, "decide", failing(RuntimeError("once"), times=2))
    for _ in range(2):
        assert inbox.drain() == 0
        end_pauses()
    assert inbox.drain() == 2
    keys = list(Decision.objects.order_by("id").values_list("signal_key", flat=True))
    assert keys == [f"alert-{first.pk}", f"alert-{second.pk}"]


def test_an_alert_that_was_overtaken_asks_for_nothing_any_more(
    take: Take, source: Source, btc: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A buy that is decided late, after the close that followed it, would leave a position for ever."""
    buy, close = take(poison="yes"), take(action="flat")
    monkeypatch.setattr(inbox, "decide", failing(RuntimeError("a bug of ours"), times=4))
    for _ in range(4):
        inbox.drain()
        close.refresh_from_db()
        if close.state == "received":
            end_pauses()
    assert close.state == "decided"
    end_pauses()
    buy = decided(buy)
    assert (buy.state, buy.decision.action) == ("expired", "HOLD")
    assert buy.reason == f"Alert #{close.pk} of the same source came later and was decided first."
    assert not Order.objects.exists()


def test_a_lost_database_is_not_the_alerts_fault(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = take(poison="yes")
    monkeypatch.setattr(inbox, "decide", failing(OperationalError("gone"), times=4))
    for _ in range(4):
        with pytest.raises(OperationalError):
            inbox.drain()
    assert decided(alert).state == "decided"


def test_a_disk_that_is_full_for_a_hundred_attempts_costs_no_alert(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = take()
    settle = inbox._settle

    def refuse(alert_id: int) -> None:
        raise OperationalError("could not extend file: No space left on device")

    monkeypatch.setattr(inbox, "_settle", refuse)
    for _ in range(100):
        with pytest.raises(OperationalError):
            inbox.drain()
    monkeypatch.setattr(inbox, "_settle", settle)
    inbox.drain()
    alert.refresh_from_db()
    assert (alert.state, alert.reason) == (Alert.State.DECIDED, "")


def test_an_alert_that_kills_its_worker_again_and_again_is_given_up(take: Take) -> None:
    alert, good = take(), take()
    Alert.objects.filter(pk=alert.pk).update(attempts=inbox.MAX_INTERRUPTED)
    inbox.drain()
    alert.refresh_from_db()
    good.refresh_from_db()
    assert (alert.state, good.state) == ("failed", "decided")
    assert "interrupted 10 times" in alert.reason


def test_only_one_agent_works(take: Take) -> None:
    import psycopg

    from webhooks.door.database import parameters

    take()
    with psycopg.connect(**{**parameters(), "prepare_threshold": None}) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [key(inbox.LOCK)])
        assert inbox.drain() == 0
        # The server frees it a moment after the connection was closed: too late for the next line.
        other.execute("SELECT pg_advisory_unlock(%s)", [key(inbox.LOCK)])
    assert inbox.drain() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert cursor.fetchone() == (0,)


def test_who_meets_the_agent_at_work_does_not_ask_again(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    @contextmanager
    def taken(name: str) -> Iterator[bool]:
        asked.append(name)
        assert len(asked) == 1
        yield False

    monkeypatch.setattr(inbox, "try_session_lock", taken)
    take()
    assert inbox.drain() == 0
    assert asked == [inbox.LOCK]


def test_a_turn_ends_in_time(take: Take) -> None:
    take()
    assert inbox.drain(seconds=0) == 0
    assert inbox.waiting()


def test_each_change_is_announced_after_the_commit(
    take: Take, django_capture_on_commit_callbacks: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, str]] = []

    def listen(alert_id: int, state: str, **_: Any) -> None:
        sent.append((alert_id, state))

    alert_changed.connect(listen)
    monkeypatch.setattr("algotrendy.events.nudge", lambda *args: True)
    alert = take()
    with django_capture_on_commit_callbacks(execute=True):
        inbox.drain()
    alert_changed.disconnect(listen)
    assert sent == [(alert.pk, "decided")]


@pytest.mark.django_db(transaction=True)
def test_an_alert_that_was_settled_while_it_was_waited_for_is_not_begun(take: Take) -> None:
    settled, next_one = take(), take()
    begun: list[inbox.Begun | None] = []

    def settle() -> None:
        Alert.objects.filter(pk=settled.pk).update(state="failed", reason="by somebody else")

    def begin() -> None:
        try:
            begun.append(inbox._begin())
        finally:
            connections.close_all()

    with held_elsewhere(settle) as end:
        thread = threading.Thread(target=begin)
        thread.start()
        until_somebody_waits()
        end()
        thread.join(60)
    assert begun == [inbox.Begun(next_one.pk, attempts=1, failures=0)]
    settled.refresh_from_db()
    assert settled.attempts == 0


@pytest.mark.django_db(transaction=True)
def test_nothing_is_decided_of_an_alert_that_somebody_else_holds(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = take()
    decided_ids: list[int] = []
    monkeypatch.setattr(inbox, "_decide", lambda held: decided_ids.append(held.pk))
    hold = Alert.objects.select_for_update().filter(pk=alert.pk).get
    with held_elsewhere(hold), impatient(), pytest.raises(OperationalError), transaction.atomic():
        inbox._settle(alert.pk)
    assert decided_ids == []


@pytest.mark.django_db(transaction=True)
def test_a_kill_after_the_decision_leaves_the_alert_waiting_and_nothing_decided(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = take()
    announce = inbox.announce
    monkeypatch.setattr("algotrendy.events.nudge", lambda *args: True)

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inbox, "announce", kill)
    with pytest.raises(KeyboardInterrupt):
        inbox.drain()
    assert (Decision.objects.count(), Order.objects.count()) == (0, 0)
    alert.refresh_from_db()
    assert (alert.state, alert.attempts) == ("received", 1)
    monkeypatch.setattr(inbox, "announce", announce)
    assert inbox.drain() == 1
    assert Decision.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_alert_that_is_given_up_is_announced_with_its_state_or_not_given_up(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = take()
    sent: list[tuple[int, str]] = []
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "announce", lambda *_, **ids: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            inbox._give_up(alert.pk, "no more")
    alert.refresh_from_db()
    assert alert.state == "received"

    def listen(alert_id: int, state: str, **_: Any) -> None:
        sent.append((alert_id, state))

    alert_changed.connect(listen)
    try:
        inbox._give_up(alert.pk, "no more")
        inbox._give_up(alert.pk, "again")
    finally:
        alert_changed.disconnect(listen)
    alert.refresh_from_db()
    assert (alert.state, alert.reason, sent) == ("failed", "no more", [(alert.pk, "failed")])


def test_settling_an_alert_that_is_gone_or_settled_does_nothing(take: Take) -> None:
    alert = decided(take())
    before = alert.decided_at
    inbox._settle(alert.pk)
    inbox._settle(alert.pk + 1)
    alert.refresh_from_db()
    assert alert.decided_at == before
    assert Decision.objects.count() == 1


def test_a_partial_exit_says_that_the_position_stays(take: Take) -> None:
    alert = decided(take(action="sell", market_position="long"))
    assert alert.decision.reason == "a partial exit: the position stays"
    assert decided(take(action="hold")).decision.reason == "the alert asks for nothing"


def test_an_alert_for_an_instrument_without_a_price_is_decided_without_one(take: Take) -> None:
    alert = decided(take(symbol="ETHUSDT", time=iso(2)))
    assert (alert.state, alert.decision.action, alert.decision.price) == ("decided", "HOLD", None)


def test_only_a_replayed_market_has_a_clock_of_its_own(btc: Instrument) -> None:
    assert inbox._market_clock(btc) == []
    assert inbox._market_clock(Instrument.objects.get(symbol="ETHUSDT")) == []


def test_nothing_is_asked_twice_for_a_decision(take: Take, django_assert_max_num_queries) -> None:
    """From the alert to an entry with its bracket; then what the drain asks before it leaves."""
    decided(take())
    take(action="exit")
    inbox.drain()
    take()
    with django_assert_max_num_queries(22) as asked:
        inbox.drain()
    texts = [query["sql"] for query in asked.captured_queries]
    assert [
        sum(f"FROM {table}" in text.replace('"', "") for text in texts)
        for table in ("brokers_desk", "market_quote")
    ] == [1, 1]
