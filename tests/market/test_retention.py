"""Old candles of simulated markets go, but for those that a page, a position, an outcome or a training needs."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test.utils import override_settings
from django.utils import timezone

from algotrendy.retention.nightly import Progress
from brokers.models import Connection, Trade
from dashboard.selectors import decision_detail
from market import retention, tasks
from market.models import Candle, Gap, Instrument, Quote
from memory.models import Decision, Outcome
from mlmodels.models import TrainingRun
from mlmodels.pipeline.config import Recipe
from tests.support.pages import candles, decided, market, person, signed_in, source

pytestmark = pytest.mark.django_db(transaction=True)

OLD = timedelta(days=30)


@pytest.fixture
def btc() -> Instrument:
    return market(bars=100)


def old_candles(instrument: Instrument, age: timedelta = OLD, bars: int = 1000) -> datetime:
    """Store old candles; return the open time of the first."""
    start = Quote.objects.get(instrument=instrument).market_time - age
    candles(instrument, start, bars)
    return start


def remove() -> int:
    """Take every batch of a night, which has to end; return how many candles went."""
    progress: Progress = {}
    total = 0
    for _ in range(200):
        count = retention.remove_next(progress)
        if count is None:
            return total
        total += count
    raise AssertionError("the night does not end")


def left(instrument: Instrument, since: datetime, until: datetime) -> int:
    return Candle.objects.filter(instrument=instrument, open_time__gte=since, open_time__lt=until).count()


def put_back(taken: Any, at: datetime) -> Decision:
    """Let a decision have been made at the market time `at`, and its outcome be known."""
    Decision.objects.filter(pk=taken.decision_id).update(as_of=at)
    Outcome.objects.filter(decision=taken.decision_id).update(
        starts_at=at, ends_at=at + timedelta(seconds=180), state="void", void_reason="a test"
    )
    return Decision.objects.select_related("instrument", "outcome").get(pk=taken.decision_id)


def test_what_is_older_than_the_setting_goes_and_the_rest_stays(btc: Instrument) -> None:
    old_candles(btc)
    old_candles(btc, timedelta(days=13))
    assert remove() == 1000
    assert Candle.objects.count() == 1100
    assert remove() == 0


def test_the_task_says_what_it_removed(btc: Instrument) -> None:
    old_candles(btc)
    assert tasks.remove_old() == 1000


def test_zero_days_are_for_ever_and_other_markets_are_never_touched(btc: Instrument) -> None:
    old_candles(btc)
    with override_settings(KEEP_SIMULATED_CANDLES=0):
        assert remove() == 0
    Candle.objects.update(kind="live")
    assert remove() == 0


def test_what_the_page_of_a_decision_shows_stays_and_the_holes_are_gaps(btc: Instrument) -> None:
    start = old_candles(btc)
    at = start + timedelta(seconds=5 * 500)
    decision = put_back(decided(source(), btc), at)
    before = decision_detail.chart(decision)
    remove()
    assert decision_detail.chart(decision) == before
    assert not decision_detail.candles_removed(decision)
    kept = Candle.objects.filter(open_time__lt=start + timedelta(days=1)).order_by("open_time")
    assert 150 < kept.count() < 200
    gap = Gap.objects.get()
    assert (gap.state, gap.first_missing) == ("removed", kept.last().open_time + timedelta(seconds=5))


def test_candles_of_the_demos_decisions_go_and_their_pages_say_so(btc: Instrument) -> None:
    start = old_candles(btc)
    taken = decided(source(is_demo=True), btc)
    decision = put_back(taken, start + timedelta(seconds=5 * 500))
    assert tasks.remove_old() == 1000
    assert decision_detail.candles_removed(decision)
    assert decision_detail.chart(decision)["known"] == []
    page = signed_in(person("viewer")).get(f"/decisions/{decision.pk}").content.decode()
    assert "those of simulated markets are kept for 14 days" in page


def test_what_an_open_position_has_seen_stays(btc: Instrument) -> None:
    start = old_candles(btc)
    account = Connection.objects.create(name="paper")
    trade = Trade.objects.create(
        connection=account, instrument=btc, side="long", market="simulated", quantity=1, entry_price=100,
        opened_at=start + timedelta(seconds=5 * 400),
    )  # fmt: skip
    assert remove() == 400
    Trade.objects.filter(pk=trade.pk).update(state="closed", closed_at=timezone.now())
    assert remove() == 600


def test_what_an_open_outcome_will_be_resolved_on_stays(btc: Instrument) -> None:
    start = old_candles(btc)
    decision = put_back(decided(source(is_demo=True), btc), start + timedelta(seconds=5 * 400))
    Outcome.objects.filter(decision=decision).update(state="open", void_reason="")
    assert remove() == 400 - 120


def test_what_a_waiting_training_reads_stays(btc: Instrument) -> None:
    old_candles(btc)
    recipe = Recipe(history_days=30, bars_per_day=86_400 / 5)
    run = TrainingRun.objects.create(
        family="reversal-5s-simulated", timeframe=5, simulated=True, trigger="manual", recipe=recipe.as_json()
    )
    assert remove() == 0
    TrainingRun.objects.filter(pk=run.pk).update(state="canceled", finished_at=timezone.now())
    assert remove() == 1000


def test_what_was_looked_at_once_is_not_looked_at_again(btc: Instrument, django_assert_num_queries: Any) -> None:
    old_candles(btc)
    progress: Progress = {}
    while retention.remove_next(progress) is not None:
        pass
    with django_assert_num_queries(1 + 6):  # the series, and who needs what
        assert retention.remove_next(progress) is None
