"""The charts in a real browser: nothing is lost unseen, a hole is a hole, the price moves between bars."""

import json
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
          const text = document.getElementById("chart-price").textContent;
          const {{ price, color }} = chart.last.options();
          return {{ last: chart.items.at(-1), forming, text, price, color }};
        }}"""
    )
    assert drawn["text"] == "69,500.75"
    opened, _, high, low, close = drawn["last"]
    assert (opened, close) == (drawn["forming"], 69500.75)
    assert high >= 70000.5
    assert low <= 69000.25
    # Its line and label too, in a colour that is not the ground's, as the body of a rising candle is.
    assert drawn["price"] == 69500.75
    ground = page.evaluate("import('/static/js/theme.js').then((theme) => theme.colours().panel)")
    assert drawn["color"] not in ("", ground)


def test_a_price_on_a_chart_is_written_as_everywhere(visit: Visit) -> None:
    page = chart_page(visit)
    assert page.evaluate(f"{CHART}.candles.priceFormatter().format(69500.7512)") == "69,500.75"


def test_the_newest_candle_stands_left_of_the_titles_of_the_lines(visit: Visit) -> None:
    page = chart_page(visit)
    room = page.evaluate(
        f"""() => {{
          const chart = {CHART};
          const line = (id, text) => ({{ id, text, price: chart.rows.at(-1)[4], kind: "entry", url: "/" }});
          return [[], [line("p1", "long 12,345,678.9")], [line("p1", "W".repeat(400))]].map((lines) => {{
            chart.setLines(lines);
            return chart.chart.timeScale().options().rightOffsetPixels;
          }});
        }}"""
    )
    short, long, endless = room
    assert short == 36
    assert 100 < long < 160
    # However long it is, two thirds are left to the candles.
    assert endless == round(page.evaluate(f"{CHART}.element.clientWidth") / 3)


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
    # A date and a time break no line: hyphens and spaces inside them are of the kind that stays together.
    stretches = ("[[0, 4000]]", "[[0, 4e5], [4e5, 8e5], [8e5, 9e5], [9e5, 1e6]]")
    texts = [series(page, f"gapsText({holes})") for holes in stretches]
    assert [text.replace("\u00a0", " ").replace("\u2011", "-") for text in texts] == [
        "No equity was marked from 1970-01-01 00:00 to 01:06 UTC: left open.",
        "No equity was marked from 1970-01-05 15:06 to 1970-01-10 06:13, 1970-01-10 06:13 to 1970-01-11 10:00, "
        "1970-01-11 10:00 to 1970-01-12 13:46 UTC, and 1 earlier stretch: left open.",
    ]
    expect(page.locator("#equity-holes")).to_contain_text("No equity was marked from")


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [
        (100_000, 100_000, [99_950, 100_050]),
        (100_000, 100_020, [99_959.99, 100_060.01]),
        (100_000, 110_000, [99_000, 111_000]),
        (-40, -40, [-40.02, -39.98]),
        (0, 0, [-0.5, 0.5]),
        (None, None, [0, 1]),
    ],
)
def test_an_axis_is_a_band_around_what_is_drawn(
    visit: Visit, low: float | None, high: float | None, ends: list[float]
) -> None:
    page = visit.open("/")
    assert series(page, f"bandAround({json.dumps(low)}, {json.dumps(high)})") == pytest.approx(ends)


def test_ticks_are_told_apart_and_a_day_is_named_where_it_begins(visit: Visit) -> None:
    page = visit.open("/")
    assert [series(page, f"digitsOf({step})") for step in (1000, 2.5, 0.05, 0.0025)] == [0, 1, 2, 4]
    midnight = 1_795_737_600
    ticks = [(midnight + 3600, 3600), (midnight, 3600), (midnight + 3600, 86_400), (midnight + 5, 5)]
    texts = [series(page, f"tickText({at}, {step})") for at, step in ticks]
    assert texts == ["01:00", "27 Nov", "27 Nov", "00:00:05"]


def test_a_constant_curve_has_a_narrow_axis_and_its_value_beside_its_name(visit: Visit) -> None:
    page = visit.open("/")
    wait_for(page, lambda: page.evaluate(f"Boolean({CURVE}?.plot)"), "the curve")
    # In one call: what comes live moves the curve.
    drawn = page.evaluate(
        f"""async () => {{
          const curve = {CURVE};
          const now = Date.now() / 1000;
          curve.spacing = 9000;
          curve.times = [now - 120, now - 60];
          curve.values = [100000, 100000];
          curve.draw();
          curve.add(100000);
          await null;
          const {{ min, max }} = curve.plot.scales.y;
          const text = document.getElementById("equity-now").textContent;
          return {{ min, max, text, label: curve.element.ariaLabel }};
        }}"""
    )
    assert (drawn["min"], drawn["max"]) == pytest.approx((99_950, 100_050))
    assert drawn["text"] == "100,000.00 USDT"
    assert drawn["label"] == "Equity curve, now 100,000.00 USDT"


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
