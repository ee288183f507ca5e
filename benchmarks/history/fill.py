"""A desk with a history of any length: N alerts, decisions, orders, fills, outcomes and N / 2 trades, 30 s
    apart.

A longer history is one that reaches further back, as on a desk that has run for longer; what happened in the
    last
hour is the same in both.
"""

from collections.abc import Iterator

SPACING = 30  # seconds
RARE = 40  # alerts of a source that sent none since the beginning

PREPARE = """
DELETE FROM market_quote;
INSERT INTO market_quote (instrument_id, price, timeframe, kind, market_time, received_at)
SELECT id, 100, 5, 'simulated', now(), now() FROM market_instrument;
INSERT INTO webhooks_source (name, slug, token_hash, token_hint, previous_token_hash, body_secret_hash,
    allowed_networks, connection_id, policy, sizing, risk_pct, staleness_seconds, allow_short, silence_hours,
    is_demo,
    created_at)
SELECT name, name, md5(name), 'abcd', '', '', '[]', (SELECT min(id) FROM brokers_connection), 'follow', 'risk',
    1, 60,
    true, 0, false, now() FROM unnest(ARRAY['often', 'seldom', 'rare']) AS name;
CREATE TEMP TABLE market AS
SELECT id AS instrument_id, row_number() OVER (ORDER BY id) - 1 AS place FROM market_instrument ORDER BY id
    LIMIT 4;
CREATE TEMP TABLE history AS
SELECT i, (i + 1) / 2 AS pair, i % 2 = 1 AS entry, m.instrument_id,
       now() - make_interval(secs => ({n} - i) * {spacing}) AS at,
       CASE WHEN i <= {rare} THEN 'rare' WHEN i % 50 = 0 THEN 'seldom' ELSE 'often' END AS source,
       (SELECT min(id) FROM brokers_connection) AS connection_id,
       100 + (i % 700) / 100.0 AS price
FROM generate_series(1, {n}) AS i JOIN market m ON m.place = ((i + 1) / 2) % 4;
"""

ORDERS = """
INSERT INTO brokers_order (id, client_order_id, venue_order_id, role, side, type, quantity, reference_price,
    reduce_only, state, reason, cancel_reason, market, filled_quantity, average_price, fees, lookups, created_at,
    submitted_at, accepted_at, closed_at, updated_at, connection_id, instrument_id)
SELECT i, 'b' || i, 'v' || i, CASE WHEN entry THEN 'entry' ELSE 'exit' END, CASE WHEN entry THEN 'buy' ELSE
    'sell' END,
    'market', 1, price, NOT entry, CASE WHEN i % 97 = 0 THEN 'rejected' ELSE 'filled' END,
    CASE WHEN i % 97 = 0 THEN 'refused' ELSE '' END, '', 'simulated', CASE WHEN i % 97 = 0 THEN 0 ELSE 1 END,
    price, 0.05,
    0, at, at, at, at, at, connection_id, instrument_id FROM history;
INSERT INTO brokers_order (client_order_id, venue_order_id, role, side, type, quantity, stop_price,
    reduce_only, state,
    reason, cancel_reason, market, filled_quantity, fees, lookups, created_at, updated_at, connection_id,
    instrument_id)
SELECT 'open' || place, 'open' || place, 'stop', 'sell', 'stop', 1, 90, true, 'accepted', '', '', 'simulated', 0,
    0, 0,
    now(), now(), (SELECT min(id) FROM brokers_connection), instrument_id FROM market;
"""

TRADES = """
INSERT INTO brokers_trade (id, side, state, market, quantity, entry_price, exit_quantity, exit_price,
    gross_pnl, fees,
    pnl, opened_at, closed_at, recorded_at, connection_id, instrument_id)
SELECT pair, 'long', 'closed', 'simulated', 1, price, 1, price + (pair % 21 - 10) / 10.0, (pair % 21 - 10) /
    10.0, 0.1,
    (pair % 21 - 10) / 10.0 - 0.1, at, at + interval '30 s', at, connection_id, instrument_id FROM history
    WHERE entry;
INSERT INTO brokers_fill (id, venue_trade_id, side, quantity, price, fee, executed_at, recorded_at,
    connection_id,
    instrument_id, order_id, trade_id)
SELECT i, 'x' || i, CASE WHEN entry THEN 'buy' ELSE 'sell' END, 1, price, 0.05, at, at, connection_id,
    instrument_id, i,
    pair FROM history;
INSERT INTO brokers_position (quantity, average_price, realised_pnl, fees, updated_at, connection_id,
    instrument_id)
SELECT place, 100, 10, 1, now(), (SELECT min(id) FROM brokers_connection), instrument_id FROM market;
INSERT INTO brokers_equitymark (at, equity, unrealised_pnl, connection_id)
SELECT at, 100000 + i % 1000, i % 10, connection_id FROM history;
"""

