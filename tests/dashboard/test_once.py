"""A form that is sent twice acts once and both are answered alike, what is shown once included."""

import re
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from dashboard import once
from dashboard.models import SentForm
from tests.support import pages as make
from tests.support.source import ROOT
from webhooks import services
from webhooks.models import Alert, ApiKey, Source

pytestmark = pytest.mark.django_db
# They are safe to repeat: a halt halts, and a theme or a password is what it was set to.
REPEATABLE = {"desk_halt", "theme", "choose_password", "welcome"}


@pytest.fixture
def trader() -> Client:
    return make.signed_in(make.person("trader"))


@pytest.fixture
def admin() -> Client:
    return make.confirmed(make.signed_in(make.person("admin")))


def token_of(client: Client, address: str) -> str:
    """Return the token of the form on a page."""
    field = re.search(r'name="once" value="([^"]+)"', client.get(address).content.decode())
    assert field, address
    return field[1]


def routes() -> Iterator[URLPattern]:
    for entry in get_resolver().url_patterns:
        if isinstance(entry, URLPattern) and entry.callback.__module__.startswith("dashboard.views."):
            yield entry
        elif not isinstance(entry, URLPattern):
            nested = [row for row in entry.url_patterns if isinstance(row, URLPattern)]
            yield from (row for row in nested if row.callback.__module__.startswith("dashboard.views."))


def test_every_view_that_acts_for_traders_and_admins_acts_once() -> None:
    acting = [row for row in routes() if getattr(row.callback, "required_role", 0) > 1]
    assert len(acting) > 20
    assert [row.name for row in acting if not hasattr(row.callback, "acts_once")] == ["desk_halt"]


def test_every_form_of_the_desk_carries_its_token() -> None:
    bare = []
    for path in sorted((ROOT / "templates" / "dashboard").rglob("*.html")):
        for form in re.findall(r'<form[^>]*method="post".*?</form>', path.read_text(), re.DOTALL):
            exempt = re.search(r"url '(desk_halt|theme)'", form) or "dashboard/account" in str(path)
            if "{% once %}" not in form and not exempt:
                bare.append(path.name)
    assert bare == []


def test_a_double_click_on_replay_takes_the_alert_in_once(trader: Client) -> None:
    taken = make.alert(make.source())
    address = f"/alerts/{taken.pk}/replay"
    token = token_of(trader, address)
    first, second = (trader.post(address, {"once": token}) for _ in range(2))
    again = Alert.objects.get(replay_of=taken)
    assert first["Location"] == second["Location"] == f"/alerts/{again.pk}"
    assert "sent twice and acted once" in trader.get(second["Location"]).content.decode()
    trader.post(address, {"once": token_of(trader, address)})
    assert Alert.objects.filter(replay_of=taken).count() == 2


def test_a_double_click_on_a_test_alert_sends_one(trader: Client) -> None:
    make.market()
    sender = make.source()
    address = f"/sources/{sender.pk}/test"
    fields = {"symbol": "BTCUSDT", "action": "buy", "once": token_of(trader, address)}
    assert trader.post(address, fields)["Location"] == trader.post(address, fields)["Location"]
    assert Alert.objects.count() == 1
    # The same form with other fields is meant: it was corrected.
    trader.post(address, fields | {"action": "sell"})
    assert Alert.objects.count() == 2


def test_a_key_that_is_made_twice_is_one_and_shown_to_both(admin: Client) -> None:
    fields = {"name": "grafana", "scope": "read", "once": token_of(admin, "/settings/keys/new")}
    first, second = (admin.post("/settings/keys/new", fields).content.decode() for _ in range(2))
    key = re.search(r'id="api-key">([^<]+)<', first)
    assert key
    assert key[1] in second
    assert ApiKey.objects.count() == 1
    row = SentForm.objects.get()
    assert key[1].encode() not in bytes(row.answer or b"")
    assert fields["once"] not in row.digest


