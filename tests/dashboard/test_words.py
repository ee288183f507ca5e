"""How numbers, times and states are written."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from brokers.models import Connection, Desk, Order, Trade
from dashboard.formatting import counted, plain
from dashboard.labels import STATES
from dashboard.templatetags import desk as write
from market.models import Feed, Instrument
from memory.intents import Action, Intent
from memory.models import Outcome
from webhooks.models import Alert

BITCOIN = Instrument(symbol="BTCUSDT", tick_size=Decimal("0.01"), step_size=Decimal("0.00001"))
RIPPLE = Instrument(symbol="XRPUSDT", tick_size=Decimal("0.0001"), step_size=Decimal("0.1"))


def test_a_price_has_as_many_decimals_as_its_instrument() -> None:
    assert write.price(Decimal("67000.5"), BITCOIN) == "67,000.50"
    assert write.price(Decimal("0.6"), RIPPLE) == "0.6000"
    assert write.price(None, RIPPLE) == "–"


def test_a_quantity_is_cut_to_the_step_and_loses_trailing_zeros() -> None:
    assert write.quantity(Decimal("0.0120000000"), BITCOIN) == "0.012"
    assert write.quantity(Decimal("1500"), RIPPLE) == "1,500"
    assert write.quantity(Decimal("-0.5"), BITCOIN) == "−0.5"


def test_profit_and_loss_differ_by_sign_arrow_and_colour() -> None:
    assert write.pnl(Decimal("12.345")) == '<span class="pnl up">+12.35 ▲</span>'
    assert write.pnl(Decimal("-1200")) == '<span class="pnl down">−1,200.00 ▼</span>'
    assert write.pnl(Decimal(0)) == '<span class="pnl ">0.00 </span>'


def test_a_loss_that_rounds_to_nothing_is_no_loss() -> None:
    assert write.pnl(Decimal("-0.001")) == '<span class="pnl ">0.00 </span>'


def test_a_fraction_becomes_percent() -> None:
    assert write.percent(0.621) == "62 %"
    assert write.percent(0.6214, 1) == "62.1 %"
    assert write.percent(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "1 min"), (5399, "89 min"), (5400, "1 h 30 min"), (7200, "2 h"),
     (172_800, "2 d"), (-3, "0 s"), (None, "–")],
)  # fmt: skip
def test_a_length_of_time_is_written_in_its_largest_unit(seconds: float | None, text: str) -> None:
    assert write.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 orders"), (1, "1 order"), (2, "2 orders"), (1234, "1,234 orders")]
)
def test_what_is_counted_is_named_by_its_number(count: int, text: str) -> None:
    assert counted(count, "order") == text


def test_times_are_utc_and_machine_readable() -> None:
    moment = datetime(2026, 3, 1, 14, 5, 9, tzinfo=UTC)
    text = write.utc(moment, "time")
    assert 'datetime="2026-03-01T14:05:09+00:00"' in text
    assert ">14:05:09</time>" in text
    assert "01 Mar 2026 14:05:09 UTC" in text
    east = moment.astimezone(tz=None)
    assert write.utc(east, "time") == text
    assert write.utc(None) == "–"


def test_a_time_of_another_year_names_it() -> None:
    now = datetime.now(UTC)
    assert f"{now:%d %b %H:%M:%S}</time>" in write.utc(now)
    assert ">03 Oct 2025 12:00:00</time>" in write.utc(datetime(2025, 10, 3, 12, tzinfo=UTC))


def test_numbers_of_evidence_are_written_as_everywhere() -> None:
    assert plain("-2995.4000") == "−2,995.4"
    assert plain("621078570") == "621,078,570"
    assert (plain("0.000"), plain("NaN"), plain("ema-cross")) == ("0", "NaN", "ema-cross")


def test_an_age_counts_from_the_wall_clock() -> None:
    text = write.age(datetime.now(UTC) - timedelta(seconds=42))
    assert ">42 s</time>" in text
    assert write.age(None, "none yet") == "none yet"


@pytest.mark.parametrize(
    "choices",
    [Desk.State, Connection.Health, Connection.Mode, Order.State, Order.Side, Trade.Side, Trade.State, Alert.State,
     Action, Intent, Outcome.State, Outcome.Result, Outcome.Kind, Feed.State],
)  # fmt: skip
def test_every_state_has_a_colour_and_a_word(choices: type) -> None:
    assert {str(value) for value in choices} <= set(STATES)  # type: ignore[attr-defined]


def test_nothing_has_no_badge() -> None:
    assert write.badge("") == write.badge(None) == ""


def test_a_badge_escapes_what_it_does_not_know() -> None:
    assert write.badge("<script>") == '<span class="badge ">&lt;script&gt;</span>'


def test_the_bar_of_confidence_shows_value_interval_and_break_even() -> None:
    decision = SimpleNamespace(
        enters=True, confidence=0.5, confidence_low=0.4, confidence_high=0.6, break_even=0.45
    )
    text = Template("{% load desk %}{% confidence decision %}").render(Context({"decision": decision}))
    assert 'class="value up"' in text
    assert 'width="50.0"' in text
    assert "break-even 45 %" in text
    assert "style=" not in text


def test_a_decision_without_confidence_has_no_bar() -> None:
    decision = SimpleNamespace(
        enters=True, confidence=None, confidence_low=None, confidence_high=None, break_even=None
    )
    text = Template("{% load desk %}{% confidence decision %}").render(Context({"decision": decision}))
    assert "<svg" not in text


@given(st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=6))
def test_money_reads_back_as_the_rounded_amount(value: Decimal) -> None:
    text = write.money(value).replace(",", "").replace("−", "-")
    assert abs(Decimal(text) - value) <= Decimal("0.005")
