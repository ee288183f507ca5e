"""Features that know the future: which are named, at which bar, and how good is too good."""

import numpy as np
import pytest

from market.bars import Bars
from mlmodels.pipeline import leakage
from mlmodels.pipeline.features import Floats, Schema, compute
from mlmodels.pipeline.leakage import Leak, LeakFound, changed_by_cut, check, too_good
from tests.mlmodels.pipeline.rows import FIVE, bars, rows

TWO = ("price", "middle")


def honest(bars: Bars, out: Floats) -> None:
    out[:, 0] = bars.close
    out[:, 1] = np.arange(len(bars))


def looking_ahead(bars: Bars, out: Floats) -> None:
    out[:, 0] = bars.close
    out[:, 1] = np.append(bars.close[1:], 0.0)  # the next close, and nothing where there is none


def schema(definition: object) -> Schema:
    return Schema("two", TWO, 0, definition, "two features")  # type: ignore[arg-type]


SERIES = {"A": bars(np.linspace(100, 200, 101)), "B": bars(np.linspace(300, 200, 101))}


def known(of: Schema) -> dict[str, Floats]:
    return {symbol: compute(of, one, FIVE) for symbol, one in SERIES.items()}


def test_an_honest_schema_is_not_accused() -> None:
    assert changed_by_cut(schema(honest), SERIES, FIVE, known(schema(honest)), 0) == []
    check(schema(honest), SERIES, known(schema(honest)), rows())


def test_a_feature_that_looks_ahead_is_named_once_with_the_bar_and_both_values() -> None:
    ahead = schema(looking_ahead)
    [leak] = changed_by_cut(ahead, SERIES, FIVE, known(ahead), 0)
    bar = int(np.random.default_rng(0).choice(np.arange(100), leakage.CUTS, replace=False)[0])
    assert leak == Leak(
        "middle",
        f"middle knows the future: at bar {bar} of A it is {101 + bar}, and 0 when the candles after bar "
        f"{bar} are cut away",
    )


def test_another_seed_cuts_elsewhere() -> None:
    ahead = schema(looking_ahead)
    first, again, other = (changed_by_cut(ahead, SERIES, FIVE, known(ahead), seed)[0] for seed in (0, 0, 1))
    assert first == again != other


def test_each_instrument_is_cut_at_six_bars_and_twenty_four_before_each_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuts: list[tuple[str, int]] = []
    monkeypatch.setattr(
        leakage, "_compare", lambda schema, symbol, bars, timeframe, known, bar: cuts.append((symbol, bar)) or []
    )
    one = schema(honest)
    features = known(one)
    features["B"][:97] = np.nan  # only three bars of B before its last are known
    assert changed_by_cut(one, SERIES, FIVE, features, 0) == []
    assert [symbol for symbol, _ in cuts] == ["A"] * 6 + ["B"] * 3
    assert len({bar for symbol, bar in cuts if symbol == "A"}) == 6
    assert {bar for symbol, bar in cuts if symbol == "B"} == {97, 98, 99}


def test_what_a_cut_changes_is_found_as_far_back_as_is_compared() -> None:
    def late(far: int) -> Schema:
        def definition(bars: Bars, out: Floats) -> None:
            honest(bars, out)
            if len(bars) > 51 + far:
                out[51, 1] = -1.0

        return schema(definition)

    def compared(far: int, bar: int) -> list[Leak]:
        one = late(far)
        return leakage._compare(one, "A", SERIES["A"], FIVE, compute(one, SERIES["A"], FIVE), bar)

    # Bar 51 is something else as soon as bar 75 is there, 24 bars later: the cut behind bar 74 sees it.
    [leak] = compared(24, 74)
    assert leak.text.startswith("middle knows the future: at bar 51 of A it is -1, and 51 when the candles after")
    # Twenty-four bars are compared, and no bar before them.
    assert compared(25, 75) == []
    # A cut near the beginning compares what there is.
    assert leakage._compare(schema(honest), "A", SERIES["A"], FIVE, known(schema(honest))["A"], 3) == []


