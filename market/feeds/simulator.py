"""A market made of random numbers that behaves like one. Pure: arrays in, arrays out.

Each bar moves by `σ·√h·(m·z + d)`: `z` is a normal number that is partly common to all assets, `h` follows a
GARCH(1,1) around 1, so that wild bars come in clusters, and now and then there is a jump. With regimes `m` and
`d` come from a chain of trends, ranges and volatile times, and prices are gently pulled home, so that there is
something to find. Without regimes `d` is 0 and `m` is 1: what comes next can't be known, only how far it may go.
The price is then a martingale and no honest strategy can earn from it. Without clusters `h` stays what it was as
well: each bar's move is independent of all before it, and not even its size can be known.

The random numbers of a bar are a function of seed, asset and bar index (`open_time // timeframe`) alone; its price
also of the state it started from. However a stretch is cut into calls, the result is the same.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from market.bars import Bars

YEAR = 365 * 86_400
ALPHA, BETA = 0.08, 0.90  # GARCH: weight of the last move, and of the variance before it
LARGEST_VARIANCE = 30.0
LARGEST_MOVE = 0.2  # of the price, in one bar
JUMP_CHANCE, COMMON_JUMP_CHANCE, JUMP_SIZE = 0.0006, 0.0003, 6.0  # per bar; in standard deviations
HOME_PULL = 4e-5  # per bar: half of the distance in about 17,000 bars
BLOCK = 256
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Regime:
    """How the market behaves for a while. Drift is in standard deviations per bar, lengths are in bars."""

    name: str
    drift: float
    volatility: float
    pull: float  # towards the price at which the regime began, per bar
    length: int


REGIMES = (
    Regime("range", 0.0, 0.8, 0.04, 240),
    Regime("trend up", 0.08, 1.0, 0.0, 160),
    Regime("trend down", -0.08, 1.0, 0.0, 160),
    Regime("volatile", 0.0, 1.9, 0.0, 70),
)
CALM = Regime("none", 0.0, 1.0, 0.0, 1)


@dataclass(frozen=True)
class Asset:
    """What is simulated. `turnover` is in quote currency per second, `correlation` with the common factor."""

    symbol: str
    price: float = 100.0
    volatility: float = 0.7  # of a year
    correlation: float = 0.7
    turnover: float = 2_000.0


ASSETS = {
    "BTCUSDT": Asset("BTCUSDT", 100_000.0, 0.50, 0.85, 20_000.0),
    "ETHUSDT": Asset("ETHUSDT", 3_600.0, 0.70, 0.80, 12_000.0),
    "BNBUSDT": Asset("BNBUSDT", 850.0, 0.60, 0.70, 3_000.0),
    "XRPUSDT": Asset("XRPUSDT", 2.40, 0.80, 0.65, 3_000.0),
}


@dataclass(frozen=True)
class State:
    """What an asset carries from bar to bar: price, variance (1 on average), regime, and where that began."""

    price: float
    variance: float = 1.0
    regime: int = 0
    anchor: float = 0.0


@dataclass(frozen=True)
class Walk:
    """Consecutive bars of one asset, unrounded, with the regime that each was made in."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    regime: NDArray[np.int64]


def asset(symbol: str) -> Asset:
    """Return the asset called `symbol`; an unknown one costs 100."""
    return ASSETS.get(symbol, Asset(symbol))


def first_state(asset: Asset, price: float | None = None) -> State:
    """Return the state of an asset that begins, or continues, at `price`."""
    at = price or asset.price
    return State(price=at, anchor=at)


def walk(
    asset: Asset, *, seed: int, start: int, count: int, state: State, bar_seconds: float, regimes: bool = True,
    clusters: bool = True,
) -> tuple[Walk, State]:  # fmt: skip
    """Return the bars `start` to `start + count` of `asset` and the state after them.

    `start` is a bar index, `bar_seconds` how much real time's movement a bar has.
    """
    sigma = asset.volatility * math.sqrt(bar_seconds / YEAR)
    own, common = draws(seed, asset.symbol, start, count), draws(seed, "", start, count)
    z = asset.correlation * common.normal[0] + math.sqrt(1 - asset.correlation**2) * own.normal[0]
    z = z + JUMP_SIZE * own.normal[1] * (own.uniform[0] < JUMP_CHANCE)
    z = z + JUMP_SIZE * common.normal[1] * (common.uniform[0] < COMMON_JUMP_CHANCE)
    closes, spreads, kinds, state = _march(asset, z, own.uniform[1:3], state, sigma, regimes, clusters)
    opens = np.concatenate([[closes[0]], closes[1:-1]]) if count else closes[:0]
    return _candles(asset, opens, closes[1:], spreads, own, kinds, bar_seconds), state


