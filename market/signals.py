"""What the market announces upwards. Receivers must be quick: nudge a worker, send a hint.

Sent after commit, in the process where it happened (candles: the feed process).
"""

from django.dispatch import Signal

# instrument_id: int, timeframe: int (seconds), open_time: datetime of the newest closed candle.
candle_closed = Signal()
# instrument_id: int. Its price moved while no candle of it closed.
price_moved = Signal()
# feed_id: int. Its state, speed or instruments changed.
feed_changed = Signal()
# instrument_id: int, feed_id: int | None. Sent inside the transaction, before an instrument moves to another feed
# or its market time jumps. A receiver forbids it by raising market.services.FeedBusy with the reason.
feed_switching = Signal()
# instrument_id: int, timeframe: int (seconds). Asked before old candles are removed: a receiver returns the open
# time (market time) from which on it needs every candle, None if it needs none.
candles_needed = Signal()
# instrument_id: int, timeframe: int, start: datetime, end: datetime (open times). Asked of candles that nobody
# needs: a receiver returns the stretches (first open time, the open time after the last) that its pages show.
candles_shown = Signal()