def test_a_value_that_is_missing_on_both_sides_is_the_same() -> None:
    nothing, number = np.array([np.nan]), np.array([1.0])
    assert leakage._same(nothing, nothing).tolist() == [True]
    assert leakage._same(number, number).tolist() == [True]
    assert leakage._same(nothing, number).tolist() == leakage._same(number, nothing).tolist() == [False]


def answers(positives: int, count: int, wrong: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and a feature that is the outcome but for the first `wrong` reversals."""
    outcome = (np.arange(count) < positives).astype(np.int8)
    feature = outcome.astype(float)
    feature[:wrong] = 0.0
    return outcome, feature


def leaks(positives: int, count: int, wrong: int = 0) -> list[Leak]:
    outcome, feature = answers(positives, count, wrong)
    data = rows(reversal=outcome, features=np.column_stack([np.zeros(count), feature]))
    return too_good(TWO, data)


def test_a_feature_that_is_the_answer_is_named_with_how_good_it_is() -> None:
    assert leaks(60, 200) == [
        Leak("middle", "middle contains the answer: alone it reaches an average precision of 1.000 where 0.300 "
             "are reversals"),
    ]  # fmt: skip


def test_forty_reversals_are_enough_to_accuse_and_fewer_are_not() -> None:
    assert [len(leaks(count, 200)) for count in (39, 40)] == [0, 1]


def test_where_everything_is_a_reversal_nothing_is_told() -> None:
    assert leaks(100, 100) == []


@pytest.mark.parametrize(
    ("positives", "wrong", "named"),
    [
        # Average precision by hand: with w of p wrong, (p − w)/p + w/p · p/1000. The line is at .9 …
        (100, 10, True),
        (100, 12, False),
        # … and where four in five are reversals, four fifths of the way from there to 1.
        (800, 100, True),
        (800, 170, False),
    ],
)
def test_too_good_is_nine_tenths_or_four_fifths_of_the_way_from_the_base_rate(
    positives: int, wrong: int, named: bool
) -> None:
    assert bool(leaks(positives, 1000, wrong)) is named


def test_a_rate_is_that_of_the_features_bin() -> None:
    outcome = np.array([1, 0, 1, 1, 0, 0, 0, 1], np.int8)
    column = np.arange(8.0)
    # Four bins of two rows each.
    assert leakage._rates(column, outcome, 4).tolist() == [0.5, 0.5, 1, 1, 0, 0, 0.5, 0.5]
    assert leakage._rates(np.zeros(8), outcome, 4).tolist() == [0.5] * 8
    flag = np.array([0, 0, 0, 0, 0, 0, 1, 1.0])
    assert leakage._rates(flag, outcome, 2).tolist() == pytest.approx([0.5] * 8)
    assert leakage._rates(flag, np.array([0, 0, 0, 0, 0, 1, 1, 1], np.int8), 2).tolist() == pytest.approx(
        [1 / 6] * 6 + [1.0] * 2
    )


def test_a_leak_is_told_once_for_each_feature_with_both_kinds_together() -> None:
    outcome, feature = answers(60, 200)
    data = rows(reversal=outcome, features=np.column_stack([feature, feature]))
    ahead = schema(looking_ahead)
    with pytest.raises(LeakFound) as caught:
        check(ahead, SERIES, known(ahead), data)
    # "middle" is known by its candles already; "price" by the answer alone.
    assert caught.value.names == ("middle", "price")
    assert [leak.feature for leak in caught.value.leaks] == ["middle", "price"]
    assert str(caught.value) == "; ".join(leak.text for leak in caught.value.leaks)


def test_only_candidates_can_contain_the_answer() -> None:
    outcome, feature = answers(60, 200)
    table = np.column_stack([np.zeros(200), feature])
    one = schema(honest)
    check(one, SERIES, known(one), rows(reversal=outcome, features=table, side=np.zeros(200, np.int8)))
    with pytest.raises(LeakFound):
        check(one, SERIES, known(one), rows(reversal=outcome, features=table))
