"""Outcomes follow every decision on candles, count once, and never look ahead."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from market.models import Candle, Instrument, MarketKind, Quote
from memory import outcomes
from memory.models import Decision, Outcome, Tally
from memory.signals import outcomes_resolved
from tests.support.threads import in_threads

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
BAR = timedelta(seconds=300)


@pytest.fixture
def btc() -> Instrument:
    return Instrument.objects.create(symbol="BTCUSDT")


def decide(
    instrument, *, intent="long", action="BUY", price=100, market="simulated", as_of=START, number=1, **more
):
    up = intent == "long"
    barriers = {"stop": 99 if up else 101, "target": Decimal("101.5") if up else Decimal("98.5")}
    return Decision.objects.create(
        signal_key=f"alert-{number}",
        source="ema",
        instrument=instrument,
        intent=intent,
        action=action,
        reason="test",
        price=price,
        market=market,
        as_of=as_of,
        received_at=as_of,
        evidence={},
        **({"policy": "follow", "timeframe": 300} | barriers | more),
    )


def bars(instrument, *ranges, start=START, skip=()):
    """Candles of (high, low) from `start` on, and the quote after the last one."""
    for index, (high, low) in enumerate(ranges):
        if index in skip:
            continue
        Candle.objects.create(
            instrument=instrument,
            timeframe=300,
            open_time=start + index * BAR,
            open=100,
            high=high,
            low=low,
            close=100,
            volume=1,
            kind=MarketKind.SIMULATED,
        )
    quote(instrument, start + len(ranges) * BAR)


def quote(instrument, at, *, timeframe=300):
    Quote.objects.update_or_create(
        instrument=instrument,
        defaults={
            "price": 100,
            "timeframe": timeframe,
            "kind": "simulated",
            "market_time": at,
            "received_at": at,
        },
    )


def followed(decision, side="long") -> Outcome:
    return outcomes.open_for(decision, side)


def resolved(outcome) -> Outcome:
    outcomes.resolve(outcome.instrument_id)
    outcome.refresh_from_db()
    return outcome


def test_the_target_first_is_a_win_and_becomes_a_case(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, (101, 99.5), (102, 99.5))
    resolved(outcome)
    assert (outcome.state, outcome.result, outcome.exit_price) == ("resolved", "win", Decimal("101.5"))
    assert outcome.exit_at == START + 2 * BAR
    assert (outcome.return_pct, outcome.r_multiple) == (pytest.approx(1.5), pytest.approx(1.5))
    assert outcome.known_at is not None
    tally = Tally.objects.get()
    assert (tally.source, tally.side, tally.wins, tally.cases) == ("ema", "long", 1, 1)


def test_the_stop_first_is_a_loss(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, (101, 98.5), (110, 99.5))
    assert resolved(outcome).result == "loss"
    assert (outcome.exit_price, outcome.return_pct, outcome.r_multiple) == (
        99,
        pytest.approx(-1),
        pytest.approx(-1),
    )
    assert Tally.objects.get().wins == 0


def test_nothing_is_resolved_before_its_candle_is_closed(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, (102, 99.5))
    quote(btc, START + BAR - timedelta(seconds=1))
    assert resolved(outcome).state == "open"
    quote(btc, START + BAR)
    assert resolved(outcome).result == "win"


def test_candles_from_before_the_decision_do_not_count(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, (200, 50), start=START - BAR)
    assert resolved(outcome).state == "open"


def test_the_horizon_ends_as_a_timeout_at_the_last_close(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, *[(100.5, 99.5)] * 36)
    resolved(outcome)
    assert (outcome.result, outcome.exit_price) == ("timeout", Decimal(100))
    assert Tally.objects.get().wins == 0


def test_a_missing_candle_is_waited_for_and_then_makes_the_outcome_void(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, *[(100.5, 99.5)] * 5, (200, 99.5), skip={2})
    assert resolved(outcome).state == "open"
    quote(btc, outcome.ends_at + (outcomes.GRACE_BARS + 1) * BAR)
    assert resolved(outcome).state == "void"
    assert "missing" in outcome.void_reason
    assert not Tally.objects.exists()


def test_a_decision_without_a_side_is_void_at_once(btc) -> None:
    assert followed(decide(btc, intent="flat", action="HOLD"), side="flat").state == "void"


def test_a_close_is_followed_as_if_kept_but_is_no_case(btc) -> None:
    outcome = followed(decide(btc, intent="flat", action="CLOSE"), side="short")
    bars(btc, (100.5, 99.5), (102, 99.5))
    assert outcome.kind == "counterfactual"
    assert resolved(outcome).state == "resolved"
    assert not Tally.objects.exists()


def test_a_refused_decision_is_followed_as_a_counterfactual_case(btc) -> None:
    outcome = followed(decide(btc, action="HOLD", refused=True))
    bars(btc, (102, 99.5))
    assert resolved(outcome).result == "win"
    assert outcome.kind == "counterfactual"
    assert Tally.objects.get().cases == 1


def test_resolving_twice_counts_once(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, (102, 99.5))
    assert outcomes.resolve(btc.pk) == 1
    assert outcomes.resolve(btc.pk) == 0
    resolved(outcome)
    assert Tally.objects.get().cases == 1


def test_an_instrument_that_moved_to_another_market_voids_its_open_outcomes(btc) -> None:
    outcome = followed(decide(btc))
    quote(btc, START, timeframe=5)
    assert "another market" in resolved(outcome).void_reason


def test_many_open_outcomes_resolve_in_a_constant_number_of_queries(btc, django_assert_max_num_queries) -> None:
    for number in range(60):
        followed(decide(btc, number=number))
    bars(btc, (102, 99.5))
    with django_assert_max_num_queries(15):
        assert outcomes.resolve(btc.pk) == 60
    tally = Tally.objects.get()
    assert (tally.wins, tally.cases) == (60, 60)


def test_a_short_that_falls_earns_what_it_fell(btc) -> None:
    outcome = followed(decide(btc, intent="short", action="SELL"), side="short")
    bars(btc, (100.5, 98.4))
    assert resolved(outcome).result == "win"
    assert (outcome.exit_price, outcome.return_pct) == (Decimal("98.5"), pytest.approx(1.5))
    assert outcome.r_multiple == pytest.approx(1.5)


def test_the_return_is_in_percent_of_the_entry_and_r_in_stops(btc) -> None:
    outcome = followed(decide(btc, price=80, stop=60, target=101))
    bars(btc, (102, 99.5))
    resolved(outcome)
    assert (outcome.return_pct, outcome.r_multiple) == (pytest.approx(26.25), pytest.approx(1.05))


def test_a_timeout_counts_its_return_to_the_last_close(btc) -> None:
    outcome = followed(decide(btc, price=Decimal("99.5")))
    bars(btc, *[(100.5, 99.5)] * 36)
    resolved(outcome)
    assert (outcome.result, outcome.exit_at) == ("timeout", START + 36 * BAR)
    assert outcome.return_pct == pytest.approx(0.5 / 99.5 * 100)
    assert outcome.r_multiple == pytest.approx(1)


def test_an_entry_at_its_stop_has_no_multiple_of_it(btc) -> None:
    outcome = followed(decide(btc, price=Decimal("99.8"), stop=Decimal("99.8")))
    bars(btc, (102, 99.9))
    assert resolved(outcome).result == "win"
    assert outcome.r_multiple is None


def test_a_decision_without_a_price_is_void_at_once(btc) -> None:
    outcome = followed(decide(btc, price=None, stop=None, target=None))
    assert (outcome.state, outcome.void_reason) == ("void", "there was no price")


def test_a_decision_without_barriers_becomes_void_and_no_case(btc) -> None:
    outcome = followed(decide(btc, stop=None, target=None))
    bars(btc, (101, 99.5))
    assert resolved(outcome).state == "void"
    assert outcome.void_reason == "the decision has no barriers"
    assert not Tally.objects.exists()


@pytest.mark.parametrize(("late", "bar"), [(0, 0), (1, 1), (299, 1), (300, 1), (301, 2)])
def test_an_outcome_starts_with_the_first_bar_that_opens_at_or_after_the_decision(btc, late, bar) -> None:
    outcome = followed(decide(btc, as_of=START + timedelta(seconds=late)))
    assert outcome.starts_at == START + bar * BAR
    assert outcome.ends_at == outcome.starts_at + 36 * BAR


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "real"),
        ({"intent": "short", "action": "SELL"}, "real"),
        ({"policy": "shadow"}, "counterfactual"),
        ({"action": "HOLD", "refused": True}, "counterfactual"),
        ({"action": "CLOSE", "intent": "flat"}, "counterfactual"),
    ],
)
def test_an_outcome_is_real_when_an_order_left_for_it(btc, changes, kind) -> None:
    assert followed(decide(btc, **changes)).kind == kind


def test_missing_candles_are_waited_for_until_the_grace_is_over(btc) -> None:
    outcome = followed(decide(btc))
    quote(btc, outcome.ends_at + outcomes.GRACE_BARS * BAR)
    assert resolved(outcome).state == "open"
    quote(btc, outcome.ends_at + outcomes.GRACE_BARS * BAR + timedelta(seconds=1))
    assert resolved(outcome).state == "void"
    assert outcome.known_at is not None


def test_a_market_whose_clock_went_back_more_than_a_day_voids(btc) -> None:
    outcome = followed(decide(btc))
    quote(btc, START - timedelta(days=1))
    assert resolved(outcome).state == "open"
    quote(btc, START - timedelta(days=1, seconds=1))
    assert "set back" in resolved(outcome).void_reason


def test_a_price_of_another_kind_of_market_voids(btc) -> None:
    outcome = followed(decide(btc, market="replay"))
    quote(btc, START)
    assert "another market" in resolved(outcome).void_reason


def test_a_barrier_beyond_a_missing_candle_is_not_seen(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, (100.5, 99.5), (100.5, 99.5), (102, 99.5), skip={1})
    assert resolved(outcome).state == "open"


def test_a_barrier_behind_the_horizon_does_not_count(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, *[(100.5, 99.5)] * 36, (102, 99.5))
    assert resolved(outcome).result == "timeout"


def test_cases_are_counted_by_source_instrument_and_side(btc) -> None:
    followed(decide(btc, number=1))
    followed(decide(btc, intent="short", action="SELL", number=2), side="short")
    followed(decide(btc, number=3))
    bars(btc, (102, 99.5))
    assert outcomes.resolve(btc.pk) == 3
    rows = Tally.objects.order_by("side").values_list("source", "side", "wins", "cases")
    assert list(rows) == [("ema", "long", 2, 2), ("ema", "short", 0, 1)]


def test_without_a_price_nothing_is_resolved(btc) -> None:
    followed(decide(btc))
    assert outcomes.resolve(btc.pk) == 0


@pytest.mark.django_db(transaction=True)
def test_what_was_resolved_is_announced_and_nothing_else(btc) -> None:
    announced: list[object] = []

    def receive(instrument_id: int, decision_ids: list[int], **_: object) -> None:
        announced.append((instrument_id, sorted(decision_ids)))

    outcomes_resolved.connect(receive)
    try:
        first, second = followed(decide(btc, number=1)), followed(decide(btc, number=2))
        later = followed(decide(btc, number=3, as_of=START + BAR))
        bars(btc, (102, 99.5))
        outcomes.resolve(btc.pk)
        outcomes.resolve(btc.pk)
    finally:
        outcomes_resolved.disconnect(receive)
    assert announced == [(btc.pk, sorted([first.decision_id, second.decision_id]))]
    assert resolved(later).state == "open"


@pytest.mark.django_db(transaction=True)
def test_two_resolvers_at_once_count_a_case_once(btc, monkeypatch) -> None:
    outcome = followed(decide(btc))
    bars(btc, (102, 99.5))
    holding, over = threading.Event(), threading.Event()
    read = outcomes._bars

    def slow(due, quote):
        if threading.current_thread().name == "first":
            holding.set()
            over.wait(10)  # until the second has come to its end
        return read(due, quote)

    monkeypatch.setattr(outcomes, "_bars", slow)

    def first() -> int:
        threading.current_thread().name = "first"
        return outcomes.resolve(btc.pk)

    def second() -> int:
        holding.wait(10)
        try:
            return outcomes.resolve(btc.pk)
        finally:
            over.set()

    assert in_threads(first, second) == [1, 0]
    outcome.refresh_from_db()
    assert (outcome.result, Tally.objects.get().cases) == ("win", 1)


@pytest.mark.django_db(transaction=True)
def test_an_outcome_that_could_not_be_counted_stays_open(btc, monkeypatch) -> None:
    outcome = followed(decide(btc))
    bars(btc, (102, 99.5))

    def fail(_: object) -> None:
        raise RuntimeError("killed between the result and the count")

    with monkeypatch.context() as patch:
        patch.setattr(outcomes, "_count", fail)
        with pytest.raises(RuntimeError, match="killed"):
            outcomes.resolve(btc.pk)
    outcome.refresh_from_db()
    assert (outcome.state, Tally.objects.count()) == ("open", 0)
    assert (resolved(outcome).state, Tally.objects.get().cases) == ("resolved", 1)


@pytest.mark.parametrize("as_of", [datetime(2026, 1, 7, 12, tzinfo=UTC), datetime(2026, 1, 12, tzinfo=UTC)])
def test_a_decision_on_weekly_bars_is_followed_from_monday_on(btc, as_of) -> None:
    monday, week = datetime(2026, 1, 12, tzinfo=UTC), timedelta(days=7)
    outcome = followed(decide(btc, timeframe=int(week.total_seconds()), as_of=as_of))
    assert outcome.starts_at == monday
    for number, high in enumerate((100.5, 102)):
        Candle.objects.create(
            instrument=btc, timeframe=outcome.timeframe, open_time=monday + number * week, open=100, high=high,
            low=99.5, close=100, volume=1, kind=MarketKind.SIMULATED,
        )  # fmt: skip
    quote(btc, monday + 2 * week, timeframe=outcome.timeframe)
    assert (resolved(outcome).state, outcome.result) == ("resolved", "win")
    assert outcome.exit_at == monday + 2 * week
