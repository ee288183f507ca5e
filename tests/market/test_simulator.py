"""The simulated market: the same again for the same seed, candles that are candles, no signal without regimes."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.bars import Bars
from market.feeds import simulator
from market.feeds.simulator import State, first_state, simulate, walk

BTC = simulator.asset("BTCUSDT")


def returns(bars: Bars) -> np.ndarray:
    return np.diff(bars.close) / bars.close[:-1]


def correlation_with_lag(values: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


@pytest.fixture(scope="module")
def honest() -> dict[str, Bars]:
    return simulate(["BTCUSDT", "ETHUSDT"], seed=3, count=60_000, regimes=False)


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    first, again, other = (simulate(["BTCUSDT"], seed=seed, count=300)["BTCUSDT"] for seed in (1, 1, 2))
    assert np.array_equal(first.close, again.close)
    assert np.array_equal(first.volume, again.volume)
    assert not np.array_equal(first.close, other.close)


@given(cut=st.integers(1, 699), start=st.integers(0, 10**9), regimes=st.booleans(), clusters=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_stretch_made_in_two_pieces_is_the_stretch_made_at_once(
    cut: int, start: int, regimes: bool, clusters: bool
) -> None:
    common = {"seed": 5, "bar_seconds": 60.0, "regimes": regimes, "clusters": clusters}
    whole, end = walk(BTC, start=start, count=700, state=first_state(BTC), **common)
    left, state = walk(BTC, start=start, count=cut, state=first_state(BTC), **common)
    right, last = walk(BTC, start=start + cut, count=700 - cut, state=state, **common)
    assert np.array_equal(whole.close, np.concatenate([left.close, right.close]))
    assert np.array_equal(whole.high, np.concatenate([left.high, right.high]))
    assert last == end


@given(
    seed=st.integers(0, 10**12),
    price=st.floats(1e-6, 1e6),
    bar_seconds=st.floats(0.1, 86_400 * 30),
    variance=st.floats(0.01, 30),
    regimes=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_candle_is_a_candle(
    seed: int, price: float, bar_seconds: float, variance: float, regimes: bool
) -> None:
    state = State(price, variance, 3, price)
    made, _ = walk(BTC, seed=seed, start=7, count=300, state=state, bar_seconds=bar_seconds, regimes=regimes)
    assert (made.low > 0).all()
    assert (made.low <= np.minimum(made.open, made.close)).all()
    assert (made.high >= np.maximum(made.open, made.close)).all()
    assert (made.volume >= 0).all()
    assert np.isfinite(made.volume).all()
    assert np.array_equal(made.open[1:], made.close[:-1])


def test_without_regimes_nothing_predicts_the_next_move(honest: dict[str, Bars]) -> None:
    for bars in honest.values():
        moves = returns(bars)
        scaled = moves / np.sqrt(np.convolve(moves**2, np.ones(50) / 50, "same"))
        for lag in (1, 2, 3, 5, 10, 50):
            assert abs(correlation_with_lag(scaled, lag)) < 4 / np.sqrt(len(moves))
        assert abs(moves.mean()) < 4 * moves.std() / np.sqrt(len(moves))


def test_without_regimes_a_moving_average_cross_earns_nothing_before_costs(honest: dict[str, Bars]) -> None:
    for bars in honest.values():
        sums = np.cumsum(np.insert(bars.close, 0, 0))
        fast, slow = ((sums[window:] - sums[:-window]) / window for window in (9, 21))
        side = np.sign(fast[-len(slow) :] - slow)[:-1]
        earned = side * returns(bars)[-len(side) :]
        assert abs(earned.mean()) < 4 * earned.std() / np.sqrt(len(earned))


def test_wild_bars_come_in_clusters_and_with_fat_tails(honest: dict[str, Bars]) -> None:
    for bars in honest.values():
        moves = returns(bars)
        assert all(correlation_with_lag(np.abs(moves), lag) > 0.08 for lag in (1, 5, 20))
        assert np.mean((moves / moves.std()) ** 4) > 4


def test_without_clusters_not_even_the_size_of_the_next_move_is_told_by_anything_before_it() -> None:
    made = simulate(["BTCUSDT", "ETHUSDT"], seed=3, count=60_000, regimes=False, clusters=False)
    for bars in made.values():
        sizes = np.minimum(np.abs(returns(bars)), 4 * returns(bars).std())
        for known in (sizes, bars.volume[1:], (bars.high - bars.low)[1:]):
            for lag in (1, 2, 5, 20, 288):
                assert abs(np.corrcoef(known[:-lag], sizes[lag:])[0, 1]) < 4 / np.sqrt(len(sizes))


def test_instruments_move_together_but_not_as_one(honest: dict[str, Bars]) -> None:
    together = np.corrcoef(returns(honest["BTCUSDT"]), returns(honest["ETHUSDT"]))[0, 1]
    assert 0.4 < together < 0.9


def test_with_regimes_trends_can_be_found_and_prices_keep_their_size() -> None:
    made, _ = walk(BTC, seed=1, start=0, count=60_000, state=first_state(BTC), bar_seconds=60)
    moves = made.close / made.open - 1
    up, down = (moves[made.regime == number] for number in (1, 2))
    assert simulator.REGIMES[1].name == "trend up"
    assert up.mean() > 4 * up.std() / np.sqrt(len(up))
    assert down.mean() < -4 * down.std() / np.sqrt(len(down))
    assert 30_000 < made.low.min() < made.high.max() < 300_000
    assert set(np.unique(made.regime)) == {0, 1, 2, 3}


def test_another_instrument_does_not_change_the_others() -> None:
    alone = simulate(["BTCUSDT"], seed=1, count=50)["BTCUSDT"]
    among = simulate(["NEWUSDT", "BTCUSDT"], seed=1, count=50)
    assert np.array_equal(alone.close, among["BTCUSDT"].close)
    assert len(among["NEWUSDT"]) == 50


def test_the_generator_needs_no_django() -> None:
    code = "import market.feeds.simulator as s, sys; s.simulate(['X'], seed=1, count=3)"
    code += "; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=".")
    assert done.stdout.strip() == "False"
