"""The pages in a real browser: what somebody sees, clicks and is told, live and under the strict policy."""

import contextlib
import re
from collections.abc import Iterator

import psutil
import pytest
import redis
from playwright.sync_api import Browser, Page, expect

from algotrendy import paths
from benchmarks._desk import Bench
from dashboard.live.messages import HINTS_CHANNEL
from dashboard.live.seats import MAX_SOCKETS
from tests.support.browser import WIDE, Complaints, Visit, not_reloaded, visiting, wait_for

pytestmark = pytest.mark.browser

PAGES = ["/", "/alerts", "/decisions", "/trades", "/orders", "/brokers", "/sources", "/health", "/settings",
         "/desk/state", "/brokers/paper"]  # fmt: skip


@pytest.fixture(scope="module")
def webhook(bench: Bench) -> str:
    return bench.source("Browser")


def test_the_first_person_signs_in_by_the_link_and_chooses_a_password(bench: Bench, chromium: Browser) -> None:
    link = re.search(r"http://\S+/welcome/\S+", bench.desk.output)
    assert link, bench.desk.output
    context = chromium.new_context(viewport=WIDE)  # type: ignore[arg-type]
    page, complaints = context.new_page(), Complaints()
    complaints.watch(page)
    page.goto(link[0])
    page.get_by_role("button").first.click()
    for field in page.locator("input[type=password]").all():
        field.fill("a long enough password")
    page.locator("main button[type=submit]").click()
    expect(page.locator(".statusbar")).to_contain_text("Equity")
    page.get_by_role("link", name="Sign out").first.click()
    page.locator("main button[type=submit]").click()
    page.fill("input[name=login]", "admin")
    page.fill("input[name=password]", "a long enough password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator(".statusbar")).to_contain_text("Equity")
    assert not complaints
    context.close()


def test_an_alert_becomes_a_fill_without_a_reload(visit: Visit, webhook: str) -> None:
    desk, inbox, orders = visit.open("/"), visit.open("/alerts"), visit.open("/orders")
    alert = visit.alert(webhook, symbol="BTCUSDT", action="buy")
    expect(inbox.locator(f"#alert-{alert}")).to_contain_text("BTCUSDT")
    expect(desk.locator(".stream li").first).to_contain_text("BTCUSDT")
    expect(desk.locator(".stream li").first).to_contain_text("BUY")
    position = desk.locator("tr[id^=position-]", has_text="BTCUSDT")
    expect(position).to_contain_text("Long")
    expect(orders.locator("tr", has_text="Entry").first).to_contain_text("Filled")
    expect(desk.locator(".statusbar")).to_contain_text("SIMULATED")
    assert all(not_reloaded(page) for page in (desk, inbox, orders))


def test_the_chart_draws_decision_and_fill_and_moves_on(visit: Visit, webhook: str) -> None:
    visit.alert(webhook, symbol="BTCUSDT", action="buy")
    page = visit.open("/?instrument=BTCUSDT")
    expect(page.locator("[data-chart] canvas").first).to_be_visible()
    address = f"{visit.bench.desk.url}/data/markers?symbol=BTCUSDT"
    wait_for(page, lambda: len(page.request.get(address).json()["markers"]) >= 2, "decision and fill")
    before = page.locator("#chart-price").inner_text()
    wait_for(page, lambda: page.locator("#chart-price").inner_text() != before, "the next candle")
    assert not_reloaded(page)


def test_a_position_is_closed_after_a_question(visit: Visit, webhook: str) -> None:
    visit.alert(webhook, symbol="ETHUSDT", action="buy")
    page = visit.open("/")
    close = page.get_by_role("link", name="Close ETHUSDT at market")
    close.click()
    expect(page.locator("dialog")).to_contain_text("Close ETHUSDT at market?")
    page.get_by_role("button", name="Leave it").click()
    expect(page.locator("dialog")).to_be_hidden()
    close.click()
    page.locator("dialog").get_by_role("button", name="Close ETHUSDT at market").click()
    expect(page.locator("h1")).to_contain_text("Order #")
    expect(page.locator("main")).to_contain_text("Filled")
    desk = visit.open("/")
    expect(desk.locator("tr[id^=position-]", has_text="ETHUSDT")).to_have_count(0)


def test_halt_is_one_click_and_every_open_page_shows_it(visit: Visit, webhook: str) -> None:
    other, page = visit.open("/trades"), visit.open("/health")
    page.get_by_role("button", name="HALT").click()
    expect(page.locator("[data-desk-state=halted]")).to_be_visible()
    expect(other.locator("[data-desk-state=halted]")).to_be_visible()
    expect(other.get_by_role("button", name="HALT")).to_be_hidden()
    assert not_reloaded(other)
    alert = visit.alert(webhook, symbol="XRPUSDT", action="buy")
    inbox = visit.open("/alerts")
    expect(inbox.locator(f"#alert-{alert}")).not_to_contain_text("Received")
    desk = visit.open("/")
    expect(desk.locator("tr[id^=position-]", has_text="XRPUSDT")).to_have_count(0)
    _resume(visit.bench)
    expect(other.locator("[data-desk-state=active]")).to_be_visible()


def _resume(bench: Bench) -> None:
    code = (
        "from brokers.services import set_desk_state; set_desk_state(state='active', by=None, reason='test')\n"
        "from dashboard.live.publisher import publisher; publisher.flush()"
    )
    bench.desk.manage("shell", "-v", "0", "-c", code)


def test_a_list_being_read_does_not_move_until_the_pointer_leaves(visit: Visit, webhook: str) -> None:
    visit.alert(webhook, symbol="BNBUSDT", action="buy")
    visit.bench.wait_until_settled()
    first = f"stream-{visit.bench.value('SELECT max(id) FROM memory_decision')}"
    page = visit.open("/")
    expect(page.locator(".stream li").first).to_have_id(first)
    page.locator(".stream li").first.hover()
    visit.alert(webhook, symbol="BNBUSDT", action="flat")
    expect(page.locator(".desk-stream .held")).to_contain_text("new")
    page.wait_for_timeout(600)  # what says so must not push the row away from the pointer
    assert page.locator(".stream li").first.get_attribute("id") == first
    page.mouse.move(5, 5)
    expect(page.locator(".stream li").first).not_to_have_id(first)
    expect(page.locator(".desk-stream .held")).to_be_hidden()


@pytest.mark.parametrize("path", PAGES)
def test_no_page_scrolls_sideways_on_a_phone(phone: Visit, path: str) -> None:
    page = phone.open(path)
    expect(page.locator("h1").first).to_be_attached()
    assert _overflow(page) <= 0


def test_permalinks_do_not_scroll_sideways_on_a_phone(phone: Visit, webhook: str) -> None:
    alert = phone.alert(webhook, symbol="BTCUSDT", action="flat")
    page = phone.open("/decisions")
    paths = [f"/alerts/{alert}"]
    for prefix, where in (("/decisions/", "/decisions"), ("/orders/", "/orders"), ("/trades/", "/trades")):
        page.goto(phone.bench.desk.url + where)
        link = page.locator(f"main a[href^='{prefix}']").first
        paths.append(link.get_attribute("href") or "")
    for path in paths:
        page.goto(phone.bench.desk.url + path)
        assert _overflow(page) <= 0, path


def _overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_the_phone_reaches_every_page_from_its_bottom_bar(phone: Visit) -> None:
    page = phone.open("/")
    expect(page.get_by_role("button", name="HALT")).to_be_in_viewport()
    page.locator(".rail .more summary").click()
    page.locator(".rail .more").get_by_role("link", name="Health").click()
    expect(page).to_have_url(re.compile("/health$"))


def test_the_filters_say_what_the_list_shows_after_back(visit: Visit) -> None:
    page = visit.open("/trades")
    page.select_option("#f-side", "short")
    expect(page).to_have_url(re.compile("side=short"))
    expect(page.locator("#f-side")).to_have_value("short")
    page.go_back()
    expect(page).to_have_url(re.compile("/trades$"))
    expect(page.locator("#f-side")).to_have_value("")


def test_a_state_is_read_out_when_it_changes_and_money_never(visit: Visit) -> None:
    page = visit.open("/orders")
    spoken = page.locator("#desk-announcement")
    expect(spoken).to_be_empty()
    page.evaluate(
        """() => {
          document.querySelector("#st-equity").textContent = "1";
          document.dispatchEvent(new CustomEvent("desk:changed"));
        }"""
    )
    expect(spoken).to_be_empty()
    page.evaluate(
        """() => {
          document.querySelector("[data-announce]").dataset.announce = "The desk is halted.";
          document.dispatchEvent(new CustomEvent("desk:changed"));
        }"""
    )
    expect(spoken).to_have_text("The desk is halted.")


def test_dark_is_chosen_and_kept(visit: Visit) -> None:
    page = visit.open("/orders")
    page.get_by_role("button", name="Dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    page.get_by_role("button", name="Light theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_the_pages_read_well_without_javascript(bench: Bench, chromium: Browser, cookie: str) -> None:
    context = chromium.new_context(viewport=WIDE, java_script_enabled=False)  # type: ignore[arg-type]
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": bench.desk.url}])
    page = context.new_page()
    for path in PAGES:
        page.goto(bench.desk.url + path)
        expect(page.locator(".statusbar")).to_contain_text("Equity")
    page.goto(bench.desk.url + "/trades")
    page.select_option("#f-side", "short")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("side=short"))
    context.close()


def test_the_keyboard_gets_past_the_frame(visit: Visit) -> None:
    page = visit.open("/orders")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.fixture
def witness(bench: Bench, chromium: Browser, cookie: str) -> Iterator[Visit]:
    """Somebody who watches a failure: the browser itself reports broken connections, so they are not counted."""
    context = chromium.new_context(viewport=WIDE)  # type: ignore[arg-type]
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": bench.desk.url}])
    yield Visit(bench, context)
    bench.desk.wait_until_ready()
    context.close()


def sees_a_new_alert(visit: Visit, page: Page, webhook: str) -> None:
    alert = visit.alert(webhook, symbol="XRPUSDT", action="flat")
    expect(page.locator(f"#alert-{alert}")).to_contain_text("Decided")
    expect(page.locator("#connection-state")).to_be_hidden()
    assert not_reloaded(page)


def test_a_page_outlives_the_web_process_and_says_so(witness: Visit, webhook: str) -> None:
    page = witness.open("/alerts")
    witness.bench.desk.kill("web")
    expect(page.locator("#connection-state")).to_contain_text("Reconnecting… You see data from")
    witness.bench.desk.wait_until_ready()
    sees_a_new_alert(witness, page, webhook)


def test_a_page_outlives_valkey(witness: Visit, webhook: str) -> None:
    page = witness.open("/alerts")
    witness.bench.desk.kill("valkey")
    sees_a_new_alert(witness, page, webhook)


def test_a_page_outlives_the_database_and_says_so(witness: Visit, webhook: str) -> None:
    page = witness.open("/alerts")
    with frozen(witness.bench.desk.pid("postgres")), valkey_of(witness.bench) as valkey:
        valkey.publish(HINTS_CHANNEL, '{"type": "hint", "topics": ["alerts"]}')
        expect(page.locator("#connection-state")).to_contain_text(
            "The database does not answer. You see data from"
        )
    sees_a_new_alert(witness, page, webhook)
    witness.bench.desk.kill("postgres")
    witness.bench.desk.wait_until_ready()
    sees_a_new_alert(witness, page, webhook)


# Opens `count` sockets in the page and answers when each was let in.
HOARD = """(count) => {
  window.hoard = Array.from({ length: count }, () => new WebSocket(`ws://${location.host}/ws/desk/?topics=status`));
  return Promise.all(window.hoard.map((socket) => new Promise((done) => { socket.onmessage = done; })));
}"""


@pytest.fixture
def newcomer(bench: Bench, chromium: Browser) -> Iterator[Visit]:
    """Somebody who holds no socket yet: the pages of other tests may not all have been let go of."""
    with visiting(bench, chromium, WIDE, cookie=bench.watchers(1)[0]) as visit:
        yield visit


def test_somebody_with_too_many_live_pages_is_told_so_and_let_in_when_one_closes(newcomer: Visit) -> None:
    visit = newcomer
    first = visit.open("/alerts")
    first.evaluate(f"async (count) => {{ await ({HOARD})(count); }}", MAX_SOCKETS - 1)
    page = visit.open("/orders", live=False)
    page.evaluate("document.addEventListener('desk:reconnected', () => { window.letIn = true; })")
    state = page.locator("#connection-state")
    expect(state).to_contain_text("You have too many live pages open: close some. You see data from")
    expect(state).to_contain_text("this page tries again")
    expect(first.locator("#connection-state")).to_be_hidden()
    first.evaluate("window.hoard.forEach((socket) => socket.close())")
    expect(state).to_be_hidden()
    # What it missed meanwhile is read anew.
    wait_for(page, lambda: page.evaluate("window.letIn === true"), "its charts to hear of it")
    assert not_reloaded(page)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Hold a process and its children until the block ends: connections stay, answers don't come."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def valkey_of(bench: Bench) -> redis.Redis:
    return redis.Redis.from_url(paths.embedded_redis_url(bench.desk.data))
