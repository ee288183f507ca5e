"""What is no number is no candle, no price and no step: the database refuses it, whoever wrote it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection

from market import services
from market.models import MarketKind
from market.services import NewCandle
from tests.support.market import set_quote

pytestmark = pytest.mark.django_db
AT = datetime(2026, 1, 5, tzinfo=UTC)
NAN, ONE = Decimal("NaN"), Decimal(1)


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_a_candle_that_is_no_number_is_refused(field: str) -> None:
    btc = services.ensure_instrument("BTCUSDT")
    values = dict.fromkeys(("open", "high", "low", "close", "volume"), ONE) | {field: NAN}
    candle = NewCandle(btc.pk, AT, **values)
    with pytest.raises(IntegrityError):
        services.store_candles(candles=[candle], timeframe=60, kind=MarketKind.LIVE)


def test_a_candle_of_nothing_but_nan_is_refused() -> None:
    btc = services.ensure_instrument("BTCUSDT")
    candle = NewCandle(btc.pk, AT, NAN, NAN, NAN, NAN, ONE)
    with pytest.raises(IntegrityError, match="candle_has_numbers"):
        services.store_candles(candles=[candle], timeframe=60, kind=MarketKind.LIVE)


def test_a_price_that_is_no_number_is_refused() -> None:
    btc = services.ensure_instrument("BTCUSDT")
    with pytest.raises(IntegrityError, match="quote_price_is_a_number"):
        set_quote(instrument=btc, price=NAN, timeframe=60, kind=MarketKind.LIVE, market_time=AT)


@pytest.mark.parametrize("field", ["tick_size", "step_size", "min_notional"])
def test_a_step_that_is_no_number_is_refused(field: str) -> None:
    services.ensure_instrument("BTCUSDT")
    query = f"UPDATE market_instrument SET {field} = 'NaN'"
    with connection.cursor() as cursor, pytest.raises(IntegrityError, match="instrument_steps_are_numbers"):
        cursor.execute(query)
