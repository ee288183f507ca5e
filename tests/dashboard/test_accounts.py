"""Signing in: roles, the one-time link, and no way in for strangers."""

import re
from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from algotrendy.permissions import Role, has_role, role_of
from dashboard.accounts import sign_in
from tests.support.pages import PASSWORD, confirmed, person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forgotten_attempts() -> None:
    """Rate limits count in the cache, which outlives a test."""
    cache.clear()


@pytest.fixture
def first_admin() -> User:
    user = User(username="admin", is_superuser=True, is_staff=True)
    user.set_unusable_password()
    user.save()
    return user


def path_of(link: str) -> str:
    return "/" + link.split("/", 3)[3]


def test_the_three_roles_exist_as_groups() -> None:
    assert set(Group.objects.values_list("name", flat=True)) >= {"viewer", "trader", "admin"}


@pytest.mark.parametrize(("role", "expected"), [("viewer", 1), ("trader", 2), ("admin", 3), ("", 0)])
def test_the_role_of_somebody_is_the_highest_of_their_groups(role, expected) -> None:
    assert role_of(person(role)) == expected


def test_each_role_includes_the_ones_before_it() -> None:
    trader = person("trader")
    assert has_role(trader, Role.VIEWER)
    assert not has_role(trader, Role.ADMIN)


def test_a_superuser_is_an_admin_and_a_stranger_is_nobody(first_admin) -> None:
    assert role_of(first_admin) == Role.ADMIN
    assert role_of(AnonymousUser()) == Role.NONE


def test_an_account_that_is_switched_off_has_no_role() -> None:
    user = person("admin", is_active=False)
    assert role_of(user) == Role.NONE


def test_there_is_no_link_before_there_is_an_admin_and_none_after_a_password(first_admin) -> None:
    assert sign_in.sign_in_link("http://desk") is not None
    first_admin.set_password(PASSWORD)
    first_admin.save()
    assert sign_in.sign_in_link("http://desk") is None
    first_admin.delete()
    assert sign_in.sign_in_link("http://desk") is None


def test_looking_at_the_link_does_not_spend_it(first_admin, client) -> None:
    link = path_of(sign_in.sign_in_link("http://desk"))
    for _ in range(3):
        assert b"Sign in as admin" in client.get(link).content
    assert "_auth_user_id" not in client.session


def test_the_link_signs_in_once_and_then_asks_for_a_password(first_admin, client) -> None:
    link = path_of(sign_in.sign_in_link("http://desk"))
    answer = client.post(link)
    assert (answer.status_code, answer["Location"]) == (302, "/welcome/password/")
    assert client.get("/welcome/password/").status_code == 200
    for method in (Client().get, Client().post):
        again = method(link)
        assert again.status_code == 410
        assert b"no longer works" in again.content


def test_two_who_spend_the_same_link_at_once_are_not_both_let_in(first_admin) -> None:
    one, other = User.objects.get(), User.objects.get()
    assert sign_in.spend_link(one)
    assert not sign_in.spend_link(other)


def test_choosing_a_password_keeps_the_session_and_opens_the_desk(first_admin, client) -> None:
    client.post(path_of(sign_in.sign_in_link("http://desk")))
    answer = client.post("/welcome/password/", {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.get("/settings").status_code == 200
    first_admin.refresh_from_db()
    assert first_admin.check_password(PASSWORD)


def test_a_weak_password_is_refused_with_the_reason(first_admin, client) -> None:
    client.post(path_of(sign_in.sign_in_link("http://desk")))
    answer = client.post("/welcome/password/", {"new_password1": "admin", "new_password2": "admin"})
    assert answer.status_code == 200
    assert b"too short" in answer.content


def test_somebody_with_a_password_cannot_skip_the_old_one(client) -> None:
    client.force_login(person("viewer"))
    answer = client.get("/welcome/password/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/change/")


def test_the_link_dies_after_a_day(first_admin) -> None:
    link = sign_in.link_for(first_admin, "http://desk")
    uid, token = re.search(r"/welcome/(\d+)/([^/]+)/", link).groups()
    assert sign_in.user_of_link(int(uid), token) == first_admin
    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=5), tick=False):
        assert sign_in.user_of_link(int(uid), token) is None


def test_a_link_for_one_is_no_link_for_another(first_admin) -> None:
    other = person("viewer", name="eve")
    token = sign_in.link_for(other).rstrip("/").rsplit("/", 1)[1]
    assert sign_in.user_of_link(other.pk, token) == other
    assert sign_in.user_of_link(first_admin.pk, token) is None
    assert sign_in.user_of_link(other.pk, token[:-1] + ("a" if token[-1] != "a" else "b")) is None


def test_the_link_is_only_the_first_factor_where_there_is_a_second(first_admin, client) -> None:
    totp.TOTP.activate(first_admin, totp.generate_totp_secret())
    answer = client.post(path_of(sign_in.link_for(first_admin)))
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/authenticate/")
    assert client.get("/welcome/password/").status_code == 302
    assert "_auth_user_id" not in client.session


