"""The permalink of a decision: from alert to what memory took from it."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.charts import svg
from dashboard.selectors import decision_detail
from market.models import Candle, Quote
from memory import outcomes
from memory.models import Decision, Outcome, Tally
from tests.support.pages import candles, decided, decision_of, fill, market, person, signed_in, source

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer():
    return signed_in(person("viewer"))


@pytest.fixture
def btc():
    return market(bars=100)


def page(browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def told(browser, taken) -> str:
    return page(browser, f"/decisions/{taken.decision_id}")


def later(decision: Decision, bars: int, price: Decimal) -> None:
    """Let the market run on for `bars` bars at `price`."""
    start = decision.outcome.starts_at
    Candle.objects.filter(open_time__gte=start).delete()
    candles(decision.instrument, start, bars, price)
    Quote.objects.update(market_time=start + timedelta(seconds=5 * bars), price=price)


def test_an_empty_list_says_what_will_appear(viewer) -> None:
    assert "No decisions yet" in page(viewer, "/decisions")


def test_the_list_shows_confidence_against_break_even_and_can_be_narrowed(viewer, btc) -> None:
    decided(source(), btc)
    decided(source("Other", policy="shadow"), btc, "short")
    assert page(viewer, "/decisions").count('<tr id="decision-') == 2
    assert "break-even" in page(viewer, "/decisions")
    assert page(viewer, "/decisions?source=other").count('<tr id="decision-') == 1
    assert page(viewer, "/decisions?action=CLOSE").count('<tr id="decision-') == 0


def test_the_story_runs_from_the_alert_to_its_lesson(viewer, btc) -> None:
    taken = decided(source(), btc)
    text = told(viewer, taken)
    headings = ["The alert", "What was known then", "Evidence", "Limits checked", "Orders", "Outcome",
                "What memory took from it"]  # fmt: skip
    places = [text.index(f"<h2>{heading}") for heading in headings]
    assert places == sorted(places)
    assert "&quot;symbol&quot;: &quot;BTCUSDT&quot;" in text
    assert f'href="/alerts/{taken.pk}"' in text
    assert "SIMULATED" in text.upper()


def test_evidence_without_cases_says_that_it_is_thin(viewer, btc) -> None:
    text = told(viewer, decided(source(), btc))
    assert "Thin evidence" in text
    assert "no cases yet" in text


def test_evidence_names_wins_and_cases_of_each_level(viewer, btc) -> None:
    Tally.objects.create(source="ema-cross", instrument=btc, side="long", wins=40, cases=50)
    Tally.objects.create(source="other", instrument=btc, side="long", wins=10, cases=50)
    text = told(viewer, decided(source(), btc))
    assert "50 of 100 won" in text
    assert "40 of 50 won" in text
    assert "Thin evidence" not in text
    assert "90 % interval" in text


def test_the_limits_that_were_checked_are_listed(viewer, btc) -> None:
    text = told(viewer, decided(source(), btc))
    for name in ("Desk state", "Daily loss", "Open positions", "Order size", "Position size"):
        assert name in text


def test_an_order_tells_its_life_with_fills(viewer, btc) -> None:
    taken = decided(source(), btc)
    entry = decision_of(taken).order_links.get(leg=0).order
    assert "Waits to be sent" in told(viewer, taken)
    fill(entry)
    text = told(viewer, taken)
    for part in ("Planned", "Sent to the venue", "Accepted by the venue", "Fill ", "100.1", "Filled"):
        assert part in text


def test_a_shadow_decision_says_why_nothing_was_ordered(viewer, btc) -> None:
    text = told(viewer, decided(source(policy="shadow"), btc))
    assert "policy is shadow, so nothing is ordered" in text
    assert "as if it had been traded" in text


def test_a_running_outcome_is_drawn_against_its_barriers(viewer, btc) -> None:
    taken = decided(source(), btc)
    later(decision_of(taken), 6, Decimal(100))
    text = told(viewer, taken)
    assert "Running" in text
    assert 'class="path"' in text
    assert "Nothing yet. Memory learns" in text


def test_a_won_outcome_tells_its_result_and_what_was_learned(viewer, btc) -> None:
    taken = decided(source(), btc)
    later(decision_of(taken), 6, Decimal(200))
    assert outcomes.resolve(btc.pk) == 1
    text = told(viewer, taken)
    assert "✓ Target first" in text
    assert "+1.50 R" in text
    assert "It counts as a win" in text
    assert "stands at 1 win in 1 case now" in text


def test_a_void_outcome_says_why(viewer, btc) -> None:
    taken = decided(source(), btc, "flat")
    assert "There is no outcome: no side was asked for or held" in told(viewer, taken)


def test_real_profit_is_shown_where_there_was_a_trade(viewer, btc) -> None:
    taken = decided(source(), btc)
    made = fill(decision_of(taken).order_links.get(leg=0).order)
    Outcome.objects.filter(decision=taken.decision).update(trade=made.trade)
    assert f'href="/trades/{made.trade_id}"' in told(viewer, taken)


def test_the_chart_keeps_apart_what_was_known_and_what_came_later(viewer, btc) -> None:
    taken = decided(source(), btc)
    decision = decision_of(taken)
    later(decision, 12, Decimal(100))
    data = json.loads(viewer.get(f"/decisions/{decision.pk}/chart.json").content)
    as_of = decision.as_of.timestamp()
    assert len(data["known"]) == 100
    assert all(row[0] + 5 <= as_of for row in data["known"])
    assert len(data["after"]) == 12
    assert all(row[0] >= data["cut"] for row in data["after"])
    assert data["levels"]["entry"] == 100.0
    assert data["open"] is True


def test_the_chart_stops_soon_after_the_horizon(viewer, btc) -> None:
    decision = decision_of(decided(source(), btc))
    later(decision, 200, Decimal(100))
    data = decision_detail.chart(Decision.objects.select_related("outcome", "instrument").get())
    assert len(data["after"]) == decision.horizon_bars + 6


def test_the_story_asks_a_constant_number_of_queries(viewer, btc) -> None:
    few = decided(source(), btc)
    many = decided(source("Other"), btc)
    for _ in range(5):
        fill(decision_of(many).order_links.get(leg=0).order)
    counts = []
    for taken in (few, few, many):
        with CaptureQueriesContext(connection) as found:
            told(viewer, taken)
        counts.append(len(found))
    assert counts[1] == counts[2]


def test_a_waterfall_starts_at_the_base_and_ends_at_the_confidence() -> None:
    levels = [("desk", 10, 20, 0.44), ("source", 2, 10, 0.41)]
    drawn = svg.waterfall(0.4, levels, (0.41, 0.33, 0.5), 0.45)
    assert [bar.direction for bar in drawn.bars] == ["base", "up", "down"]
    assert drawn.low_x < drawn.confidence_x < drawn.high_x
    assert drawn.bars[1].x == drawn.bars[0].width
    assert drawn.confidence_x < drawn.break_even_x
    assert drawn.verdict == "down"


@pytest.mark.parametrize("break_even", [None, 0.2, 1.7])
def test_everything_drawn_stays_inside_the_drawing(break_even) -> None:
    drawn = svg.waterfall(0.99, [("desk", 0, 0, 0.99)], (0.99, 0.0, 1.0), break_even)
    places = [drawn.low_x, drawn.high_x, drawn.confidence_x, drawn.dot_x + 8, drawn.break_even_x or 0]
    assert all(0 <= place <= svg.WIDTH for place in places)
    ran = svg.run([(120, 80, 90)] * 40, entry=100, stop=95, target=107, horizon=36)
    assert all(0 <= bar.x <= svg.WIDTH and bar.top <= bar.close <= bar.bottom for bar in ran.bars)
    assert ran.target_y < ran.entry_y < ran.stop_y
