"""Every page for every kind of person: let in, sent to sign in, or told which role is needed."""

import re

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse
from django.views.defaults import server_error

from algotrendy.isolation.models import RowFailure
from algotrendy.isolation.rows import RowName, write_failure
from algotrendy.permissions import Role
from tests.support.pages import PASSWORD, confirmed, decided, market, person, signed_in, source
from webhooks.models import ApiKey

pytestmark = pytest.mark.django_db
INLINE = re.compile(r"\sstyle=|<style|\son\w+=|hx-on|javascript:|<script(?![^>]*(src=|type=\"application/json\"))")

# name: (role needed to look, role needed to act (POST), whether the password is asked for again)
V, T, A = Role.VIEWER, Role.TRADER, Role.ADMIN
PAGES = {
    "alerts": (V, None, False),
    "alert": (V, None, False),
    "alert_replay": (T, T, False),
    "decisions": (V, None, False),
    "decision": (V, None, False),
    "decision_chart": (V, None, False),
    "sources": (V, None, False),
    "source": (V, None, False),
    "source_setup": (V, None, False),
    "source_test": (T, T, False),
    "source_new": (A, A, True),
    "source_edit": (A, A, True),
    "source_rotate": (A, A, True),
    "source_secret": (A, A, True),
    "source_revoke": (A, A, True),
    "demo_remove": (A, A, False),
    "health": (V, None, False),
    "failure_clear": (T, T, False),
    "settings": (V, None, False),
    "limits": (None, A, True),
    "key_new": (A, A, True),
    "key_revoke": (A, A, True),
    "person_new": (A, A, True),
    "person_link": (A, A, True),
}
LOOK = [(name, needs) for name, (needs, _, _) in PAGES.items() if needs]
ACT = [(name, needs) for name, (_, needs, _) in PAGES.items() if needs]
ASKED_AGAIN = [name for name, (_, _, again) in PAGES.items() if again]


@pytest.fixture(autouse=True)
def _forgotten_attempts() -> None:
    cache.clear()


@pytest.fixture
def addresses() -> dict[str, str]:
    """The address of each page, on a desk that has one of everything."""
    taken = decided(source(), market())
    source("Demo", is_demo=True)
    write_failure("test.work", RowName("", "one", "row one"), "odd")
    key = ApiKey.objects.create(name="script", key_hash="0" * 64, key_hint="0000")
    ids = {
        "alert": taken.pk,
        "alert_replay": taken.pk,
        "decision": taken.decision_id,
        "decision_chart": taken.decision_id,
        "failure_clear": RowFailure.objects.get().pk,
        "key_revoke": key.pk,
        "person_link": User.objects.create_user("somebody").pk,
    }
    found = {}
    for name in PAGES:
        keyed = "pk" in get_resolver().reverse_dict.getlist(name)[0][0][0][1]
        found[name] = reverse(name, args=[ids.get(name, taken.source_id)] if keyed else [])
    return found


def test_every_page_of_these_modules_is_in_the_table() -> None:
    from dashboard.views import alerts, decisions, health, settings, sources

    modules = (alerts, decisions, health, settings, sources)
    assert {route.name for module in modules for route in module.urlpatterns} == set(PAGES)


@pytest.mark.parametrize("name", list(PAGES))
def test_a_stranger_is_sent_to_sign_in(addresses, name) -> None:
    answer = Client().get(addresses[name])
    if PAGES[name][0] is None:
        assert answer.status_code == 405
        answer = Client().post(addresses[name])
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/")


@pytest.mark.parametrize("name", ["alerts", "sources", "decision"])
def test_a_script_without_a_session_is_told_so_instead_of_redirected(addresses, name) -> None:
    assert Client().get(addresses[name], headers={"HX-Request": "true"}).status_code == 401
    assert Client().get(addresses[name], headers={"Accept": "application/json"}).status_code == 401


@pytest.mark.parametrize(("name", "needed"), LOOK)
@pytest.mark.parametrize("role", ["", "viewer", "trader", "admin"])
def test_looking_takes_the_role_and_no_more(addresses, name, needed, role) -> None:
    browser = confirmed(signed_in(person(role)))
    answer = browser.get(addresses[name])
    if Role[role.upper() or "NONE"] >= needed:
        assert answer.status_code == 200, answer.content.decode()
        assert not INLINE.search(answer.content.decode())
    else:
        assert answer.status_code == 403
        assert f"This needs the role {needed.group}" in answer.content.decode()


@pytest.mark.parametrize(("name", "needed"), ACT)
def test_acting_with_too_low_a_role_changes_nothing(addresses, name, needed) -> None:
    lower = {Role.TRADER: "viewer", Role.ADMIN: "trader"}[needed]
    answer = confirmed(signed_in(person(lower))).post(addresses[name])
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()


@pytest.mark.parametrize("name", ASKED_AGAIN)
def test_secrets_and_limits_ask_for_the_password_again(addresses, name) -> None:
    browser = signed_in(person("admin"))
    answer = browser.post(addresses[name])
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    # What was asked for goes on by itself after that.
    resumed = browser.post(answer["Location"], {"password": PASSWORD})
    assert resumed.status_code in (200, 302, 422)
    assert "reauthenticate" not in resumed.headers.get("Location", "")


def test_a_form_without_its_token_is_refused(addresses) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person("trader"))
    assert browser.post(addresses["alert_replay"]).status_code == 403


@pytest.mark.parametrize("path", ["/alerts/99999", "/decisions/99999", "/sources/99999", "/sources/99999/setup"])
def test_what_does_not_exist_is_a_404(path) -> None:
    assert signed_in(person("viewer")).get(path).status_code == 404


def test_a_viewer_is_shown_no_keys_no_people_and_no_history(addresses) -> None:
    page = signed_in(person("viewer")).get(addresses["settings"]).content.decode()
    assert "Only an admin can change them" in page
    for heading in ("People", "Keys of the API", "Who changed what"):
        assert heading not in page


def test_what_goes_wrong_is_told_in_the_house_style(client) -> None:
    page = client.get("/nowhere")
    assert page.status_code == 404
    assert b"There is nothing here" in page.content
    assert b"Resolver404" not in page.content
    browser = Client(enforce_csrf_checks=True)
    assert b"The form was not accepted" in browser.post("/accounts/login/", {"login": "x"}).content
    assert b"This page failed" in server_error(RequestFactory().get("/")).content


def test_what_is_not_there_is_said_within_the_frame_to_who_is_signed_in() -> None:
    page = signed_in(person("viewer")).get("/nothing-here").content.decode()
    assert 'aria-label="Pages"' in page
    assert "There is nothing here" in page
    stranger = Client().get("/nothing-here").content.decode()
    assert "There is nothing here" in stranger
    assert 'aria-label="Pages"' not in stranger
    assert "Equity" not in stranger


@pytest.mark.parametrize("is_staff", [False, True])
def test_the_admin_pages_refuse_a_viewer_in_words_and_with_a_way_back(is_staff: bool) -> None:
    answer = signed_in(person("viewer", is_staff=is_staff)).get("/admin/", follow=True)
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "This is not for your role" in page
    assert 'aria-label="Pages"' in page


def test_a_refused_password_keeps_the_page_s_title() -> None:
    user = person("viewer")
    user.set_unusable_password()
    user.save()
    client = signed_in(user)
    for address in ("/welcome/password/",):
        shown = client.get(address).content.decode()
        refused = client.post(address, {"new_password1": "short", "new_password2": "short"}).content.decode()
        title = re.search(r"<title>([^<]*)</title>", shown)
        assert title
        assert f"<title>{title[1]}</title>" in refused
        assert "This password is too short" in refused