def test_a_double_click_on_a_new_address_rotates_once(admin: Client) -> None:
    source, old = services.create_source(name="EMA", connection=make.source().connection)
    address = f"/sources/{source.pk}/token"
    fields = {"once": token_of(admin, address)}
    first, second = (admin.post(address, fields).content.decode() for _ in range(2))
    url = re.search(r'id="webhook-url">([^<]+)<', first)
    assert url
    assert url[1] in second
    # Rotated twice, the old address would have ended at once.
    row = Source.objects.get(pk=source.pk)
    assert row.previous_token_hash == services.keys.digest(old)


def test_what_failed_may_be_sent_again(trader: Client) -> None:
    taken = make.alert(make.source())
    address = f"/alerts/{taken.pk}/replay"
    fields = {"once": token_of(trader, address)}
    with patch("dashboard.views.alerts.replay_alert", side_effect=RuntimeError), pytest.raises(RuntimeError):
        trader.post(address, fields)
    assert trader.post(address, fields).status_code == 302
    assert Alert.objects.filter(replay_of=taken).count() == 1


def test_what_was_refused_is_judged_anew(admin: Client) -> None:
    fields = {
        "max_order_pct": "5", "max_position_pct": "25", "max_open_positions": "8", "max_daily_loss_pct": "500",
        "once": token_of(admin, "/settings"),
    }  # fmt: skip
    for _ in range(2):
        assert admin.post("/settings/limits", fields).status_code == 422
        assert not SentForm.objects.exists()


def test_whoever_comes_second_waits_for_the_first_answer(trader: Client) -> None:
    taken = make.alert(make.source())
    address = f"/alerts/{taken.pk}/replay"
    fields = {"once": token_of(trader, address)}
    first = trader.post(address, fields)
    answer = SentForm.objects.get().answer
    SentForm.objects.update(answer=None)
    with patch("dashboard.once.time.sleep", lambda _: SentForm.objects.update(answer=answer)):
        assert trader.post(address, fields)["Location"] == first["Location"]
    SentForm.objects.update(answer=None)
    with patch.object(once, "PATIENCE_SECONDS", 0.0):
        answered = trader.post(address, fields)
    assert answered.status_code == 409
    assert "the first time is not over" in answered.content.decode()
    assert Alert.objects.filter(replay_of=taken).count() == 1


def test_whoever_comes_second_is_not_kept_waiting_for_a_first_time_that_failed(trader: Client) -> None:
    taken = make.alert(make.source())
    address = f"/alerts/{taken.pk}/replay"
    fields = {"once": token_of(trader, address)}
    trader.post(address, fields)
    SentForm.objects.update(answer=None)
    looks: list[float] = []

    def fail_meanwhile(seconds: float) -> None:
        looks.append(seconds)
        assert len(looks) == 1, "nobody is there any more who would answer"
        SentForm.objects.all().delete()

    with patch("dashboard.once.time.sleep", fail_meanwhile):
        answered = trader.post(address, fields)
    assert answered.status_code == 409
    page = answered.content.decode()
    assert "the first time was refused or failed" in page
    assert "is not over" not in page


def test_a_token_is_worth_nothing_to_somebody_else(trader: Client) -> None:
    taken = make.alert(make.source())
    address = f"/alerts/{taken.pk}/replay"
    fields = {"once": token_of(trader, address)}
    first = trader.post(address, fields)
    other = make.signed_in(make.person("trader", name="other"))
    assert other.post(address, fields)["Location"] != first["Location"]
    viewer = make.signed_in(make.person("viewer"))
    assert viewer.post(address, fields).status_code == 403


def test_answers_are_kept_for_minutes_only(trader: Client) -> None:
    taken = make.alert(make.source())
    address = f"/alerts/{taken.pk}/replay"
    trader.post(address, {"once": token_of(trader, address)})
    SentForm.objects.update(at=SentForm.objects.get().at - once.KEPT * 2)
    old = SentForm.objects.get().digest
    trader.post(address, {"once": token_of(trader, address)})
    assert not SentForm.objects.filter(digest=old).exists()
