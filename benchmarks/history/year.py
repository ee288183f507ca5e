"""A busy desk after so many days: all that it has written by then, in its own books and the paper venue's.

A day brings 2,740 alerts with their decisions and outcomes, 822 orders with fills and trades at the venue and
here, 8,640 marks of equity, and a candle with its prediction every 5 seconds for four instruments. What retention
removes within days (candles, predictions of a simulated market) is written as far back as it is kept.
"""

from collections.abc import Iterator

ALERTS_A_DAY, ORDERS_A_DAY, MARKS_A_DAY = 2740, 822, 8640
CANDLES_A_DAY = 17_280  # of each of four instruments
DAYS_OF_CANDLES, DAYS_OF_PREDICTIONS = 14, 7

PREPARE = """
DELETE FROM market_candle; DELETE FROM market_gap;
INSERT INTO market_quote (instrument_id, price, timeframe, kind, market_time, received_at)
SELECT id, 100, 5, 'simulated', date_bin('5 s', now(), 'epoch'::timestamptz), now() FROM market_instrument
ON CONFLICT (instrument_id) DO UPDATE SET price = 100, timeframe = 5, market_time = excluded.market_time;
INSERT INTO webhooks_source (name, slug, token_hash, token_hint, previous_token_hash, body_secret_hash,
    allowed_networks, connection_id, policy, sizing, risk_pct, staleness_seconds, allow_short, silence_hours,
    is_demo, created_at)
SELECT 'busy', 'busy', md5('busy'), 'abcd', '', '', '[]', (SELECT min(id) FROM brokers_connection), 'follow',
    'risk', 1, 3600, true, 0, false, now();
CREATE TEMP TABLE market AS
SELECT id AS instrument_id, row_number() OVER (ORDER BY id) - 1 AS place FROM market_instrument ORDER BY id
LIMIT 4;
CREATE TEMP TABLE alerts AS
SELECT i, i % 10 < 3 AS ordered, m.instrument_id, now() - make_interval(secs => ({alerts} - i + 60) * 31.5) AS at
FROM generate_series(1, {alerts}) AS i JOIN market m ON m.place = i % 4;
CREATE TEMP TABLE orders AS
SELECT k, (k + 1) / 2 AS pair, k % 2 = 1 AS entry, m.instrument_id,
       now() - make_interval(secs => ({orders} - k + 20) * 105.1) AS at, 100 + (k / 2 % 700) / 100.0 AS price,
       (SELECT min(id) FROM brokers_connection) AS connection_id
FROM generate_series(1, {orders}) AS k JOIN market m ON m.place = ((k + 1) / 2) % 4;
"""

ORDERS = """
INSERT INTO brokers_order (id, client_order_id, venue_order_id, role, side, type, quantity, reference_price,
    reduce_only, state, reason, cancel_reason, market, filled_quantity, average_price, fees, lookups, created_at,
    submitted_at, accepted_at, closed_at, updated_at, connection_id, instrument_id)
SELECT k, 'b' || k, k::text, CASE WHEN entry THEN 'entry' ELSE 'exit' END,
    CASE WHEN entry THEN 'buy' ELSE 'sell' END, 'market', 1, price, NOT entry, 'filled', '', '', 'simulated', 1,
    price, 0.05, 0, at, at, at, at, at, connection_id, instrument_id FROM orders;
INSERT INTO brokers_trade (id, side, state, market, quantity, entry_price, exit_quantity, exit_price, gross_pnl,
    fees, pnl, opened_at, closed_at, recorded_at, connection_id, instrument_id)
SELECT pair, 'long', 'closed', 'simulated', 1, price, 1, price, 0, 0.1, -0.1, at, at + interval '60 s', at,
    connection_id, instrument_id FROM orders WHERE entry;
INSERT INTO brokers_fill (id, venue_trade_id, side, quantity, price, fee, executed_at, recorded_at, connection_id,
    instrument_id, order_id, trade_id)
SELECT k, k || '-1', CASE WHEN entry THEN 'buy' ELSE 'sell' END, 1, price, 0.05, at, at, connection_id,
    instrument_id, k, pair FROM orders;
INSERT INTO brokers_position (quantity, average_price, realised_pnl, fees, updated_at, connection_id,
    instrument_id)
SELECT 0, 0, 0, 0.1, now(), (SELECT min(id) FROM brokers_connection), instrument_id FROM market;
"""

