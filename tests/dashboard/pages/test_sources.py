"""Sources: made, shown once, changed, revoked; and the page that waits for the first alert."""

import json
import re
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.utils import timezone

from brokers.models import Connection
from dashboard import message_templates
from dashboard.live import fragments
from tests.support.pages import alert, confirmed, decided, market, person, signed_in, source
from webhooks.keys import digest
from webhooks.models import Alert, Source
from webhooks.parsing.alert import parse

pytestmark = pytest.mark.django_db
FORM = {
    "name": "EMA cross on BTC", "policy": "follow", "sizing": "risk", "risk_pct": "1", "notional": "",
    "staleness_seconds": "60", "allow_short": "on", "silence_hours": "0", "networks": "",
}  # fmt: skip


@pytest.fixture
def admin():
    cache.clear()
    return confirmed(signed_in(person("admin")))


@pytest.fixture
def account() -> Connection:
    return Connection.objects.create(name="paper")


def text_of(answer) -> str:
    assert answer.status_code == 200
    return answer.content.decode()


def token_in(page: str) -> str:
    return re.search(r"/webhooks/tradingview/([\w-]{20,})", page).group(1)


def test_an_empty_list_says_what_a_source_is(admin) -> None:
    assert "A source is a sender of alerts" in text_of(admin.get("/sources"))


def test_a_new_source_shows_its_address_exactly_once(admin, account) -> None:
    answer = admin.post("/sources/new", FORM | {"connection": account.pk})
    page = text_of(answer)
    made = Source.objects.get()
    assert digest(token_in(page)) == made.token_hash
    assert made.created_by.username == "admin"
    assert answer["Cache-Control"] == "no-store"
    again = text_of(admin.get(f"/sources/{made.pk}/setup"))
    assert token_in(page) not in again
    assert f"…{made.token_hint}" in again


