"""Pages and the API while the database is away or out of room: 503 with words, never "this page failed"."""

import errno
from pathlib import Path

import psycopg
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError
from django.test import Client

from algotrendy.monitoring.outage import is_outage
from algotrendy.supervisor.disk import Space

PLENTY = Space(Path("/desk"), 10**11)
FULL = Space(Path("/desk"), 1_000_000)
BROKEN = Space(Path("/desk"), 10**12, errno.EIO)


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture(params=["/", "/health/", "/api/v1/desk", "/admin/", "/accounts/login/"])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def refuse(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every statement fail with `error`."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", fail)
    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.cursor", fail)


def with_cause(error: Exception, cause: Exception | None) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("room", "what"),
    [
        (PLENTY, "The database does not answer"),
        (FULL, "The disk is full"),
        (BROKEN, "The disk cannot be written to"),
    ],
)
def test_every_page_and_the_api_answer_503_and_when_to_come_back(
    client: Client, path: str, room: Space, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algotrendy.supervisor.disk.space", lambda data: room)
    client.cookies["sessionid"] = "a" * 32
    error = OperationalError("server at secret.example closed")
    refuse(with_cause(error, psycopg.OperationalError()), monkeypatch)
    answer = client.get(path, headers={"Authorization": "Bearer some-key"})
    if answer.status_code in (301, 302):
        pytest.skip("asks nothing of the database before it knows who asks")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert what in answer.content.decode()
    assert "secret.example" not in answer.content.decode()
    assert "Alerts are still taken in" not in answer.content.decode()


@pytest.mark.django_db
def test_a_bug_is_still_a_failed_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.cookies["sessionid"] = "a" * 32
    refuse(IntegrityError("a bug"), monkeypatch)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "This page failed" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("gone"), 503), (IntegrityError("a bug"), 500)], ids=["503", "500"]
)
@pytest.mark.parametrize(("cookie", "attribute"), [("dark", ' data-theme="dark"'), ("x", ""), ("", "")])
def test_a_page_of_failure_has_the_theme_that_was_chosen(
    client: Client, error: Exception, status: int, cookie: str, attribute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.cookies["sessionid"] = "a" * 32
    client.cookies["theme"] = cookie
    refuse(error, monkeypatch)
    answer = client.get("/")
    assert answer.status_code == status
    assert f'<html lang="en"{attribute}>' in answer.content.decode()


@pytest.mark.django_db
def test_a_form_that_is_not_accepted_has_the_theme_that_was_chosen() -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies["theme"] = "dark"
    answer = client.post("/accounts/login/", {"login": "somebody"})
    assert answer.status_code == 403
    assert "The form was not accepted" in answer.content.decode()
    assert ' data-theme="dark"' in answer.content.decode()


@pytest.mark.parametrize(
    ("error", "cause", "outage"),
    [
        (OperationalError(), None, True),
        (InterfaceError(), psycopg.InterfaceError(), True),
        (OperationalError(), psycopg.errors.DiskFull(), True),
        (OperationalError(), psycopg.errors.AdminShutdown(), True),
        (OperationalError(), psycopg.errors.CannotConnectNow(), True),
        (OperationalError(), psycopg.errors.DeadlockDetected(), False),
        (OperationalError(), psycopg.errors.LockNotAvailable(), False),
        (IntegrityError(), psycopg.errors.UniqueViolation(), False),
        (ValueError(), None, False),
        (None, None, False),
    ],
)
def test_only_what_says_that_the_database_is_away_is_an_outage(
    error: Exception | None, cause: Exception | None, outage: bool
) -> None:
    assert is_outage(with_cause(error, cause) if error else None) is outage