VENUE = """
INSERT INTO paper_paperaccount (connection_id, cash, faults, created_at)
SELECT min(id), 100000, '{}', now() FROM brokers_connection;
INSERT INTO paper_paperorder (id, account_id, instrument_id, client_order_id, side, type, quantity, reduce_only,
    triggered, state, reason, filled_quantity, placed_at)
SELECT k, (SELECT id FROM paper_paperaccount), instrument_id, 'b' || k, CASE WHEN entry THEN 'buy' ELSE 'sell' END,
    'market', 1, NOT entry, false, 'filled', '', 1, at FROM orders;
INSERT INTO paper_paperexecution (account_id, order_id, trade_id, quantity, price, fee, executed_at, recorded_at)
SELECT (SELECT id FROM paper_paperaccount), k, k || '-1', 1, price, 0.05, at, at FROM orders;
INSERT INTO paper_paperevent (id, account_id, order_id, kind, recorded_at)
SELECT 2 * k - 1 + n, (SELECT id FROM paper_paperaccount), k, (ARRAY['placed', 'executed'])[n + 1], at
FROM orders, generate_series(0, 1) AS n;
UPDATE brokers_connection SET cursor = (SELECT max(id) FROM paper_paperevent);
"""

DECISIONS = """
INSERT INTO memory_decision (id, signal_key, source, policy, intent, action, refused, reason, confidence,
    confidence_low, confidence_high, break_even, price, quantity, stop, target, horizon_bars, timeframe, market,
    as_of, received_at, decided_at, evidence, instrument_id)
SELECT i, 'alert-' || i, 'busy', 'follow', 'long', 'BUY', false, 'follows the alert', 0.5, 0.4, 0.6, 0.52, 100, 1,
    99, 101, 36, 5, 'simulated', at, at, at, '{"levels": [], "checks": [], "notes": [], "signal": {}}',
    instrument_id FROM alerts;
INSERT INTO memory_decisionorder (id, leg, decision_id, order_id)
SELECT n, 0, i, n FROM (SELECT i, row_number() OVER (ORDER BY i) AS n FROM alerts WHERE ordered) AS linked
WHERE n <= (SELECT max(k) FROM orders);
INSERT INTO memory_outcome (id, kind, state, side, entry, stop, target, timeframe, starts_at, ends_at, result,
    exit_price, exit_at, return_pct, r_multiple, void_reason, known_at, decision_id, instrument_id, trade_id)
SELECT i, 'real', 'resolved', 'long', 100, 99, 101, 5, at, at + interval '180 s',
    CASE WHEN i % 2 = 0 THEN 'win' ELSE 'loss' END, 101, at, 1, 1, '', at, i, instrument_id,
    (SELECT (order_id + 1) / 2 FROM memory_decisionorder WHERE decision_id = i) FROM alerts;
INSERT INTO webhooks_alert (id, idempotency_key, body, content_type, received_at, duplicates, state, reason,
    parsed, intent, decided_at, decision_id, instrument_id, source_id, attempts)
SELECT i, 'key' || i, convert_to('{"symbol": "BTCUSDT", "action": "buy", "id": "' || i || '"}', 'UTF8'),
    'application/json', at, 0, 'decided', '', '{"symbol": "BTCUSDT", "action": "buy"}', 'long', at, i,
    instrument_id, (SELECT id FROM webhooks_source WHERE slug = 'busy'), 0 FROM alerts;
"""

