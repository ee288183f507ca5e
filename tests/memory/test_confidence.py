"""Confidence is a shrunken win rate with an honest interval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from memory.confidence import Level, break_even, no_edge_rate, shrunken

counts = st.integers(0, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_without_cases_the_confidence_is_the_rate_of_a_market_without_edge() -> None:
    confidence = shrunken(0.4, [Level("desk", 0, 0), Level("source", 0, 0)])
    assert confidence.mean == pytest.approx(0.4)
    assert confidence.low < 0.4 < confidence.high


def test_many_cases_outweigh_the_base() -> None:
    assert shrunken(0.4, [Level("desk", 7000, 10_000)]).mean == pytest.approx(0.7, abs=0.01)


def test_few_cases_hardly_move_it() -> None:
    assert shrunken(0.4, [Level("desk", 3, 3)]).mean < 0.45


def test_the_interval_narrows_with_cases() -> None:
    few, many = shrunken(0.4, [Level("a", 4, 10)]), shrunken(0.4, [Level("a", 400, 1000)])
    assert many.high - many.low < few.high - few.low


def test_a_narrow_level_is_pulled_towards_the_wider_one() -> None:
    lonely = shrunken(0.4, [Level("desk", 0, 0), Level("source", 0, 5)])
    supported = shrunken(0.4, [Level("desk", 600, 1000), Level("source", 0, 5)])
    assert supported.mean > lonely.mean


@given(st.floats(0.01, 0.99), st.lists(counts, max_size=3))
def test_it_is_always_a_probability_inside_its_interval(base: float, pairs: list[tuple[int, int]]) -> None:
    confidence = shrunken(base, [Level("x", wins, cases) for wins, cases in pairs])
    assert 0 <= confidence.low <= confidence.high <= 1
    assert 0 < confidence.mean < 1
    assert len(confidence.steps) == len(pairs)


def test_a_base_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="base rate was 1"):
        shrunken(1, [])


def test_break_even_counts_costs() -> None:
    assert break_even(0.01, 0.015, 0) == pytest.approx(no_edge_rate(0.01, 0.015)) == pytest.approx(0.4)
    assert break_even(0.01, 0.015, 0.002) == pytest.approx(0.48)


@pytest.mark.parametrize("base", [0, -0.1, 1.5])
def test_a_base_at_or_below_zero_or_above_one_is_refused(base: float) -> None:
    with pytest.raises(ValueError, match=f"base rate was {base}, not between 0 and 1"):
        shrunken(base, [])


def test_without_levels_the_interval_is_that_of_fifty_imagined_cases() -> None:
    confidence = shrunken(0.4, [])
    assert (confidence.mean, confidence.steps) == (0.4, ())
    assert (confidence.low, confidence.high) == pytest.approx(tuple(stats.beta(20, 30).ppf([0.05, 0.95])))


def test_the_numbers_of_two_levels_are_those_of_the_formula() -> None:
    confidence = shrunken(0.4, [Level("desk", 60, 100), Level("source", 9, 10)])
    first = (60 + 50 * 0.4) / (100 + 50)
    second = (9 + 50 * first) / (10 + 50)
    assert confidence.steps == pytest.approx((first, second))
    assert confidence.mean == confidence.steps[-1]
    posterior = stats.beta(9 + 50 * first, 1 + 50 * (1 - first))
    assert (confidence.low, confidence.high) == pytest.approx(tuple(posterior.ppf([0.05, 0.95])), rel=1e-5)


def test_the_strength_is_how_many_cases_the_level_above_counts() -> None:
    assert shrunken(0.5, [Level("desk", 10, 10)], strength=10).mean == pytest.approx(0.75)
    assert shrunken(0.5, [Level("desk", 50, 50)]).mean == pytest.approx(0.75)
