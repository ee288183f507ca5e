"""What every test in a real browser begins with: a desk of its module's own, a Chromium, and who visits.

None of it lives longer than its module: while Playwright runs, Django refuses to query in the same thread.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright

from algotrendy.testing import find_chromium, running_desk
from benchmarks._desk import Bench
from tests.support.browser import ARGUMENTS, PATIENCE, PHONE, WIDE, Visit, choose_password, visiting

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def desk_environment() -> dict[str, str]:
    """The variables that the module's desk is started with. A module with other wishes overrides this."""
    return {}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, desk_environment: dict[str, str]) -> Iterator[Bench]:
    """A running desk with prices."""
    with running_desk(tmp_path_factory.mktemp("browser") / "var", env=desk_environment) as desk:
        running = Bench(desk)
        running.wait_for_prices()
        yield running
        running.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def cookie(bench: Bench) -> str:
    """A session of the first admin, who has never signed in."""
    return bench.session()


@pytest.fixture(scope="module")
def signed_in(bench: Bench, chromium: Browser) -> StorageState:
    """The first admin's browser, after the one-time link and the choice of a password."""
    context = chromium.new_context(viewport=WIDE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    choose_password(page, bench.desk.manage("sign_in_link").strip())
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def visit(bench: Bench, chromium: Browser, cookie: str) -> Iterator[Visit]:
    """Somebody signed in, at a wide screen. Errors of the browser fail the test."""
    with visiting(bench, chromium, WIDE, cookie=cookie) as visit:
        yield visit


@pytest.fixture
def phone(bench: Bench, chromium: Browser, cookie: str) -> Iterator[Visit]:
    """Somebody signed in, on a phone."""
    with visiting(bench, chromium, PHONE, cookie=cookie) as visit:
        yield visit


@pytest.fixture
def admin(bench: Bench, chromium: Browser, signed_in: StorageState) -> Iterator[Visit]:
    """The first admin at a wide screen, who gave a password a moment ago."""
    with visiting(bench, chromium, WIDE, state=signed_in) as visit:
        yield visit
