"""What a new candle and a closed trade set in motion, and what they leave alone."""

from unittest.mock import patch

import pytest

from brokers.models import Trade
from brokers.signals import trade_closed
from market.models import Instrument
from market.signals import candle_closed
from memory.models import Outcome
from tests.support.pages import decided, market, source

pytestmark = pytest.mark.django_db


def nudged_by_a_candle(instrument: Instrument) -> list[tuple[object, ...]]:
    with patch("memory.receivers.nudge") as nudge:
        candle_closed.send(sender=Instrument, instrument_id=instrument.pk, timeframe=5)
    return [call.args for call in nudge.call_args_list]


def test_a_candle_has_the_open_outcomes_of_its_instrument_resolved_and_no_others() -> None:
    btc, eth = market(), market("ETHUSDT")
    decided(source(), btc)
    assert nudged_by_a_candle(btc) == [("memory.resolve_outcomes", btc.pk)]
    assert nudged_by_a_candle(eth) == []
    Outcome.objects.update(state="void", void_reason="a test")
    assert nudged_by_a_candle(btc) == []


def test_a_closed_trade_has_its_outcome_linked() -> None:
    with patch("memory.receivers.nudge") as nudge:
        trade_closed.send(sender=Trade, trade_id=7)
    nudge.assert_called_once_with("memory.link_trade", 7)
