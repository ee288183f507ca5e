"""Settings: limits with their history, people with their links, keys that are shown once."""

import re
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from algotrendy.permissions import Role, role_of
from brokers.desk_state import end_expired, reduce_until_midnight
from brokers.models import Desk, Order, Position
from tests.support.pages import confirmed, market, person, signed_in, source
from webhooks.keys import digest
from webhooks.models import ApiKey
from webhooks.services import create_key

pytestmark = pytest.mark.django_db
LIMITS = {"max_order_pct": "5", "max_position_pct": "25", "max_open_positions": "8", "max_daily_loss_pct": "5"}


@pytest.fixture
def admin():
    cache.clear()
    return confirmed(signed_in(person("admin")))


def test_limits_are_changed_and_written_down(admin) -> None:
    answer = admin.post("/settings/limits", LIMITS | {"max_order_pct": "7.5"}, follow=True)
    page = answer.content.decode()
    assert "Limits changed. Largest order, % of equity: 5 → 7.5." in page
    assert Desk.objects.get().max_order_pct == 7.5
    entry = LogEntry.objects.latest("id")
    words = "Largest order, % of equity: 5 → 7.5"
    assert (entry.user.username, entry.object_repr, entry.change_message) == ("admin", "Limits", words)
    assert f"Limits: {words}" in admin.get("/settings").content.decode()


def test_limits_beyond_what_is_usual_are_asked_for_twice_with_the_figure(admin) -> None:
    wild = LIMITS | {"max_order_pct": "500", "max_daily_loss_pct": "50"}
    page = admin.post("/settings/limits", wild).content.decode()
    assert "Nothing is changed yet" in page
    for figure in ("Set 500 and 50", "more than 25 is unusual", "more than 10 is unusual"):
        assert figure in " ".join(page.split())
    assert not Desk.objects.exclude(max_order_pct=5).exists()
    confirmed_figures = re.search(r'name="confirmed" value="([^"]+)"', page).group(1)
    # A confirmation is for these figures and no others.
    other = admin.post("/settings/limits", wild | {"max_order_pct": "600", "confirmed": confirmed_figures})
    assert other.status_code == 422
    admin.post("/settings/limits", wild | {"confirmed": confirmed_figures})
    assert Desk.objects.get().max_order_pct == 500
    # What is loose already is not asked for again, nor is what is tightened.
    admin.post("/settings/limits", wild | {"max_open_positions": "4", "max_daily_loss_pct": "5"})
    assert (Desk.objects.get().max_open_positions, Desk.objects.get().max_daily_loss_pct) == (4, 5)


def test_limits_that_can_not_be_written_down_are_not_changed(admin) -> None:
    admin.get("/settings")
    with patch("dashboard.views.settings.note", side_effect=RuntimeError), pytest.raises(RuntimeError):
        admin.post("/settings/limits", LIMITS | {"max_order_pct": "7.5"})
    assert Desk.objects.get().max_order_pct == 5


def test_the_history_tells_everything_that_was_done_in_words(admin) -> None:
    instrument = market()
    account = source().connection
    held = Position.objects.create(connection=account, instrument=instrument, quantity=2, average_price=99)
    waiting = Order.objects.create(
        connection=account, instrument=instrument, client_order_id="waits", role="entry", side="buy", quantity=1,
        market="simulated",
    )  # fmt: skip
    admin.post(f"/orders/{waiting.pk}/cancel")
    admin.post(f"/positions/{held.pk}/close")
    admin.post("/desk/halt")
    admin.post("/desk/resume")
    _, key = create_key(name="robot", scope="admin")
    headers = {"Authorization": f"Bearer {key}"}
    body = {"state": "reducing", "reason": "calm down"}
    assert Client().post("/api/v1/desk", body, "application/json", headers=headers).status_code == 200
    call_command("halt")
    page = " ".join(admin.get("/settings").content.decode().split())
    exit_order = Order.objects.get(role="exit")
    for words in (
        f"Order #{waiting.pk}: cancelled it before it left",
        f"BTCUSDT: closed 2 BTCUSDT at market: order #{exit_order.pk}",
        "The desk: Active → Halted: HALT pressed by admin",
        "The desk: Halted → Active: resumed by admin",
        "robot: made the key with scope admin",
        "The desk: Active → Reducing: calm down",
        "The desk: Reducing → Halted",
        ">API key robot<",
        ">./mem halt<",
    ):
        assert words in page, words


