"""The stability index by hand, and what is said of it."""

import math

import numpy as np
import pytest

from mlmodels.pipeline import drift
from mlmodels.pipeline.drift import FeatureDrift, compare, deciles, psi

#: Deciles at 1 … 9: a value of n − .5 lies in the n-th part.
NINE = [float(edge) for edge in range(1, 10)]


def rows(*counts: int) -> np.ndarray:
    """So many rows in each of the ten parts."""
    return np.repeat(np.arange(10) + 0.5, counts)


def index(observed: list[float], expected: list[float]) -> float:
    return sum((o - e) * math.log(o / e) for o, e in zip(observed, expected, strict=True))


@pytest.mark.parametrize(
    "counts", [(10,) * 10, (0, 20, *(10,) * 8), (100, *(0,) * 9), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)]
)
def test_the_index_is_that_of_the_shares_with_half_a_row_more_in_each_part(counts: tuple[int, ...]) -> None:
    observed = [(count + 0.5) / (sum(counts) + 5) for count in counts]
    assert psi(NINE, rows(*counts)) == pytest.approx(index(observed, [0.1] * 10), abs=1e-12)


def test_a_value_at_an_edge_belongs_to_the_part_below_it() -> None:
    below, above = psi(NINE, np.full(100, 1.0)), psi(NINE, np.full(100, 1.01))
    assert below == pytest.approx(psi(NINE, rows(100, *(0,) * 9)))
    assert above == pytest.approx(psi(NINE, rows(0, 100, *(0,) * 8)))


@pytest.mark.parametrize(
    ("low", "expected"),
    [
        (45, None),  # between .4 and .499: as it was, within what is known
        (20, 0.4),
        (90, 0.499),
    ],
)
def test_deciles_that_are_equal_make_a_part_whose_share_has_the_benefit_of_the_doubt(
    low: int, expected: float | None
) -> None:
    # Four deciles at 1, one at each of 5 … 9: the first part has four tenths at least and not five.
    reference = [1.0] * 4 + NINE[4:]
    counts = [low, *(11, 11, 11, 11, 11)]
    values = np.repeat([0.5, 4.5, 5.5, 6.5, 7.5, 8.5], counts)
    total = sum(counts) + 3.0 + 0.5  # six parts and the one above, half a row each
    observed = [*((count + 0.5) / total for count in counts), 0.5 / total]
    first = observed[0] if expected is None else expected
    least = 0.4 + 0.1  # what lies below the fifth decile
    shares = [first, least - first, 0.1, 0.1, 0.1, 0.1, 0.1]
    assert psi(reference, values) == pytest.approx(index(observed, shares), abs=1e-12)


def test_two_equal_deciles_are_a_tie_and_one_alone_is_none() -> None:
    reference = [1.0, 2.0, 2.0, *NINE[3:]]
    values = np.concatenate([np.full(35, 1.5), rows(10, 0, 0, 0, 11, 11, 11, 11, 11, 0)])
    total = 35 + 65 + 4.5
    counts = [10, 35, 0, 11, 11, 11, 11, 11, 0]
    observed = [(count + 0.5) / total for count in counts]
    # The second part ends between .3 and .399; the doubt goes as far as the rows do.
    below = min(max((10.5 + 35.5) / total, 0.3), 0.399)
    shares = [0.1, below - 0.1, 0.4 - below, *(0.1,) * 6]
    assert psi(reference, values) == pytest.approx(index(observed, shares), abs=1e-12)


def test_deciles_are_nine_values_between_ten_equal_parts_of_each_feature() -> None:
    table = np.column_stack([np.arange(101.0), np.arange(101.0) * -2])
    assert deciles(table, ("a", "b")) == {
        "a": [10, 20, 30, 40, 50, 60, 70, 80, 90],
        "b": [-180, -160, -140, -120, -100, -80, -60, -40, -20],
    }


def test_each_feature_with_a_reference_is_compared_with_its_own_and_the_largest_drift_comes_first() -> None:
    near, far = rows(*(10,) * 10), rows(100, *(0,) * 9)
    table = np.column_stack([near, near, far])
    results = compare({"same": NINE, "other": NINE}, ("same", "unknown", "other"), table)
    assert results == [
        FeatureDrift("other", pytest.approx(psi(NINE, far)), 100, "far"),
        FeatureDrift("same", pytest.approx(psi(NINE, near)), 100, "steady"),
    ]
    assert psi(NINE, far) > drift.FAR > drift.MOVED > psi(NINE, near)


def test_fewer_than_a_hundred_rows_say_nothing() -> None:
    table = rows(*(10,) * 10)[:, None]
    assert len(compare({"a": NINE}, ("a",), table)) == 1
    assert compare({"a": NINE}, ("a",), table[:99]) == []


@pytest.mark.parametrize(
    ("value", "reading"),
    [(0.0, "steady"), (0.0999, "steady"), (0.1, "moved"), (0.2499, "moved"), (0.25, "far"), (3.0, "far")],
)
def test_an_index_is_read_as_usual(monkeypatch: pytest.MonkeyPatch, value: float, reading: str) -> None:
    monkeypatch.setattr(drift, "psi", lambda reference, values: value)
    assert compare({"a": NINE}, ("a",), np.zeros((100, 1))) == [FeatureDrift("a", value, 100, reading)]
