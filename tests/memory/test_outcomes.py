"""Outcomes follow every decision on candles, count once, and never look ahead."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from market.models import Candle, Instrument, MarketKind, Quote
from memory import outcomes
from memory.models import Decision, Outcome, Tally

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
    return Decision.objects.create(
        signal_key=f"alert-{number}",
        source="ema",
        policy="follow",
        instrument=instrument,
        intent=intent,
        action=action,
        reason="test",
        price=price,
        stop=99 if up else 101,
        target=Decimal("101.5") if up else Decimal("98.5"),
        timeframe=300,
        market=market,
        as_of=as_of,
        received_at=as_of,
        evidence={},
        **more,
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
    assert outcome.r_multiple == pytest.approx(1.5)
    assert outcome.known_at is not None
    tally = Tally.objects.get()
    assert (tally.source, tally.side, tally.wins, tally.cases) == ("ema", "long", 1, 1)


def test_the_stop_first_is_a_loss(btc) -> None:
    outcome = followed(decide(btc))
    bars(btc, (101, 98.5), (110, 99.5))
    assert resolved(outcome).result == "loss"
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
