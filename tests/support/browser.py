"""A real browser on a real desk. What it complains about (errors, a violated policy) fails the test."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, StorageState, expect

from algotrendy.testing import wait_until
from benchmarks._desk import Bench, post

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PASSWORD = "correct horse battery staple"
PATIENCE = 45_000  # milliseconds; on a quiet machine everything takes a fraction of a second
# What Chromium says when a page is left while its socket still opens: nothing is wrong with either.
LEFT_EARLY = "WebSocket is closed before the connection is established"
_numbers = itertools.count(1)


class Complaints(list[str]):
    """What the browser complained about."""

    def watch(self, page: Page) -> None:
        """Collect the errors and warnings of a page, violations of its security policy among them."""
        page.set_default_timeout(PATIENCE)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.append(f"error: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and LEFT_EARLY not in message.text:
            self.append(f"{message.type}: {message.text} ({message.location.get('url')})")


class Visit:
    """A signed-in browser window on a running desk."""

    def __init__(self, bench: Bench, context: BrowserContext) -> None:
        self.bench = bench
        self.context = context
        self.complaints = Complaints()

    def open(self, path: str, *, live: bool = True) -> Page:
        """Open a page in a new tab; with `live` wait until its socket has said something."""
        page = self.context.new_page()
        self.complaints.watch(page)
        heard: list[Any] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(frame)))
        page.goto(self.bench.desk.url + path)
        if live:
            wait_for(page, lambda: bool(heard), "the socket")
        # Gone after a reload: what is seen later came without one.
        page.evaluate("window.sameDocument = true")
        return page

    def alert(self, url: str, **fields: Any) -> int:
        """Send an alert through the real webhook and return its id."""
        status, answer = post(url, json.dumps({"id": f"browser-{next(_numbers)}"} | fields))
        assert status in (200, 202), answer
        return int(answer["alert"])


@contextlib.contextmanager
def visiting(
    bench: Bench,
    chromium: Browser,
    size: dict[str, int],
    *,
    cookie: str = "",
    state: StorageState | None = None,
) -> Iterator[Visit]:
    """Open a window, signed in by a session's cookie or a browser's state; its complaints fail the test."""
    context = chromium.new_context(viewport=size, storage_state=state)
    if cookie:
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": bench.desk.url}])
    visit = Visit(bench, context)
    yield visit
    context.close()
    assert not visit.complaints, visit.complaints


def choose_password(page: Page, link: str) -> None:
    """Sign in by a one-time link and choose PASSWORD."""
    page.goto(link)
    page.get_by_role("button", name="Sign in as").click()
    page.fill("input[name=new_password1]", PASSWORD)
    page.fill("input[name=new_password2]", PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.locator(".statusbar")).to_contain_text("Equity")


def wait_for(page: Page, condition: Any, what: str) -> None:
    """Wait in the page's own loop until `condition()` is true."""

    def look() -> bool:
        page.wait_for_timeout(50)
        return bool(condition())

    wait_until(look, PATIENCE / 1000, what)


def not_reloaded(page: Page) -> bool:
    """Return whether the page is still the document that was opened."""
    return bool(page.evaluate("window.sameDocument === true"))
