"""The way in and the set-up of a source in a real browser: link, password, second factor, passkey, first alert."""

import re

import pytest
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Browser, Page, StorageState, expect

from benchmarks._desk import Bench
from tests.support.browser import (
    PASSWORD,
    PHONE,
    WIDE,
    Complaints,
    Visit,
    choose_password,
    not_reloaded,
    visiting,
)

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(admin: Visit) -> Visit:
    return admin


def confirm(page: Page) -> None:
    """Give the password where the desk asks for it again."""
    if "reauthenticate" in page.url:
        page.fill("input[name=password]", PASSWORD)
        page.get_by_role("button", name="Confirm").click()


def make_source(page: Page, name: str, policy: str = "shadow") -> str:
    """Connect a source through the pages and return its address."""
    page.get_by_role("link", name="Connect a source").first.click()
    confirm(page)
    page.fill("input[name=name]", name)
    page.select_option("select[name=policy]", policy)
    page.get_by_role("button", name="Make the source").click()
    return page.locator("#webhook-url").inner_text()


def test_the_set_up_page_shows_the_first_alert_live(visit: Visit) -> None:
    page = visit.open("/sources")
    url = make_source(page, "First source")
    expect(page).to_have_url(re.compile(r"/sources/\d+/setup$"))
    expect(page.locator("#first-alert")).to_contain_text("Waiting for the first alert")
    page.evaluate("window.sameDocument = true")
    alert = visit.alert(url, symbol="BTCUSDT", action="buy")
    arrival = page.locator(f"#arrival-{alert}")
    expect(arrival).to_contain_text("Decided")
    expect(arrival).to_contain_text("BUY")
    assert not_reloaded(page)
    page.reload()
    expect(page.locator("main")).not_to_contain_text(url)
    page.locator(f"#arrival-{alert} a[href^='/decisions/']").click()
    expect(page.locator("h1")).to_contain_text("BTCUSDT")


def test_the_permalink_draws_what_was_known_and_moves_on_live(visit: Visit) -> None:
    page = visit.open("/sources")
    alert = visit.alert(make_source(page, "Permalink", policy="follow"), symbol="ETHUSDT", action="buy")
    page.goto(f"{visit.bench.desk.url}/alerts/{alert}")
    page.locator("a[href^='/decisions/']").first.click()
    page.evaluate("window.sameDocument = true")
    expect(page.locator("#decision-chart canvas").first).to_be_visible()
    expect(page.locator(".chart-cut")).to_be_visible()
    expect(page.locator(".order-life").first).to_contain_text("Filled")
    expect(page.locator(".run .path")).to_be_visible()
    assert not_reloaded(page)


def test_a_replay_asks_in_a_dialog_and_leads_to_the_new_alert(visit: Visit) -> None:
    page = visit.open("/sources")
    alert = visit.alert(make_source(page, "Replayed"), symbol="BNBUSDT", action="flat")
    page.goto(f"{visit.bench.desk.url}/alerts/{alert}")
    page.get_by_role("link", name="Replay this alert…").click()
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text(f"Replay alert #{alert}?")
    dialog.get_by_role("button", name=f"Replay alert #{alert}").click()
    expect(page.locator("main")).to_contain_text("was taken in again as")
    expect(page.locator("main")).to_contain_text("Decided")


def test_a_second_factor_is_added_and_then_asked_for(bench: Bench, chromium: Browser) -> None:
    link = _new_person(bench, "tess")
    context = chromium.new_context(viewport=WIDE)
    page, complaints = context.new_page(), Complaints()
    complaints.watch(page)
    choose_password(page, link)
    page.goto(f"{bench.desk.url}/settings")
    page.get_by_role("link", name="Add an authenticator app").click()
    confirm(page)
    expect(page.locator("img.qr")).to_be_visible()
    assert page.evaluate("document.querySelector('img.qr').naturalWidth > 0")
    secret = page.locator("#authenticator_secret").text_content() or ""
    page.fill("input[name=code]", code_of(secret))
    page.get_by_role("button", name="Add this app").click()
    expect(page.locator("h1")).to_contain_text("Recovery")
    # A code of the app works once and the next one is half a minute away: a recovery code signs in now.
    spare = page.locator("#recovery_codes").input_value().split()[0]
    page.goto(f"{bench.desk.url}/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    _password(page, bench, "tess")
    expect(page.locator("h1")).to_contain_text("Second factor")
    page.fill("input[name=code]", spare)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator(".statusbar")).to_contain_text("Equity")
    assert not complaints
    context.close()