def test_the_command_prints_a_link_that_works(first_admin, client, capsys) -> None:
    call_command("sign_in_link", "admin", url="https://desk.example")
    link = capsys.readouterr().out.strip()
    assert link.startswith("https://desk.example/welcome/")
    assert client.post(path_of(link)).status_code == 302


def test_the_command_can_take_a_lost_second_factor_away(first_admin, capsys) -> None:
    totp.TOTP.activate(first_admin, totp.generate_totp_secret())
    call_command("sign_in_link", reset_second_factor=True)
    assert not Authenticator.objects.filter(user=first_admin).exists()


def test_the_command_names_who_there_is_when_asked_for_a_stranger(first_admin) -> None:
    with pytest.raises(CommandError, match="There are: admin"):
        call_command("sign_in_link", "bob")


def test_nobody_can_sign_up(client) -> None:
    before = User.objects.count()
    form = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD}
    assert b"made by an admin" in client.get("/accounts/signup/").content
    client.post("/accounts/signup/", form)
    assert User.objects.count() == before


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/password/reset/", "/accounts/inactive/"])
def test_pages_before_signing_in_answer_everybody(client, path) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "unsafe" not in answer["Content-Security-Policy"]


def test_a_forgotten_password_is_never_mailed(client, mailoutbox) -> None:
    person("admin", email="admin@desk.example")
    client.post("/accounts/password/reset/", {"email": "admin@desk.example"})
    assert mailoutbox == []


def test_guessing_passwords_is_slowed_down(client) -> None:
    person("trader")
    answers = [client.post("/accounts/login/", {"login": "trader", "password": "no"}) for _ in range(8)]
    assert b"Too many failed login attempts" in answers[-1].content
    answer = client.post("/accounts/login/", {"login": "trader", "password": PASSWORD})
    assert "_auth_user_id" not in client.session
    assert answer.status_code == 200


ACCOUNT_PAGES = (
    "/accounts/password/change/",
    "/accounts/logout/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/",
    "/accounts/2fa/webauthn/add/",
)
INLINE = re.compile(r"\sstyle=|<style|\son\w+=|hx-on|javascript:|<script(?![^>]*(src=|type=\"application/json\"))")


@pytest.mark.parametrize("path", ACCOUNT_PAGES)
def test_account_pages_carry_nothing_inline(path) -> None:
    client = confirmed(signed_in(person("viewer")))
    answer = client.get(path)
    assert answer.status_code == 200
    assert not INLINE.search(answer.content.decode())


def test_an_authenticator_app_can_be_added_used_and_taken_away(client) -> None:
    user = person("trader")
    browser = confirmed(signed_in(user))
    page = browser.get("/accounts/2fa/totp/activate/").content.decode()
    assert 'src="data:image/svg+xml' in page
    secret = re.search(r'id="authenticator_secret">([A-Z2-7]+)<', page).group(1)
    code = totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))
    answer = browser.post("/accounts/2fa/totp/activate/", {"code": code})
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    assert b"ecovery" in browser.get(answer["Location"]).content

    fresh = Client()
    step = fresh.post("/accounts/login/", {"login": "trader", "password": PASSWORD})
    assert step["Location"] == "/accounts/2fa/authenticate/"
    assert not INLINE.search(fresh.get(step["Location"]).content.decode())
    browser.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user=user, type="totp").exists()


def test_secrets_of_second_factors_are_sealed_and_survive_a_new_key(settings) -> None:
    user = person("trader")
    secret = totp.generate_totp_secret()
    made = totp.TOTP.activate(user, secret).instance
    assert secret not in str(made.data)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key", [settings.SECRET_KEY]
    assert sign_in.SealedFactors().decrypt(made.data["secret"]) == secret


def test_the_admin_pages_show_no_secret_of_a_second_factor() -> None:
    user = person("trader")
    made = totp.TOTP.activate(user, totp.generate_totp_secret()).instance
    page = signed_in(person("admin")).get(f"/admin/mfa/authenticator/{made.pk}/change/").content.decode()
    assert made.data["secret"] not in page
    assert "Created at" in page


def test_only_a_superuser_touches_a_superuser_in_the_admin_pages(first_admin) -> None:
    browser = signed_in(person("admin", name="deputy"))
    assert browser.get("/admin/").status_code == 200
    assert browser.get(f"/admin/auth/user/{first_admin.pk}/change/").content.count(b"<input") <= 2
    confirmed(browser).post(f"/admin/auth/user/{first_admin.pk}/delete/", {"post": "yes"})
    assert User.objects.filter(pk=first_admin.pk).exists()


def test_the_admin_pages_are_for_admins_and_ask_again_before_a_change() -> None:
    assert signed_in(person("trader", is_staff=True)).get("/admin/").status_code in (302, 403)
    deputy = person("admin")
    browser = signed_in(deputy)
    answer = browser.post("/admin/auth/group/add/", {"name": "new"})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not Group.objects.filter(name="new").exists()


def test_the_admin_pages_take_the_same_way_in(client) -> None:
    answer = client.get("/admin/login/?next=/admin/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")
