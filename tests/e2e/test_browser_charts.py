"""The charts in a real browser: nothing is lost unseen, a hole is a hole, the price moves between bars."""

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visit, wait_for

pytestmark = pytest.mark.browser
CHART = "document.querySelector('[data-chart]').chart"
CURVE = "document.querySelector('[data-equity]').curve"
# Whether what is drawn has a candle for each five seconds.
WHOLE = f"{CHART}.times.every((time, n, all) => !n || time - all[n - 1] === 5)"


def chart_page(visit: Visit) -> Page:
    """Open the desk and wait until its chart has drawn candles."""
    page = visit.open("/?instrument=BTCUSDT")
    wait_for(page, lambda: page.evaluate(f"Boolean({CHART}?.times.length && {CHART}.drawn)"), "the chart")
    return page


def series(page: Page, call: str) -> Any:
    """Return what a function of the module of series answers."""
    return page.evaluate(f"async () => (await import('/static/js/series.js')).{call}")


def test_candles_that_were_missed_are_fetched_with_the_next_that_comes(visit: Visit) -> None:
    page = chart_page(visit)
    # As after a minute with a hidden tab: the end of the chart was never sent.
    page.evaluate(f"{CHART}.setCandles({CHART}.rows.slice(0, -20))")
    before = page.evaluate(f"{CHART}.times.at(-1)")
    wait_for(page, lambda: page.evaluate(f"{CHART}.times.at(-1)") > before + 50, "the next candle")
    assert page.evaluate(WHOLE)


@pytest.mark.parametrize("event", ["visibilitychange", "desk:reconnected"])
def test_a_page_that_comes_back_reads_its_charts_anew(visit: Visit, event: str) -> None:
    page = chart_page(visit)
    for address in ("/data/candles", "/data/equity"):
        with page.expect_request(lambda request, address=address: address in request.url):
            page.evaluate(f"document.dispatchEvent(new Event('{event}'))")


def test_a_socket_that_comes_back_is_said_to_the_charts(visit: Visit) -> None:
    page = chart_page(visit)
    page.evaluate("document.addEventListener('desk:reconnected', () => { window.reconnected = true; })")
    for reconnected in (None, True):
        assert page.evaluate("window.reconnected ?? null") is reconnected
        page.evaluate("document.body.dispatchEvent(new CustomEvent('htmx:ws:after:connection'))")


def test_the_forming_candle_and_the_price_move_with_the_quote(visit: Visit) -> None:
    page = chart_page(visit)
    # In one call: a real candle may close at any time.
    drawn = page.evaluate(
        f"""() => {{
          const chart = {CHART};
          const forming = chart.times.at(-1) + 5;
          const send = (price) => chart.element.dispatchEvent(new CustomEvent("desk:data", {{ detail: {{
            timeframe: 5, kind: chart.data.kind, as_of: forming + 2, candles: chart.rows.slice(-5), price, forming,
            markers: [], lines: [],
          }} }}));
          [70000.5, 69000.25, 69500.75].forEach(send);
          return {{ last: chart.items.at(-1), forming, text: document.getElementById("chart-price").textContent }};
        }}"""
    )
    assert drawn["text"] == "69,500.75"
    opened, _, high, low, close = drawn["last"]
    assert (opened, close) == (drawn["forming"], 69500.75)
    assert high >= 70000.5
    assert low <= 69000.25


def test_a_hole_in_the_data_is_left_open_and_said(visit: Visit) -> None:
    page = chart_page(visit)
    assert series(page, "withHoles([[0, 1], [5, 1], [20, 1]], 5)") == {
        "drawn": [[0, 1], [5, 1], [10], [15], [20, 1]],
        "missing": 2,
    }
    page.evaluate(f"{CHART}.setCandles([...{CHART}.rows.slice(0, -9), ...{CHART}.rows.slice(-6)])")
    page.evaluate(f"{CHART}.redrawMarks()")
    expect(page.locator("#chart-holes")).to_contain_text("3 candles are missing here and left open.")


def test_more_holes_than_are_drawn_are_not_called_open(visit: Visit) -> None:
    page = chart_page(visit)
    assert series(page, "holesText(2001)") == "2001 candles are missing here, of which 2000 are left open."


def test_no_line_of_equity_crosses_a_time_without_marks(visit: Visit) -> None:
    start = time.time() - 8000
    # Far enough apart that what comes live does not move the last of them along, and leaves no further hole.
    points = [[start, 100.0], [start + 10, 101.0], [start + 4000, 99.0], [start + 4100, 98.0]]
    answer = {"currency": "USDT", "points": points, "holes": [[start + 10, start + 4000]], "spacing": 9000}
    visit.context.route("**/data/equity*", lambda route: route.fulfill(json=answer))
    page = visit.open("/")
    wait_for(page, lambda: page.evaluate(f"Boolean({CURVE}?.plot)"), "the curve")
    assert page.evaluate(f"{CURVE}.plot.data[1].slice(0, 5)") == [100.0, 101.0, None, 99.0, 98.0]
    assert page.evaluate(f"{CURVE}.plot.data[0][2]") == start + 2005
    assert series(page, "gapsText([[0, 4000]])") == (
        "No equity was marked from 1970-01-01 00:00 to 1970-01-01 01:06 UTC: left open."
    )
    expect(page.locator("#equity-holes")).to_contain_text("No equity was marked from")


def test_a_mark_that_comes_late_leaves_the_time_before_it_open(visit: Visit) -> None:
    page = visit.open("/")
    wait_for(page, lambda: page.evaluate(f"Boolean({CURVE}?.plot)"), "the curve")
    values = page.evaluate(
        f"""() => {{
          const curve = {CURVE};
          curve.times = curve.times.slice(0, 2).map((time) => time - 1200);
          curve.values = curve.values.slice(0, 2);
          curve.add(12345);
          return curve.plot.data[1];
        }}"""
    )
    assert values[-2:] == [None, 12345]
    expect(page.locator("#equity-holes")).to_contain_text("No equity was marked from")


def test_no_mark_sits_on_a_candle_of_another_time(visit: Visit) -> None:
    page = chart_page(visit)
    assert series(page, "barOf([0, 5, 20], 7, 5)") == 5
    assert series(page, "barOf([0, 5, 20], 12, 5) ?? null") is None
    # What is later than the last candle belongs to the one that is coming.
    assert series(page, "barOf([0, 5, 20], 27, 5)") == 20