SERIES = """
INSERT INTO brokers_equitymark (at, equity, unrealised_pnl, connection_id)
SELECT now() - make_interval(secs => 10 * i), 100000 + (i % 1000 * 7919 % 1000) / 10.0, 0,
    (SELECT min(id) FROM brokers_connection) FROM generate_series(1, {marks}) AS i;
INSERT INTO market_candle (timeframe, open_time, open, high, low, close, volume, kind, revision, instrument_id)
SELECT 5, date_bin('5 s', now(), 'epoch'::timestamptz) - make_interval(secs => 5 * i), 100 + (i * 31 % 17) / 10.0,
    102.5, 97.5, 100 + ((i - 1) * 31 % 17) / 10.0, 5, 'simulated', 0, instrument_id
FROM market, generate_series(1, {candles}) AS i;
INSERT INTO mlmodels_prediction (timeframe, open_time, market, version_id, schema_hash, probability, side,
    features, made_at, label, void, labelled_at, instrument_id)
SELECT 5, date_bin('5 s', now(), 'epoch'::timestamptz) - make_interval(secs => 5 * i), 'simulated',
    (SELECT max(id) FROM mlmodels_modelversion), repeat('0', 64), CASE WHEN i % 3 = 0 THEN 0.3 ELSE 0 END,
    CASE WHEN i % 3 = 0 THEN 'top' ELSE 'none' END, array_fill(0.1::float8, ARRAY[9]), now(), i % 10 = 0, false,
    now(), instrument_id
FROM market, generate_series(2, {predictions}) AS i;
"""

#: What a moment brings: alerts to decide, and a candle of each instrument. Written each time before a task runs.
MOMENT = """
DELETE FROM mlmodels_trainingrun WHERE state = 'queued';
INSERT INTO webhooks_alert (idempotency_key, body, content_type, received_at, duplicates, state, reason, intent,
    source_id, attempts)
SELECT 'now' || clock_timestamp() || n, convert_to('{"symbol": "' || symbol || '", "action": "buy"}', 'UTF8'),
    'application/json', now(), 0, 'received', '', '', (SELECT id FROM webhooks_source WHERE slug = 'busy'), 0
FROM (SELECT symbol, row_number() OVER (ORDER BY id) AS n FROM market_instrument ORDER BY id LIMIT 3) AS three;
INSERT INTO market_candle (timeframe, open_time, open, high, low, close, volume, kind, revision, instrument_id)
SELECT 5, market_time, 100, 101, 99, 100, 5, 'simulated', 0, instrument_id FROM market_quote WHERE timeframe = 5
ON CONFLICT DO NOTHING;
UPDATE market_quote SET market_time = market_time + interval '5 s', received_at = now() WHERE timeframe = 5;
"""

TABLES = ("brokers_order", "brokers_trade", "brokers_fill", "memory_decision", "memory_decisionorder",
          "memory_outcome", "webhooks_alert", "paper_paperorder", "paper_paperevent")  # fmt: skip


def sizes(days: int) -> dict[str, int]:
    """Return how many rows of each kind `days` bring; of candles and predictions for each instrument."""
    return {
        "alerts": ALERTS_A_DAY * days,
        "orders": ORDERS_A_DAY * days // 8 * 8,  # whole round trips of all four instruments: every account is flat
        "marks": MARKS_A_DAY * days,
        "candles": CANDLES_A_DAY * min(days, DAYS_OF_CANDLES),
        "predictions": CANDLES_A_DAY * min(days, DAYS_OF_PREDICTIONS),
    }


def statements(days: int) -> Iterator[str]:
    """Yield what fills a prepared, empty desk with `days` of history. All in one session."""
    counts = sizes(days)
    yield "SET session_replication_role = replica"  # foreign keys hold by construction: no row is looked up
    yield PREPARE.format(**counts)
    yield "ANALYZE alerts; ANALYZE orders"
    yield ORDERS
    yield VENUE
    yield DECISIONS
    yield SERIES.format(**counts)
    for table in TABLES:
        yield f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
    yield "DROP TABLE alerts; DROP TABLE orders; DROP TABLE market"
    yield "VACUUM ANALYZE"
