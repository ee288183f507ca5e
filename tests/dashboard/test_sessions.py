"""What a copy of the database gives away of who is signed in: nothing."""

from datetime import timedelta
from importlib import import_module

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from dashboard.accounts.sessions import SessionStore
from tests.support.pages import confirmed, person, signed_in

pytestmark = pytest.mark.django_db


def rows() -> str:
    return repr(list(Session.objects.values_list()))


def test_the_key_in_the_cookie_is_not_in_the_database_and_the_one_there_opens_nothing() -> None:
    browser = signed_in(person("admin"))
    key = browser.cookies["sessionid"].value
    row = Session.objects.get()
    assert key not in rows()
    thief = Client()
    thief.cookies["sessionid"] = row.session_key
    assert browser.get("/settings").status_code == 200
    assert thief.get("/settings").status_code == 302


def test_the_seed_of_an_authenticator_app_is_not_readable_while_it_is_set_up() -> None:
    browser = confirmed(signed_in(person("trader")))
    page = browser.get("/accounts/2fa/totp/activate/")
    seed = browser.session["mfa.totp.secret"]
    assert seed in page.content.decode()
    assert seed not in rows()
    assert "mfa" not in str(Session.objects.get().get_decoded()) or seed not in Session.objects.get().session_data


def test_sealed_data_of_another_desk_is_an_empty_session(settings) -> None:
    sealed = SessionStore().encode({"a": 1})
    assert SessionStore().decode(sealed) == {"a": 1}
    settings.SECRET_KEY = "another"
    assert SessionStore().decode(sealed) == {}
    assert SessionStore().decode("not sealed") == {}


def test_signing_out_and_a_new_key_end_the_old_row() -> None:
    store = SessionStore()
    store["a"] = 1
    store.create()
    old = store.session_key
    assert store.exists(old)
    store.cycle_key()
    assert not store.exists(old)
    assert SessionStore(store.session_key)["a"] == 1
    store.flush()
    assert Session.objects.count() == 0


def test_a_session_that_is_over_or_made_up_is_empty_and_gets_a_new_key() -> None:
    made_up = SessionStore("x" * 32)
    assert dict(made_up.items()) == {}
    made_up["a"] = 1
    made_up.save()
    assert made_up.session_key != "x" * 32
    made_up.set_expiry(-1)
    made_up.save()
    assert dict(SessionStore(made_up.session_key).items()) == {}


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_methods_keep_the_same_rows() -> None:
    async def play() -> str:
        store = SessionStore()
        await store.aset("a", 1)
        await store.asave()
        key = str(store.session_key)
        assert await store.aexists(key)
        assert await SessionStore(key).aget("a") == 1
        return key

    key = async_to_sync(play)()
    assert key not in rows()
    assert SessionStore(key)["a"] == 1

    async def end() -> bool:
        await SessionStore(key).adelete()
        return await SessionStore(key).aexists(key)

    assert async_to_sync(end)() is False


@pytest.mark.django_db(transaction=True)
def test_a_session_that_is_over_is_empty_asynchronously_too() -> None:
    store = SessionStore()
    store["a"] = 1
    store.create()
    assert dict(async_to_sync(SessionStore(store.session_key).aitems)()) == {"a": 1}
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert dict(async_to_sync(SessionStore(store.session_key).aitems)()) == {}


def test_readable_sessions_of_an_older_version_are_ended() -> None:
    Session.objects.create(session_key="old", session_data="x", expire_date=timezone.now() + timedelta(days=1))
    import_module("dashboard.migrations.0006_end_readable_sessions").end_sessions(apps, None)
    assert not Session.objects.exists()
    assert settings.SESSION_ENGINE == "dashboard.accounts.sessions"
