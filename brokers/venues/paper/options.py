"""What a paper account costs and how it misbehaves, from `Connection.settings`.

spread_bps 2          whole spread; a market order pays half of it
slippage_bps 1        on top, for market orders and triggered stops
fee_bps 5             of the value of each execution
latency_ms 0          between the call and the order's arrival
participation 0.25    share of a candle's volume that one order may take; the rest fills on later candles
leverage 1            value of all positions together, in multiples of equity
max_quote_age_s       entries are refused at an older price (default: three candles, at least 60 s)
faults {}             for tests: {"timeout_before": n, "timeout_after": n, "unavailable": n}, the first n times
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Final

from brokers.contract import Setting, UnusableSettings

BPS = Decimal(10_000)
# Label and unit of each option, in the order of its fields.
WORDS: Final[dict[str, tuple[str, str]]] = {
    "spread_bps": ("Spread", "bps"),
    "slippage_bps": ("Slippage", "bps"),
    "fee_bps": ("Fee per execution", "bps"),
    "latency_ms": ("Latency", "ms"),
    "participation": ("Largest share of a candle's volume", ""),
    "leverage": ("Leverage", "×"),
    "max_quote_age_s": ("Oldest price for an entry (0: three candles)", "s"),
}
# The least and the most that each option may be.
RANGES: Final[dict[str, tuple[Decimal, Decimal]]] = {
    "spread_bps": (Decimal(0), Decimal(5_000)),
    "slippage_bps": (Decimal(0), Decimal(5_000)),
    "fee_bps": (Decimal(0), Decimal(5_000)),
    "latency_ms": (Decimal(0), Decimal(60_000)),
    "participation": (Decimal("0.000001"), Decimal(1)),
    "leverage": (Decimal("0.01"), Decimal(1_000)),
    "max_quote_age_s": (Decimal(0), Decimal(31_536_000)),
}
FAULTS: Final = ("timeout_before", "timeout_after", "unavailable")
SETTING_NAMES: Final = frozenset({*WORDS, "faults"})


@dataclass(frozen=True, slots=True)
class PaperOptions:
    """The settings of a paper account. One basis point is 0.01 %."""

    spread_bps: Decimal = Decimal(2)
    slippage_bps: Decimal = Decimal(1)
    fee_bps: Decimal = Decimal(5)
    latency_ms: Decimal = Decimal(0)
    participation: Decimal = Decimal("0.25")
    leverage: Decimal = Decimal(1)
    max_quote_age_s: Decimal = Decimal(0)  # 0: three candles, at least a minute

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> "PaperOptions":
        """Return the options in a connection's settings, defaults for the rest. Raises UnusableSettings."""
        if not isinstance(settings, Mapping):
            raise UnusableSettings('the settings are no list of names with values, as {"fee_bps": 5} is')
        _check_faults(settings.get("faults", {}))
        names = [field.name for field in fields(cls) if field.name in settings]
        return cls(**{name: _number(name, settings[name]) for name in names})

    @property
    def market_cost(self) -> Decimal:
        """What a market order pays over the price, as a fraction of it."""
        return (self.spread_bps / 2 + self.slippage_bps) / BPS

    @property
    def fee(self) -> Decimal:
        """The fee, as a fraction of an execution's value."""
        return self.fee_bps / BPS

    @property
    def round_trip(self) -> Decimal:
        """What it costs to enter and leave at market, as a fraction of the price."""
        return 2 * (self.market_cost + self.fee)

    @property
    def summary(self) -> tuple[Setting, ...]:
        """Every option in words."""
        return tuple(Setting(label, getattr(self, name), unit) for name, (label, unit) in WORDS.items())


def _number(name: str, value: object) -> Decimal:
    """Return an option's value. Raises UnusableSettings with what may be written instead."""
    least, most = RANGES[name]
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not least <= number <= most:
        raise UnusableSettings(f"{name} is {str(value)[:40]!r}: it must be a number from {least:f} to {most:f}")
    return number


def _check_faults(faults: object) -> None:
    """Raise UnusableSettings unless `faults` says of known faults how often each shall happen."""
    if not isinstance(faults, Mapping):
        raise UnusableSettings(f"faults is {str(faults)[:40]!r}: it must say how often each happens")
    for name, times in faults.items():
        if name not in FAULTS or not isinstance(times, int) or times < 0:
            raise UnusableSettings(f"faults: {name} {str(times)[:40]!r} is no count of {', '.join(FAULTS)}")
