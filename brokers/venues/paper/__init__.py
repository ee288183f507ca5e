"""The paper venue: fills orders from our own market's candles, with spread, slippage, fees and its own books."""
