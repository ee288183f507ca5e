"""Messages to paste into a TradingView alert. Every one of them is understood by the inbox; a test holds that."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A ready message, when to use it, and whether it needs a strategy's alert."""

    slug: str
    name: str
    hint: str
    message: str


def _json(**fields: str) -> str:
    return json.dumps(fields, indent=2)


COMMON = {"time": "{{time}}", "timenow": "{{timenow}}", "interval": "{{interval}}"}

TEMPLATES = (
    MessageTemplate(
        "strategy",
        "Strategy",
        "For an alert on a strategy: the position after the order decides, so reversals and exits come out right.",
        _json(
            symbol="{{ticker}}",
            action="{{strategy.order.action}}",
            market_position="{{strategy.market_position}}",
            prev_market_position="{{strategy.prev_market_position}}",
            quantity="{{strategy.order.contracts}}",
            price="{{strategy.order.price}}",
            order_id="{{strategy.order.id}}",
            **COMMON,
        ),
    ),
    MessageTemplate(
        "buy",
        "Indicator: buy",
        "For an alert on an indicator or a price that should open a long position (and close a short one).",
        _json(symbol="{{ticker}}", action="buy", price="{{close}}", **COMMON),
    ),
    MessageTemplate(
        "sell",
        "Indicator: sell",
        "The same for a short position. A source that may not go short only closes.",
        _json(symbol="{{ticker}}", action="sell", price="{{close}}", **COMMON),
    ),
    MessageTemplate(
        "close",
        "Indicator: close",
        "Closes whatever is held.",
        _json(symbol="{{ticker}}", action="close", price="{{close}}", **COMMON),
    ),
    MessageTemplate(
        "v25-basic",
        "v2.5 basic",
        "As AlgoTrendy 2.5 sent it. Works in a strategy's alert.",
        _json(
            symbol="{{ticker}}",
            action="{{strategy.market_position}}",
            price="{{close}}",
            timestamp="{{time}}",
            volume="{{volume}}",
            source="tradingview",
        ),
    ),
    MessageTemplate(
        "v25-enhanced",
        "v2.5 enhanced",
        "With indicator values. TradingView fills in {{rsi}} and {{macd}} only where the script plots them: write "
        '{{plot("RSI")}} with the name of your plot.',
        _json(
            symbol="{{ticker}}",
            action="{{strategy.market_position}}",
            price="{{close}}",
            high="{{high}}",
            low="{{low}}",
            volume="{{volume}}",
            rsi="{{rsi}}",
            macd="{{macd}}",
            timestamp="{{time}}",
            timeframe="{{interval}}",
            source="tradingview_enhanced",
        ),
    ),
    MessageTemplate(
        "v25-mtf",
        "v2.5 multi-timeframe",
        "TradingView has no {{strategy.direction}} and {{strategy.confidence}}: they stay as they are, noted but "
        "not traded.",
        _json(
            symbol="{{ticker}}",
            action="{{strategy.market_position}}",
            price="{{close}}",
            timeframe="{{interval}}",
            direction="{{strategy.direction}}",
            confidence="{{strategy.confidence}}",
            timestamp="{{time}}",
            source="tradingview_mtf",
        ),
    ),
)
TEST_MESSAGE = '{"symbol": "BTCUSDT", "action": "hold"}'
