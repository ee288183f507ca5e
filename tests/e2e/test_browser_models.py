"""The pages of models in a real browser: a training moves live, who speaks changes, predictions are drawn."""

from typing import Any

import pytest
from playwright.sync_api import Route, expect

from algotrendy.locks import key
from benchmarks._desk import Bench
from tests.support.browser import PHONE, Visit, not_reloaded

pytestmark = pytest.mark.browser
LOCK = "mlmodels.training"
NAME = "20250101_000000"
FAMILY = "reversal-5m-real"
# Whoever trains lives in a process of its own: so does this.
TRAIN = """
from mlmodels.registry import families
from mlmodels.training import runs
from mlmodels.registry.families import FamilyKey
run = runs.begin(family_key=FamilyKey(300, False), trigger="first")
runs.write(run.pk, "fold 1 of 5: log-loss 0.5201", step="walk-forward", progress=0.26)
print(run.pk)
"""
MOVE = """
from mlmodels.training import runs
runs.write({run}, "fold 3 of 5: log-loss 0.5311", step="walk-forward", progress=0.46)
from dashboard.live.publisher import publisher
publisher.flush()
"""
FAIL = """
from mlmodels.training import runs
runs.end({run}, "failed", error="Not enough history: 3.1 of 35 days. Nothing was changed.")
from dashboard.live.publisher import publisher
publisher.flush()
"""
CHAMPION = """
from tests.support import model_pages as make
from market.models import Instrument
made = make.version("champion", name="{name}", family="{family}-x")
make.predictions(made, Instrument.objects.get(symbol="BTCUSDT"), 30)
"""


@pytest.fixture(scope="module")
def bench(bench: Bench) -> Bench:
    """A desk as if a training ran: it takes a running row for dead once this lock is free."""
    bench.rows("SELECT pg_advisory_lock(%s)", [key(LOCK)])
    return bench


def run(bench: Bench, code: str, **names: Any) -> str:
    return bench.desk.manage("shell", "-v", "0", "-c", code.format(**names) if names else code)


def test_a_training_moves_on_the_desk_on_models_and_on_its_own_page(visit: Visit) -> None:
    bench = visit.bench
    pk = run(bench, TRAIN).split()[-1]
    pages = [visit.open(path) for path in ("/", "/models", f"/models/runs/{pk}")]
    for page in pages:
        expect(page.locator("main")).to_contain_text("26 %")
    run(bench, MOVE, run=pk)
    for page in pages:
        expect(page.locator("main")).to_contain_text("46 %")
        expect(page.locator("main")).to_contain_text("fold 3 of 5")
    run(bench, FAIL, run=pk)
    expect(pages[2].locator("main")).to_contain_text("3.1 of 35 days")
    expect(pages[1].locator("main")).to_contain_text("Not enough history")
    assert all(not_reloaded(page) for page in pages)


def test_predictions_are_drawn_on_the_price_and_fit_a_phone(visit: Visit) -> None:
    run(visit.bench, CHAMPION, name=NAME, family=FAMILY)
    page = visit.open(f"/models/{NAME}")
    page.get_by_text("Predictions on the price").click()
    expect(page.locator("[data-predictions] canvas").first).to_be_visible()
    expect(page.locator("[data-predictions] .chart-note")).to_have_count(0)
    page.set_viewport_size(PHONE)
    for path in (f"/models/{NAME}", "/models", "/models/train"):
        page.goto(visit.bench.desk.url + path)
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path


def test_the_chart_of_predictions_leaves_holes_open_and_says_so(visit: Visit) -> None:
    run(visit.bench, CHAMPION, name=f"{NAME}_2", family=f"{FAMILY}-2")

    def with_hole(route: Route) -> None:
        data = route.fetch().json()
        times = [row[0] for row in data["candles"]]
        first, last = times[-12], times[-9]
        data["candles"] = [row for row in data["candles"] if not first <= row[0] <= last]
        data["predictions"] = [[first, 0.6, "peak", "open"], [times[-2], 0.6, "peak", "open"]]
        route.fulfill(json=data)

    visit.context.route("**/data/predictions*", with_hole)
    page = visit.open(f"/models/{NAME}_2")
    page.get_by_text("Predictions on the price").click()
    holes = page.locator("#chart-holes")
    expect(holes).to_contain_text("4 candles are missing here and left open. 1 mark of that time can't be drawn.")


def test_cancelling_asks_in_a_dialog_first(visit: Visit) -> None:
    pk = run(visit.bench, TRAIN).split()[-1]
    page = visit.open(f"/models/runs/{pk}")
    page.get_by_role("link", name="Cancel…").click()
    expect(page.locator("dialog")).to_contain_text("Whoever speaks goes on speaking.")
    page.get_by_role("button", name=f"Cancel training #{pk}").click()
    expect(page.locator("main")).to_contain_text("Cancelled.")