def test_what_the_desk_does_by_itself_is_in_the_history_too(admin) -> None:
    admin.get("/settings")
    reduce_until_midnight("daily loss limit was reached")
    end_expired(timezone.now() + timedelta(days=2))
    page = " ".join(admin.get("/settings").content.decode().split())
    assert "The desk: Active → Reducing: daily loss limit was reached" in page
    assert "The desk: Reducing → Active: its time was over" in page


def test_saving_the_same_limits_writes_no_history(admin) -> None:
    admin.get("/settings")
    admin.post("/settings/limits", LIMITS)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"max_order_pct": "0"}, "Above zero"), ({"max_daily_loss_pct": "101"}, "At most 100 %"),
     ({"max_open_positions": "0"}, "At least 1"), ({"max_position_pct": "much"}, "Enter a number"),
     ({"max_position_pct": ""}, "required")],
)  # fmt: skip
def test_limits_that_are_none_are_refused(admin, wrong, said) -> None:
    answer = admin.post("/settings/limits", LIMITS | wrong)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Desk.objects.exclude(max_order_pct=5).exists()


def test_changing_limits_does_not_undo_a_halt_that_came_between(admin) -> None:
    admin.get("/settings")
    Desk.objects.update(state="halted", reason="by hand")
    admin.post("/settings/limits", LIMITS | {"max_open_positions": "3"})
    assert (Desk.objects.get().state, Desk.objects.get().max_open_positions) == ("halted", 3)


def test_a_key_is_shown_once_and_can_be_revoked(admin) -> None:
    page = admin.post("/settings/keys/new", {"name": "grafana", "scope": "read"}).content.decode()
    key = re.search(r'id="api-key">([^<]+)<', page).group(1)
    made = ApiKey.objects.get()
    assert (made.key_hash, made.scope) == (digest(key), "read")
    settings = admin.get("/settings").content.decode()
    assert key not in settings
    assert f"…{made.key_hint}" in settings
    assert (
        "There is a key of this name"
        in admin.post("/settings/keys/new", {"name": "grafana", "scope": "read"}).content.decode()
    )
    admin.post(f"/settings/keys/{made.pk}/revoke")
    made.refresh_from_db()
    assert made.revoked_at is not None
    assert admin.get(f"/settings/keys/{made.pk}/revoke").status_code == 404


def test_looking_at_a_question_ends_no_key_and_makes_no_link(admin) -> None:
    key, _ = create_key(name="robot", scope="read")
    eve = person("viewer", name="eve")
    entries = LogEntry.objects.count()
    assert "robot" in admin.get(f"/settings/keys/{key.pk}/revoke").content.decode()
    assert "/welcome/" not in admin.get(f"/settings/people/{eve.pk}/link").content.decode()
    assert ApiKey.objects.get().revoked_at is None
    assert LogEntry.objects.count() == entries


def test_a_new_person_gets_a_role_and_a_link_that_works_once(admin) -> None:
    page = admin.post("/settings/people/new", {"username": "eve", "role": "trader"}).content.decode()
    link = re.search(r'id="link">https?://[^/]+(/welcome/[^<]+)<', page).group(1)
    assert role_of(User.objects.get(username="eve")) == Role.TRADER
    assert Client().post(link).status_code == 302
    assert Client().post(link).status_code == 410


def test_nobody_is_left_without_the_role_that_was_chosen(admin) -> None:
    Group.objects.filter(name="trader").delete()
    with pytest.raises(Group.DoesNotExist):
        admin.post("/settings/people/new", {"username": "eve", "role": "trader"})
    assert not User.objects.filter(username="eve").exists()


def test_a_name_is_taken_whatever_its_capitals(admin) -> None:
    page = admin.post("/settings/people/new", {"username": "ADMIN", "role": "viewer"}).content.decode()
    assert "somebody of this name already" in page
    assert User.objects.count() == 1


def test_an_admin_cannot_take_over_a_superuser_by_a_link(admin) -> None:
    root = User.objects.create_superuser("root", password="correct horse battery")
    answer = admin.post(f"/settings/people/{root.pk}/link", follow=True)
    assert "Only a superuser" in answer.content.decode()
    assert "/welcome/" not in answer.content.decode()


def test_the_theme_is_remembered_and_forgotten(admin) -> None:
    admin.post("/theme", {"theme": "dark"})
    assert 'data-theme="dark"' in admin.get("/settings").content.decode()
    admin.post("/theme", {"theme": "system"})
    assert "data-theme" not in admin.get("/settings").content.decode()


def test_everybody_is_listed_with_role_and_second_factor(admin) -> None:
    person("viewer", name="vera")
    page = admin.get("/settings").content.decode()
    assert page.index("vera") > page.index("People")
    assert "Whoever learns your password can trade" in page