def test_a_passkey_signs_in_without_a_password(bench: Bench, chromium: Browser) -> None:
    named = bench.desk.url.replace("127.0.0.1", "localhost")
    context = chromium.new_context(viewport=WIDE)
    page, complaints = context.new_page(), Complaints()
    complaints.watch(page)
    _authenticator(page)
    choose_password(page, _new_person(bench, "pia").replace("127.0.0.1", "localhost"))
    page.goto(f"{named}/accounts/2fa/webauthn/add/")
    confirm(page)
    page.check("input[name=passwordless]")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Recovery")
    page.goto(f"{named}/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator(".statusbar")).to_contain_text("Equity")
    assert not complaints
    context.close()


def test_passkeys_say_why_they_cannot_be_made_at_a_number(visit: Visit) -> None:
    page = visit.open("/accounts/2fa/webauthn/add/", live=False)
    confirm(page)
    expect(page.locator("main")).to_contain_text("Browsers bind passkeys to a name")
    expect(page.get_by_role("button", name="Add", exact=True)).to_be_disabled()


def test_a_key_and_a_person_are_shown_their_secret_once(visit: Visit) -> None:
    page = visit.open("/settings")
    page.get_by_role("link", name="Make a key…").click()
    confirm(page)
    page.fill("input[name=name]", "script")
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#api-key").inner_text()
    expect(page).to_have_url(re.compile("/settings$"))
    page.reload()
    expect(page.locator("main")).to_contain_text("script")
    expect(page.locator("main")).not_to_contain_text(key)


def test_the_admin_pages_keep_the_strict_policy(visit: Visit) -> None:
    page = visit.open("/admin/", live=False)
    expect(page.locator("#site-name")).to_contain_text("AlgoTrendy")
    links = page.locator("#content-main th a[href^='/admin/']")
    paths = [link.get_attribute("href") for link in links.all()]
    assert len(paths) >= 20
    for path in paths:
        page.goto(f"{visit.bench.desk.url}{path}")
        expect(page.locator("#content h1")).to_be_visible()
    page.goto(f"{visit.bench.desk.url}/admin/auth/user/add/")
    expect(page.locator("input[name=username]")).to_be_visible()


PHONE_PAGES = ("/sources/1", "/sources/1/setup", "/sources/new", "/settings/keys/new", "/accounts/2fa/",
               "/accounts/2fa/totp/activate/", "/accounts/password/change/")  # fmt: skip


def test_set_up_and_account_pages_do_not_scroll_sideways_on_a_phone(
    bench: Bench, chromium: Browser, signed_in: StorageState
) -> None:
    bench.source("Narrow")
    with visiting(bench, chromium, PHONE, state=signed_in) as visit:
        page = visit.open("/sources")
        for path in PHONE_PAGES:
            page.goto(bench.desk.url + path)
            confirm(page)
            expect(page.locator("h1").first).to_be_attached()
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, path


def code_of(secret: str) -> str:
    """Return what an authenticator app shows now."""
    counter = next(totp.yield_hotp_counters_from_time())
    return str(totp.format_hotp_value(totp.hotp_value(secret, counter)))


def _new_person(bench: Bench, name: str) -> str:
    """Make a trader and return their one-time link."""
    code = (
        "from django.contrib.auth.models import User, Group\n"
        f"user = User(username='{name}'); user.set_unusable_password(); user.save()\n"
        "user.groups.add(Group.objects.get(name='trader'))"
    )
    bench.desk.manage("shell", "-v", "0", "-c", code)
    return bench.desk.manage("sign_in_link", name).strip()


def _password(page: Page, bench: Bench, name: str) -> None:
    page.goto(f"{bench.desk.url}/accounts/login/")
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def _authenticator(page: Page) -> None:
    """Plug a virtual security key into the browser, touched and unlocked."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