def simulate(
    symbols: Sequence[str], *, seed: int, count: int, timeframe: int = 300, start: int = 0, regimes: bool = True,
    clusters: bool = True,
) -> dict[str, Bars]:  # fmt: skip
    """Return `count` bars of `timeframe` seconds for each symbol, beginning with bar index `start`.

    With `regimes=False` they are correlated martingales with volatility clusters: nothing in them predicts a sign.
    With `clusters=False` too, nothing predicts anything: a market without signal.
    """
    times = (np.arange(start, start + count) * timeframe).astype(np.int64)
    bars = {}
    for symbol in symbols:
        what = asset(symbol)
        path, _ = walk(
            what, seed=seed, start=start, count=count, state=first_state(what), bar_seconds=timeframe,
            regimes=regimes, clusters=clusters,
        )  # fmt: skip
        bars[symbol] = Bars(times, path.open, path.high, path.low, path.close, path.volume)
    return bars


@dataclass(frozen=True)
class Draws:
    """The random numbers of consecutive bars: normal (3, n) and uniform in [0, 1) (5, n)."""

    normal: Floats
    uniform: Floats


def draws(seed: int, name: str, start: int, count: int) -> Draws:
    """Return the random numbers of the bars `start` to `start + count`."""
    first, last = start // BLOCK, (start + max(count, 1) - 1) // BLOCK
    blocks = [_block(seed, name, number) for number in range(first, last + 1)]
    wanted = slice(start - first * BLOCK, start - first * BLOCK + count)
    return Draws(
        np.concatenate([block.normal for block in blocks], axis=1)[:, wanted],
        np.concatenate([block.uniform for block in blocks], axis=1)[:, wanted],
    )


@lru_cache(maxsize=64)
def _block(seed: int, name: str, number: int) -> Draws:
    key = hashlib.sha256(f"{seed}:{name}:{number}".encode()).digest()[:16]
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key)))
    return Draws(generator.standard_normal((3, BLOCK)), generator.random((5, BLOCK)))


def _march(
    asset: Asset, z: Floats, chances: Floats, state: State, sigma: float, regimes: bool, clusters: bool
) -> tuple[Floats, Floats, NDArray[np.int64], State]:
    """Go bar by bar; return closes (with the first open before them), standard deviations and regimes."""
    price, variance, number, anchor = state.price, state.variance, state.regime, state.anchor or state.price
    closes, spreads, kinds = [price], [], []
    for shock, leave, which in zip(z.tolist(), *chances.tolist(), strict=True):
        if regimes and leave * REGIMES[number].length < 1:
            number, anchor = _next_regime(number, which), price
        regime = REGIMES[number] if regimes else CALM
        spread = sigma * math.sqrt(variance) * regime.volatility
        move = spread * (shock + regime.drift)
        if regimes:
            move -= regime.pull * math.log(price / anchor) + HOME_PULL * math.log(price / asset.price)
        price *= 1 + min(max(move, -LARGEST_MOVE), LARGEST_MOVE)
        if clusters:
            variance = min(1 - ALPHA - BETA + (ALPHA * shock * shock + BETA) * variance, LARGEST_VARIANCE)
        closes.append(price)
        spreads.append(spread)
        kinds.append(number)
    state = State(price, variance, number, anchor)
    return np.array(closes), np.array(spreads), np.array(kinds, dtype=np.int64), state


def _next_regime(number: int, chance: float) -> int:
    """Return another regime; each is as likely."""
    others = [other for other in range(len(REGIMES)) if other != number]
    return others[int(chance * len(others))]


def _candles(
    asset: Asset, opens: Floats, closes: Floats, spreads: Floats, own: Draws, kinds: NDArray[np.int64],
    bar_seconds: float,
) -> Walk:  # fmt: skip
    """Fill in highs, lows and volumes. The highest point of a random walk between two known ends is known."""
    width = 2 * (opens * spreads) ** 2
    up = np.sqrt((closes - opens) ** 2 - width * np.log1p(-own.uniform[3]))
    down = np.sqrt((closes - opens) ** 2 - width * np.log1p(-own.uniform[4]))
    middle = (opens + closes) / 2
    # A single bar never falls below half of its lower end, however wild.
    lows = np.maximum(middle - down / 2, np.minimum(opens, closes) / 2)
    busy = 0.5 + np.abs(closes / opens - 1) / np.maximum(spreads, 1e-12) * 0.6
    calm = asset.volatility * math.sqrt(bar_seconds / YEAR)
    volume = asset.turnover * bar_seconds / closes * busy * np.exp(0.5 * own.normal[2]) * (spreads / calm)
    highs = np.maximum(middle + up / 2, np.maximum(opens, closes))
    return Walk(opens, highs, np.minimum(lows, np.minimum(opens, closes)), closes, volume, kinds)
