"""What a paper account costs, from settings that a person wrote: right values, and refusals in words."""

from dataclasses import fields
from decimal import Decimal

import pytest

from brokers.contract import Setting, UnusableSettings
from brokers.venues.paper.options import FAULTS, RANGES, SETTING_NAMES, PaperOptions

PLAIN = PaperOptions()


def refusal(settings: object) -> str:
    with pytest.raises(UnusableSettings) as caught:
        PaperOptions.of(settings)  # type: ignore[arg-type]
    return str(caught.value)


def test_nothing_set_is_the_documented_defaults_and_unknown_names_are_passed_over() -> None:
    assert PaperOptions.of({}) == PaperOptions.of({"else": "x"}) == PLAIN
    assert [getattr(PLAIN, field.name) for field in fields(PLAIN)] == [2, 1, 5, 0, Decimal("0.25"), 1, 0]


def test_costs_are_fractions_of_the_price() -> None:
    options = PaperOptions.of({"spread_bps": 10, "slippage_bps": "3", "fee_bps": 7.5})
    assert options.market_cost == Decimal("0.0008")
    assert options.fee == Decimal("0.00075")
    assert options.round_trip == Decimal("0.0031")


def test_every_option_is_read_by_its_name() -> None:
    values = {name: most for name, (_, most) in RANGES.items()}
    options = PaperOptions.of(values)
    assert {name: getattr(options, name) for name in values} == values
    assert {*RANGES, "faults"} == SETTING_NAMES


@pytest.mark.parametrize("name", RANGES)
def test_an_option_may_be_its_least_and_its_most_and_no_more(name: str) -> None:
    least, most = RANGES[name]
    for value in (least, most):
        assert getattr(PaperOptions.of({name: value}), name) == value
    for value in (least - Decimal("1e-7"), most + Decimal("1e-7")):
        assert (
            refusal({name: value}) == f"{name} is {str(value)!r}: it must be a number from {least:f} to {most:f}"
        )


@pytest.mark.parametrize("value", ["", "two", "NaN", "Infinity", "-Infinity", None, [], "1,5"])
def test_what_is_no_number_is_refused_with_what_may_be_written(value: object) -> None:
    assert refusal({"fee_bps": value}) == f"fee_bps is {str(value)!r}: it must be a number from 0 to 5000"


def test_a_long_value_is_quoted_by_its_beginning() -> None:
    assert refusal({"fee_bps": "x" * 100}).startswith(f"fee_bps is '{'x' * 40}': ")
    assert refusal({"faults": "x" * 100}) == f"faults is '{'x' * 40}': it must say how often each happens"
    assert refusal({"faults": {"unavailable": "x" * 100}}).startswith(f"faults: unavailable '{'x' * 40}' is no")


def test_settings_that_are_no_names_with_values_are_refused() -> None:
    assert refusal(["fee_bps"]) == 'the settings are no list of names with values, as {"fee_bps": 5} is'


@pytest.mark.parametrize(
    "faults", [{"unavailable": -1}, {"unavailable": "1"}, {"unavailable": 1.5}, {"nonsense": 1}]
)
def test_a_fault_is_a_known_one_with_a_count(faults: dict[str, object]) -> None:
    [(name, times)] = faults.items()
    expected = f"faults: {name} {str(times)!r} is no count of timeout_before, timeout_after, unavailable"
    assert refusal({"faults": faults}) == expected


def test_every_fault_may_happen_never_or_any_number_of_times() -> None:
    assert PaperOptions.of({"faults": dict.fromkeys(FAULTS, 0)}) == PLAIN
    assert PaperOptions.of({"faults": {"timeout_after": 9}, "leverage": 2}).leverage == 2
    assert refusal({"faults": None}) == "faults is 'None': it must say how often each happens"


def test_the_summary_names_every_option_with_its_unit() -> None:
    assert PLAIN.summary == (
        Setting("Spread", Decimal(2), "bps"),
        Setting("Slippage", Decimal(1), "bps"),
        Setting("Fee per execution", Decimal(5), "bps"),
        Setting("Latency", Decimal(0), "ms"),
        Setting("Largest share of a candle's volume", Decimal("0.25"), ""),
        Setting("Leverage", Decimal(1), "×"),
        Setting("Oldest price for an entry (0: three candles)", Decimal(0), "s"),
    )