DECISIONS = """
INSERT INTO memory_decision (id, signal_key, source, policy, intent, action, refused, reason, confidence,
    confidence_low, confidence_high, break_even, price, quantity, stop, target, horizon_bars, timeframe,
    market, as_of,
    received_at, decided_at, evidence, instrument_id)
SELECT i, 'alert-' || i, source, 'follow', CASE WHEN entry THEN 'long' ELSE 'flat' END,
    CASE WHEN entry THEN 'BUY' ELSE 'CLOSE' END, false, 'follows the alert', 0.5, 0.4, 0.6, 0.52, price, 1,
    price - 1,
    price + 1, 36, 5, 'simulated', at, at, at, {evidence}, instrument_id FROM history;
INSERT INTO memory_decisionorder (id, leg, decision_id, order_id) SELECT i, 0, i, i FROM history;
INSERT INTO memory_outcome (id, kind, state, side, entry, stop, target, timeframe, starts_at, ends_at, result,
    exit_price, exit_at, return_pct, r_multiple, void_reason, known_at, decision_id, instrument_id, trade_id)
SELECT i, 'real', CASE WHEN i > {n} - 20 THEN 'open' ELSE 'resolved' END, 'long', price, price - 1, price + 1,
    5, at,
    at + interval '180 s', CASE WHEN i > {n} - 20 THEN '' WHEN i % 2 = 0 THEN 'win' ELSE 'loss' END, price + 1,
    at, 1, 1,
    '', at, i, instrument_id, pair FROM history;
INSERT INTO memory_tally (source, side, wins, cases, instrument_id)
SELECT source, 'long', count(*) / 2, count(*), instrument_id FROM history GROUP BY source, instrument_id;
"""

EVIDENCE = """
jsonb_build_object('base', jsonb_build_object('mean', 0.5, 'text', 'a market without edge: stop / (stop +
    target)'),
    'levels', jsonb_build_array(jsonb_build_object('name', 'desk', 'wins', i / 2, 'cases', i, 'mean', 0.5)),
    'confidence', 0.5, 'low', 0.4, 'high', 0.6, 'break_even', 0.52, 'volatility', 0.001,
    'quote', jsonb_build_object('price', price::text, 'market_time', at::text, 'kind', 'simulated'),
    'position', jsonb_build_object('quantity', '0', 'average_price', '0'),
    'desk', jsonb_build_object('state', 'active', 'equity', '100000', 'day_pnl', '0', 'open_positions', 0),
    'checks', jsonb_build_array(jsonb_build_object('name', 'order size', 'ok', true, 'value', '1', 'limit', '5',
                                                   'text', 'within the limit')),
    'notes', '[]'::jsonb, 'signal', '{}'::jsonb)
"""

ALERTS = """
INSERT INTO webhooks_alert (id, idempotency_key, body, content_type, received_at, duplicates, state, reason,
    parsed,
    intent, decided_at, decision_id, instrument_id, source_id, attempts)
SELECT i, 'key' || i, convert_to('{{"symbol": "BTCUSDT", "action": "buy", "id": "' || i || '"}}', 'UTF8'),
    'application/json', at, 0, CASE WHEN i % 97 = 0 THEN 'failed' ELSE 'decided' END,
    CASE WHEN i % 97 = 0 THEN 'not understood' ELSE '' END, '{{"symbol": "BTCUSDT", "action": "buy"}}',
    CASE WHEN entry THEN 'long' ELSE 'flat' END, at, CASE WHEN i % 97 = 0 THEN NULL ELSE i END, instrument_id,
    (SELECT id FROM webhooks_source s WHERE s.name = history.source), 0 FROM history;
INSERT INTO webhooks_alert (idempotency_key, body, content_type, received_at, duplicates, state, reason, intent,
    source_id, attempts)
SELECT 'waiting' || i, 'x', '', now(), 0, 'received', '', '', (SELECT min(id) FROM webhooks_source), 0
FROM generate_series(1, 3) AS i;
"""

CANDLES = """
INSERT INTO market_candle (timeframe, open_time, open, high, low, close, volume, kind, revision, instrument_id)
SELECT 5, date_trunc('minute', now()) - make_interval(secs => 5 * i), 100, 101, 99, 100 + (i % 10) / 10.0, 5,
    'simulated', 0, instrument_id FROM market, generate_series(1, 5000) AS i;
"""

TABLES = ("brokers_order", "brokers_trade", "brokers_fill", "memory_decision", "memory_decisionorder",
    "memory_outcome",
          "webhooks_alert")  # fmt: skip


def statements(n: int) -> Iterator[str]:
    """Yield what fills a prepared, empty desk with a history of `n`. All in one session."""
    yield "SET session_replication_role = replica"  # foreign keys hold by construction: no row is looked up
    yield PREPARE.format(n=n, spacing=SPACING, rare=RARE)
    for table in TABLES:
        yield f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {n})"
    yield ORDERS
    yield TRADES
    yield DECISIONS.format(n=n, evidence=EVIDENCE)
    yield ALERTS.format()
    yield CANDLES
    yield "DROP TABLE history; DROP TABLE market"
    yield "VACUUM ANALYZE"
