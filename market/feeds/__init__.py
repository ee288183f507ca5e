"""Where candles come from: a driver for each kind of feed, and the one process that runs them."""
