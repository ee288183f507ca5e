"""From the commit of an alert to its row in a real browser's page, while a hundred pages are open."""

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from algotrendy.bench import Figure
from algotrendy.testing import find_chromium
from benchmarks._desk import Bench, alternating_bodies
from benchmarks._floors import process
from benchmarks._load import Plan, generate, quantile

if TYPE_CHECKING:
    from playwright.sync_api import Page

SOCKETS = 99  # and the browser's own
WATCHERS = 9  # people who have them open
RATE, SECONDS = 2.0, 40.0
P95_MS = 250
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update"]  # fmt: skip
#: Notes when a row of an alert first is in the document; wall time in milliseconds.
WATCH = """() => {
    window.seen = {};
    const note = () => {
        const now = Date.now();
        for (const row of document.querySelectorAll('tr[id^="alert-"]')) window.seen[row.id] ??= now;
    };
    note();
    new MutationObserver(note).observe(document.body, {childList: true, subtree: true, attributes: true});
}"""


class Received(TypedDict, total=False):
    """How many messages each socket got, and how many sockets broke; empty while they are open."""

    messages: list[int]
    broken: int


def to_browser(bench: Bench) -> Iterator[Figure]:
    """Yield how long after its commit an alert is in the page.

    Counted from `received_at`, which the door writes down just before the commit: a little more than was asked.
    """
    url, cookie = bench.source("bench live"), bench.session()
    with open_sockets(bench, bench.watchers(WATCHERS)) as received, page(bench, cookie) as browser_page:
        browser_page.evaluate(WATCH)
        known = set(browser_page.evaluate("Object.keys(window.seen)"))
        result = generate(Plan(url, alternating_bodies("d"), "paced", 4, seconds=SECONDS, rate=RATE))
        browser_page.wait_for_timeout(3000)
        seen: dict[str, float] = browser_page.evaluate("window.seen")
    delays = _delays(bench, {row: at for row, at in seen.items() if row not in known})
    missed = result.accepted - len(delays)
    against = f"{SOCKETS + 1} sockets, {RATE:g} alerts/s for {SECONDS:g} s: {len(delays)} rows seen"
    p95 = quantile(delays, 0.95)
    yield Figure("browser_p50", round(quantile(delays, 0.5), 1), "ms", against)
    yield Figure("browser_p95", round(p95, 1), "ms", against, f"≤ {P95_MS}", p95 <= P95_MS and not missed)
    yield Figure("browser_max", round(max(delays, default=float("nan")), 1), "ms", against)
    yield Figure("browser_missed", missed, "rows", "accepted, but never in the page", "= 0", not missed)
    counts = received["messages"]
    spread = f"least {min(counts)}, most {max(counts)}, {received['broken']} of {len(counts)} sockets broke"
    yield Figure("messages_per_socket", round(sum(counts) / len(counts), 1), "messages", spread)


def _delays(bench: Bench, seen: dict[str, float]) -> list[float]:
    ids = [int(row.removeprefix("alert-")) for row in seen]
    query = "SELECT id, extract(epoch FROM received_at)::float8 * 1000 FROM webhooks_alert WHERE id = ANY(%s)"
    return [seen[f"alert-{alert}"] - received for alert, received in bench.rows(query, [ids])]


def _wait_for_frames(opened: "Page", frames: list[str | bytes]) -> None:
    """Return once the page got a message; waiting in the page's own loop lets it happen."""
    for _ in range(150):
        if frames:
            return
        opened.wait_for_timeout(100)
    raise TimeoutError("the page's socket got no message in 15 s")


@contextlib.contextmanager
def open_sockets(bench: Bench, cookies: list[str]) -> Iterator[Received]:
    """Keep `SOCKETS` sockets of these people open that watch the alerts; afterwards the dict has what they got."""
    url = f"ws://{urlsplit(bench.desk.url).netloc}/ws/desk/?topics=alerts,status"
    received: Received = {}
    with process(bench, "-m", "benchmarks._sockets", url, str(SOCKETS), *cookies, pipes=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        if client.stdout.readline().strip() != "ready":
            raise RuntimeError("the sockets could not be opened")
        yield received
        client.stdin.write("\n")
        client.stdin.flush()
        received.update(json.loads(client.stdout.readline()))


@contextlib.contextmanager
def page(bench: Bench, cookie: str) -> Iterator["Page"]:
    """Open the inbox in Chromium, signed in, and wait until its socket is connected."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        context = browser.new_context()
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": bench.desk.url}])
        opened = context.new_page()
        frames: list[str | bytes] = []
        opened.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
        opened.goto(f"{bench.desk.url}/alerts")
        _wait_for_frames(opened, frames)
        yield opened
        browser.close()
