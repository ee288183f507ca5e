"""The permalink of a decision: from alert to what memory took from it."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.charts import svg
from dashboard.selectors import decision_detail
from market.models import Candle, Quote
from memory import outcomes
from memory.models import Decision, Outcome, Tally
from tests.support.pages import (
    candles,
    decided,
    decision_of,
    fill,
    market,
    person,
    replayed,
    signed_in,
    source,
)

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
    assert all(row[0] >= data["decided_in"] for row in data["after"])
    assert data["levels"]["entry"] == 100.0
    assert data["open"] is True


def test_the_chart_stops_soon_after_the_horizon(viewer, btc) -> None:
    decision = decision_of(decided(source(), btc))
    later(decision, 200, Decimal(100))
    data = decision_detail.chart(Decision.objects.select_related("outcome", "instrument").get())
    assert len(data["after"]) == decision.horizon_bars + 6


def test_a_hole_in_the_candles_of_an_outcome_is_left_open_and_said(viewer, btc) -> None:
    decision = decision_of(decided(source(), btc))
    later(decision, 12, Decimal(100))
    start = decision.outcome.starts_at
    Candle.objects.filter(
        open_time__gte=start + timedelta(seconds=20), open_time__lt=start + timedelta(seconds=35)
    ).delete()
    text = page(viewer, f"/decisions/{decision.pk}")
    assert '12 <span class="unit">of 36</span>' in text
    assert "3 bars without a candle, left open" in " ".join(text.split())
    assert text.count('<polyline class="path"') == 2


def test_where_candles_are_missing_before_it_a_decision_stands_at_its_own_time(viewer, btc) -> None:
    decision = decision_of(decided(source(), btc))
    last = Candle.objects.order_by("-open_time")[10].open_time
    Candle.objects.filter(open_time__gt=last).delete()
    data = json.loads(viewer.get(f"/decisions/{decision.pk}/chart.json").content)
    assert data["known"][-1][0] == last.timestamp()
    assert data["decided_in"] <= decision.as_of.timestamp() < data["decided_in"] + 5


def replay_decision(instrument, bars_ahead: int = 20) -> Decision:
    """Decide on a replay that stands in the middle of the candles there are."""
    moment = Candle.objects.order_by("-open_time")[bars_ahead].open_time
    replayed(instrument, moment)
    return decision_of(decided(source(), instrument))


def test_a_replay_s_decision_shows_nothing_that_the_replay_has_not_reached(viewer, btc) -> None:
    decision = replay_decision(btc)
    assert json.loads(viewer.get(f"/decisions/{decision.pk}/chart.json").content)["after"] == []
    assert '0 <span class="unit">of 36</span>' in page(viewer, f"/decisions/{decision.pk}")
    replayed(btc, decision.as_of + timedelta(seconds=15))
    data = json.loads(viewer.get(f"/decisions/{decision.pk}/chart.json").content)
    assert len(data["after"]) == 3
    text = page(viewer, f"/decisions/{decision.pk}")
    assert '3 <span class="unit">of 36</span>' in text
    assert "Running" in text


def test_a_replay_that_was_set_back_hides_what_lies_ahead_of_it(viewer, btc) -> None:
    decision = replay_decision(btc)
    Outcome.objects.update(
        state="resolved", result="win", exit_at=decision.as_of + timedelta(seconds=5), exit_price=200,
        r_multiple=1.5, return_pct=1.5, known_at=timezone.now(),
    )  # fmt: skip
    replayed(btc, decision.as_of + timedelta(seconds=60))
    assert "+1.50 R" in page(viewer, f"/decisions/{decision.pk}")
    replayed(btc, decision.as_of - timedelta(seconds=60))
    text = page(viewer, f"/decisions/{decision.pk}")
    assert "before this decision: its replay" in text
    for address in (f"/decisions/{decision.pk}", "/decisions", "/"):
        assert "Target first" not in page(viewer, address)
        assert "1.50 R" not in page(viewer, address)
    data = json.loads(viewer.get(f"/decisions/{decision.pk}/chart.json").content)
    newest = max(row[0] for row in data["known"])
    assert newest + 5 <= decision.as_of.timestamp() - 60
    assert data["after"] == data["fills"] == []


def resolved(decision: Decision, r_multiple: float) -> None:
    result = "win" if r_multiple > 0 else "loss"
    Outcome.objects.filter(decision=decision).update(
        state="resolved", result=result, exit_at=decision.as_of, exit_price=100, r_multiple=r_multiple,
        return_pct=r_multiple, known_at=timezone.now(), side="long", entry=100, stop=99, target=102,
    )  # fmt: skip


@pytest.mark.parametrize(("r_multiple", "words"), [(-1.0, "avoided −1.00 R"), (1.5, "missed +1.50 R")])
def test_what_a_close_or_a_refusal_spared_is_neither_won_nor_lost(viewer, btc, r_multiple, words) -> None:
    sender = source()
    for taken in (decided(sender, btc, "flat"), decided(sender, btc)):
        decision = decision_of(taken)
        action = "CLOSE" if decision.intent == "flat" else "HOLD"
        Decision.objects.filter(pk=decision.pk).update(action=action, refused=action == "HOLD")
        resolved(decision, r_multiple)
        text = told(viewer, taken)
        assert words in text
        assert "Nothing was won or lost" in text or "it is not a case" in text
        for address in (f"/decisions/{decision.pk}", "/decisions", "/"):
            text = page(viewer, address).split("<main", 1)[1]
            assert words in text
            for wrong in ("✓ Target first", "✕ Stop first", 'class="pnl up"', 'class="pnl down"'):
                assert wrong not in text
    assert '<span class="confidence row' not in page(viewer, "/decisions")


def test_a_case_of_an_entry_is_won_or_lost_in_colour(viewer, btc) -> None:
    taken = decided(source(), btc)
    resolved(decision_of(taken), -1.0)
    assert '<span class="pnl down">−1.00 R ▼</span>' in told(viewer, taken)
    assert "✕ Stop first" in page(viewer, "/decisions")
    assert '<span class="confidence row' in page(viewer, "/decisions")


def test_thin_evidence_names_what_it_rests_on(viewer, btc) -> None:
    Tally.objects.create(source="other", instrument=btc, side="long", wins=9, cases=72)
    assert "the number rests most on The whole desk, 72 cases." in told(viewer, decided(source(), btc))
    Tally.objects.update(cases=9)
    assert "the number rests most on the base rate." in told(viewer, decided(source("Second"), btc))


def test_only_the_limit_that_bound_is_said_to_have_cut(viewer, btc) -> None:
    text = told(viewer, decided(source(), btc))
    rows = [row for row in text.split("<tr") if "Cut to fit" in row]
    assert len(rows) == 1
    assert "Order size" in rows[0]
    assert "clipped" not in next(row for row in text.split("<tr") if "Position size" in row)


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
    ran = svg.run([(bar, 120, 80, 90) for bar in range(40)], entry=100, stop=95, target=107, horizon=36)
    assert all(0 <= bar.x <= svg.WIDTH and bar.top <= bar.close <= bar.bottom for bar in ran.bars)
    assert ran.target_y < ran.entry_y < ran.stop_y