def test_the_only_account_is_already_chosen_for_a_new_source(admin, account) -> None:
    assert f'<option value="{account.pk}" selected>' in text_of(admin.get("/sources/new"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "This field is required"),
        ({"risk_pct": "0"}, "Between 0 and 100 %"),
        ({"risk_pct": "101"}, "Between 0 and 100 %"),
        ({"risk_pct": "NaN"}, "Enter a number"),
        ({"sizing": "notional"}, "needs a value above zero"),
        ({"sizing": "notional", "notional": "-5"}, "needs a value above zero"),
        ({"staleness_seconds": "-1"}, "greater than or equal to 0"),
        ({"networks": "52.89.214.238\nnowhere"}, "“nowhere” is no IP address"),
        ({"policy": "yolo"}, "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(admin, account, wrong, said) -> None:
    page = text_of(admin.post("/sources/new", FORM | {"connection": account.pk} | wrong))
    assert said in page
    assert not Source.objects.exists()


def test_a_name_is_taken_only_once(admin, account) -> None:
    source("EMA cross on BTC")
    assert "already exists" in text_of(admin.post("/sources/new", FORM | {"connection": account.pk}))


def test_a_source_can_be_changed_and_the_change_is_written_down(admin, account) -> None:
    found = source("Old")
    networks = "52.89.214.238\n10.0.0.7/8"
    form = FORM | {"connection": account.pk, "name": "New", "policy": "shadow", "networks": networks}
    assert admin.post(f"/sources/{found.pk}/edit", form).status_code == 302
    found.refresh_from_db()
    assert (found.name, found.policy) == ("New", "shadow")
    assert found.allowed_networks == ["52.89.214.238/32", "10.0.0.0/8"]
    assert "→" in LogEntry.objects.latest("id").change_message


def test_a_rotated_address_is_shown_once_and_the_old_one_lives_on_for_a_while(admin) -> None:
    found = source()
    old = found.token_hash
    assert "goes on working for 24 hours" in text_of(admin.get(f"/sources/{found.pk}/token"))
    page = text_of(admin.post(f"/sources/{found.pk}/token"))
    found.refresh_from_db()
    assert digest(token_in(page)) == found.token_hash != old
    assert found.previous_token_hash == old
    assert found.previous_until > timezone.now() + timedelta(hours=23)


def test_a_secret_is_stored_as_a_hash_and_never_shown(admin) -> None:
    found = source()
    secret = "a secret of some length"
    assert admin.post(f"/sources/{found.pk}/secret", {"secret": secret}).status_code == 302
    found.refresh_from_db()
    assert found.body_secret_hash == digest(secret)
    page = text_of(admin.get(f"/sources/{found.pk}"))
    assert "asked for" in page
    assert secret not in page
    assert secret not in LogEntry.objects.latest("id").change_message
    assert "At least 12 characters" in text_of(admin.post(f"/sources/{found.pk}/secret", {"secret": "short"}))


def test_a_revoked_source_ends_for_good(admin) -> None:
    found = source()
    assert "can't be undone" in text_of(admin.get(f"/sources/{found.pk}/revoke"))
    alert(found)
    answer = admin.post(f"/sources/{found.pk}/revoke", follow=True).content.decode()
    assert "Alerts of it that wait and are still decided: 1. Open positions on paper, which stay: 0." in answer
    found.refresh_from_db()
    assert found.revoked_at is not None
    assert "answers 404 since" in text_of(admin.get(f"/sources/{found.pk}"))
    for what in ("revoke", "token", "secret", "test"):
        assert admin.get(f"/sources/{found.pk}/{what}").status_code == 404


@pytest.mark.parametrize("what", ["token", "secret"])
def test_the_address_and_the_secret_of_the_demo_are_for_nobody_else(admin, what) -> None:
    demo = source("Demo", is_demo=True)
    before = Source.objects.values().get()
    assert admin.get(f"/sources/{demo.pk}/{what}").status_code == 404
    assert admin.post(f"/sources/{demo.pk}/{what}", {"secret": "a secret of some length"}).status_code == 404
    assert Source.objects.values().get() == before


@pytest.mark.parametrize("what", ["revoke", "token", "secret", "test", "edit"])
def test_looking_at_a_question_changes_nothing(admin, what) -> None:
    market()
    sender = source()
    before = Source.objects.values().get()
    assert admin.get(f"/sources/{sender.pk}/{what}").status_code == 200
    assert Source.objects.values().get() == before
    assert not Alert.objects.exists()


def test_a_test_alert_is_taken_in_like_any_other(client) -> None:
    market()
    found = source()
    client.force_login(person("trader"))
    answer = client.post(f"/sources/{found.pk}/test", {"symbol": "BTCUSDT", "action": "hold"})
    taken = Alert.objects.get()
    assert answer["Location"] == f"/alerts/{taken.pk}"
    assert (taken.source, taken.state) == (found, "received")
    assert json.loads(bytes(taken.body))["action"] == "hold"


def test_real_money_is_said_before_a_test_alert_is_sent(client) -> None:
    account = Connection.objects.create(name="real", venue="binance", mode="live")
    found = source(connection=account)
    client.force_login(person("trader"))
    page = text_of(client.get(f"/sources/{found.pk}/test"))
    assert "This connection trades real money" in page
    Source.objects.update(policy="shadow")
    assert "real money" not in text_of(client.get(f"/sources/{found.pk}/test"))


def test_the_set_up_page_knows_what_tradingview_does(client) -> None:
    client.force_login(person("viewer"))
    page = text_of(client.get(f"/sources/{source().pk}/setup"))
    for fact in (
        "ports 80 and 443",
        "no IPv6",
        "3 seconds",
        "52.89.214.238",
        "52.32.178.7",
        "64 KB",
        "curl -X POST",
    ):
        assert fact in page
    assert "Waiting for the first alert" in page


RENDERED = {
    "{{ticker}}": "BTCUSDT", "{{strategy.order.action}}": "buy", "{{strategy.market_position}}": "long",
    "{{strategy.prev_market_position}}": "flat", "{{strategy.order.contracts}}": "0.5",
    "{{strategy.order.price}}": "50000", "{{strategy.order.id}}": "Long", "{{close}}": "50000",
    "{{high}}": "50100", "{{low}}": "49900", "{{volume}}": "12", "{{time}}": "2026-01-05T10:00:00Z",
    "{{timenow}}": "2026-01-05T10:05:00Z", "{{interval}}": "5",
}  # fmt: skip


@pytest.mark.parametrize("template", message_templates.TEMPLATES, ids=lambda template: template.slug)
def test_every_message_that_is_offered_is_understood(template) -> None:
    message = template.message
    for placeholder, value in RENDERED.items():
        message = message.replace(placeholder, value)
    found = parse(message.encode())
    assert found.symbol == "BTCUSDT"
    assert found.intent == {"sell": "short", "close": "flat"}.get(template.slug, "long")
    assert found.price == 50000


def test_the_first_alert_appears_with_its_decision() -> None:
    found = source()
    topic = f"source-setup:{found.pk}"
    assert "Waiting for the first alert" in fragments.render(topic)
    taken = decided(found, market())
    shown = fragments.render(topic)
    assert f"Alert #{taken.pk}" in shown
    assert "▲ BUY" in shown


def test_a_failed_first_alert_says_why() -> None:
    found = source()
    alert(found, state="failed", reason="The message is empty.")
    assert "The message is empty." in fragments.render(f"source-setup:{found.pk}")


def test_silence_is_an_alarm_once_it_is_longer_than_the_limit() -> None:
    quiet = source("Quiet", silence_hours=1)
    source("Patient", silence_hours=0)
    alert(quiet, received_at=timezone.now() - timedelta(hours=3))
    shown = fragments.render("sources")
    assert shown.count("Silent for") == 1
    assert "Silent for 3 h" in shown
    assert "TradingView stops an alert" in fragments.render(f"source:{quiet.pk}")


def test_failures_are_counted_and_lead_to_the_inbox() -> None:
    found = source()
    alert(found, state="failed", reason="empty")
    alert(found)
    row = fragments.render("sources")
    assert ">1</a>" in row.split('data-label="Failed, 24 h"')[1]
    assert "/alerts?state=failed&amp;source=ema-cross" in fragments.render("sources")


def test_failures_are_counted_over_the_day_that_is_named(admin) -> None:
    sender = source()
    for age in (1, 2, 30):
        failed = alert(sender, received_at=timezone.now() - timedelta(hours=age))
        Alert.objects.filter(pk=failed.pk).update(state="failed", reason="no symbol")
    # Younger than those, and more than are looked at.
    for _ in range(6):
        alert(sender)
    with patch("dashboard.selectors.sources.LOOKED_AT", 4):
        page = admin.get("/sources").content.decode()
    row = page.split(f'id="source-{sender.pk}"')[1].split("</tr>")[0]
    assert ">2</a>" in row.split('data-label="Failed, 24 h"')[1]
    assert "4 or more" in row.split('data-label="Last 24 h"')[1].split("</td>")[0]


@pytest.mark.parametrize("topic", ["source:x", "source:99999", "source-setup:x", "alert:x", "decision:1e9"])
def test_a_topic_of_nothing_shows_nothing(topic) -> None:
    try:
        shown = fragments.render(topic)
    except fragments.UnknownTopic:
        shown = ""
    assert shown == ""
