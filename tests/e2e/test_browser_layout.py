"""What must be in view at every width of a window: the kind of money, the way out, profit and Close."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState

from benchmarks._desk import Bench, post
from tests.support.browser import PASSWORD, WIDE, visiting

pytestmark = pytest.mark.browser

WIDTHS = (320, 390, 768, 1024, 1180, 1440)
HEIGHT = 800
LONG = "Wwwwwwwwww-Wwwwwwwwww-Wwwwwwwwww-Wwwwwww"
# Two positions that no price can close, somebody with a long name who has changed something, an alert that failed,
# and a second kind of market beside the simulated one.
SCENE = """
from brokers.models import Connection, Position
from market.models import Feed, Instrument
paper = Connection.objects.get(name="paper")
for symbol in ("BTCUSDT", "ETHUSDT"):
    instrument = Instrument.objects.get(symbol=symbol)
    held = {"quantity": "12.34567", "average_price": instrument.quote_now.price - 1000}
    Position.objects.update_or_create(connection=paper, instrument=instrument, defaults=held)
feed = Feed.objects.create(name="looks", driver="replay", enabled=True, timeframe=60)
Instrument.objects.create(symbol="PEPEUSDT", base="PEPE", quote="USDT", feed=feed)
from tests.support import model_pages
model_pages.version("rejected", name="20250101_000000")
from django.contrib.auth.models import User
from algotrendy.history.changes import note
from webhooks.models import Alert, Source
long = User.objects.create_user("LONG")
note(long, long, "changed what takes a good many words to be told on one line of a phone")
Source.objects.update(name="LONG")
newest = Alert.objects.latest("pk")
words = {"state": "failed", "reason": "not understood " * 9, "received_at": newest.received_at}
Alert.objects.create(source=newest.source, body=b"x", idempotency_key="looks", **words)
""".replace("LONG", LONG)
# Each returns in words what is wrong, at this very moment: the page goes on living.
HELPERS = """
const box = (element) => element.getBoundingClientRect();
const name = (element) => element.textContent.trim().replace(/\\s+/g, " ") || element.title;
// Whether all of an element can be seen: inside the window, in the size of its text, and nothing on top of it.
const hidden = (element) => {
  const { left, right, top, bottom, width } = box(element);
  const outside = left < 0 || right > innerWidth + .5 || top < 0 || bottom > innerHeight + .5;
  if (!width || outside) return `${name(element)} is out of view`;
  if (element.scrollWidth > Math.ceil(width)) return `${name(element)} is cut`;
  for (const x of [left + 2, (left + right) / 2, right - 2]) {
    for (const y of [top + 2, (top + bottom) / 2, bottom - 2]) {
      const front = document.elementFromPoint(x, y);
      if (!element.contains(front)) return `${name(element)} is covered by ${front?.className || front?.tagName}`;
    }
  }
};
"""
FRAME = """() => {
  HELPERS
  const wrong = [];
  const root = document.documentElement;
  for (const fold of document.querySelectorAll("details.fold")) fold.open = true;
  const sideways = root.scrollWidth - root.clientWidth;
  if (sideways > 0) {
    const far = [...document.querySelectorAll("main *")].filter((part) => box(part).right > root.clientWidth);
    wrong.push(`the page scrolls sideways by ${sideways}: ${far.slice(-3).map(name)}`);
  }
  for (const table of document.querySelectorAll(".table-box:has(.stackable)"))
    if (table.scrollWidth > table.clientWidth + 1) wrong.push(`the table ${name(table).slice(0, 40)} is cut`);
  for (const date of document.querySelectorAll(".stackable time.utc"))
    if (date.getClientRects().length > 1) wrong.push(`the date ${name(date)} is broken`);
  const marks = [...document.querySelectorAll(".statusbar .badge")];
  const badges = marks.filter((badge) => /MONEY|REPLAY/.test(name(badge)));
  if (badges.length !== 2) wrong.push(`marks of money and market: ${badges.map(name)}`);
  for (const element of [...badges, document.querySelector(".halt-form button")]) wrong.push(hidden(element));
  const more = document.querySelector(".more details");
  more.open = Boolean(more.offsetWidth);
  for (const way of ["a[href$='/logout/']", ".theme-form button"]) {
    const seen = [...document.querySelectorAll(`.rail ${way}`)].filter((element) => element.offsetWidth);
    wrong.push(seen.length === 1 ? hidden(seen[0]) : `${seen.length} of ${way}`);
  }
  more.open = false;
  return wrong.filter(Boolean);
}""".replace("HELPERS", HELPERS)
# The longest that is usual: a million, a day of five figures, ages of an hour.
ONE_LINE = """() => {
  HELPERS
  const texts = { "st-equity": "1,234,567.89 USDT", "st-today": "−12,345.67 ▼" };
  for (const [id, text] of Object.entries(texts)) document.getElementById(id).textContent = text;
  for (const age of document.querySelectorAll(".status time.age")) age.textContent = "59 min";
  const items = [...document.querySelectorAll(".statusbar .status-item")].filter((item) => item.offsetWidth);
  const first = box(items[0]);
  const lower = items.filter((item) => box(item).top >= first.bottom);
  const below = lower.map((item) => `${name(item)} is on another line`);
  const { height } = box(document.querySelector(".statusbar"));
  return height > 60 ? [...below, `the bar is ${height} high`] : below;
}""".replace("HELPERS", HELPERS)
CARD = """() => {
  HELPERS
  const card = document.querySelector(".door-card");
  const { right } = box(card);
  const runsOut = (part) => part.scrollWidth > part.clientWidth + 1 || box(part).right > right;
  const parts = [...card.querySelectorAll("h1, p, .button")].filter(runsOut);
  return parts.map((part) => `${name(part)} runs out of the card`);
}""".replace("HELPERS", HELPERS)
EMPTIED = """() => {
  const panel = document.querySelector(".desk-stream");
  const full = panel.offsetHeight;
  panel.querySelector(".live-region").innerHTML = '<div class="empty"><p class="title">No decisions yet</p></div>';
  return [full, panel.offsetHeight];
}"""
POSITIONS = """() => {
  HELPERS
  const rows = [...document.querySelectorAll(".desk-positions tbody tr")];
  const cells = rows.flatMap((row) => [...row.querySelectorAll(".gain .pnl, .actions-cell .button")]);
  return cells.map((element) => {
    // Up and down only: what has to be scrolled to sideways is not in view.
    scrollTo(0, scrollY + box(element).top - innerHeight / 2);
    return hidden(element);
  }).filter(Boolean).concat(rows.length >= 2 ? [] : [`${rows.length} positions`]);
}""".replace("HELPERS", HELPERS)
STREAM = """() => {
  const [symbol, badge] = [".symbol", ".badge"].map((part) => document.querySelector(`.stream .line ${part}`));
  symbol.textContent = "1000WWWWUSDT";
  const text = document.createRange();
  text.selectNodeContents(symbol);
  const clipped = getComputedStyle(symbol).overflowX === "hidden";
  const { right } = (clipped ? symbol : text).getBoundingClientRect();
  return right > badge.getBoundingClientRect().left ? ["a symbol of twelve letters lies under its badge"] : [];
}"""
FIELDS = """() => {
  HELPERS
  // Of a textarea the browser shows the line with the caret, which is enough.
  const fields = [...document.querySelectorAll("main :is(input:not([type=hidden]), select)")];
  const towards = (list) => list.map((field) => {
    field.focus();
    return hidden(field)?.replace(/.* is/, `${field.name} is`);
  });
  return [...towards(fields), ...towards(fields.reverse())].filter(Boolean);
}""".replace("HELPERS", HELPERS)


PAGES = (
    "/", "/alerts", "/alerts/{alert}", "/decisions", "/decisions/{decision}", "/trades", "/trades/1", "/orders",
    "/orders/1", "/models", "/models/train", "/models/20250101_000000", "/brokers", "/brokers/paper", "/sources",
    "/sources/{source}", "/health", "/settings", "/desk/state",
)  # fmt: skip


@pytest.fixture(scope="module")
def scene(bench: Bench) -> Iterator[Bench]:
    """A desk that stands still, with two positions, a decision, an order and a trade."""
    url = bench.source("Layout")
    assert post(url, json.dumps({"id": "layout", "symbol": "XRPUSDT", "action": "buy"}))[0] in (200, 202)
    bench.wait_until_settled()
    with bench.paused("feed"):
        bench.desk.manage("shell", "-v", "0", "-c", SCENE)
        yield bench


@pytest.fixture(scope="module")
def page(scene: Bench, chromium: Browser, signed_in: StorageState) -> Iterator[Page]:
    with visiting(scene, chromium, WIDE, state=signed_in) as visit:
        yield visit.open("/")


def at_every_width(page: Page, *judges: str) -> list[str]:
    """Return what is wrong with the open page at any width, by each of `judges`."""
    wrong = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        wrong += [f"{width}: {words}" for judge in judges for words in page.evaluate(judge)]
    return wrong


def test_no_page_hides_money_or_the_way_out_or_scrolls_sideways(scene: Bench, page: Page) -> None:
    last = "SELECT max(id) FROM {}"
    names = {"alert": "webhooks_alert", "decision": "memory_decision", "source": "webhooks_source"}
    ids = {name: scene.value(last.format(table)) for name, table in names.items()}
    wrong = {}
    for path in PAGES:
        answer = page.goto(scene.desk.url + path.format(**ids))
        assert answer is not None
        assert answer.status == 200, path
        wrong[path] = at_every_width(page, FRAME)
    assert {path: words for path, words in wrong.items() if words} == {}


def test_profit_and_close_of_every_position_can_be_seen_at_every_width(scene: Bench, page: Page) -> None:
    page.goto(scene.desk.url)
    assert at_every_width(page, POSITIONS, STREAM) == []


def test_a_long_name_stays_inside_the_card_of_signing_in(scene: Bench, chromium: Browser) -> None:
    link = scene.desk.manage("sign_in_link", LONG).strip()
    with visiting(scene, chromium, WIDE) as visit:
        page = visit.context.new_page()
        page.goto(link)
        assert LONG in page.locator("main").inner_text()
        assert at_every_width(page, CARD) == []


def test_an_empty_stream_is_as_high_as_its_words(scene: Bench, page: Page) -> None:
    page.goto(scene.desk.url)
    page.set_viewport_size({"width": 1024, "height": HEIGHT})
    full, empty = page.evaluate(EMPTIED)
    assert full <= 480
    assert empty < 240


@pytest.mark.parametrize("width", [1024, 1180, 1440])
def test_the_status_bar_has_one_line_on_a_screen_that_is_not_a_phones(
    scene: Bench, page: Page, width: int
) -> None:
    page.goto(scene.desk.url + "/orders")
    page.set_viewport_size({"width": width, "height": HEIGHT})
    assert page.evaluate(ONE_LINE) == []


def test_a_focused_field_is_never_under_the_bars(scene: Bench, page: Page) -> None:
    page.goto(f"{scene.desk.url}/sources/new")
    if "reauthenticate" in page.url:
        page.fill("input[name=password]", PASSWORD)
        page.get_by_role("button", name="Confirm").click()
    assert page.locator("main select").count()
    assert at_every_width(page, FIELDS) == []
