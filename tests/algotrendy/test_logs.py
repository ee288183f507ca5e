"""Log lines hold no secrets and steer no terminal, whoever writes them."""

import json
import logging
import random
import string

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.test import Client

from algotrendy import logs
from dashboard.accounts import sign_in
from tests.support import pages as make
from webhooks.keys import derived_token, new_token


@pytest.fixture(params=[False, True], ids=["text", "json"])
def formatter(request: pytest.FixtureRequest) -> logging.Formatter:
    configured = logs.configure(level="INFO", json=request.param)
    fields = dict(configured["formatters"]["line"])  # type: ignore[index]
    formatter: logging.Formatter = fields.pop("()")(**fields)
    return formatter


def line(formatter: logging.Formatter, text: str, *values: object) -> str:
    record = logging.LogRecord("django.request", logging.WARNING, __file__, 1, text, values, None)
    return formatter.format(record)


ADDRESSES = [
    "//webhooks/tradingview/{}",
    "/WEBHOOKS/tradingview/{}",
    "/webhook/tradingview/{}",
    "/webhooks/tradingview/{}/x",
    "/{}",
    "/welcome/3/1tYzAb.{}/",
    "/?token={}",
    "/x?a=b&t={}",
    "/webhooks/tradingview{}",
    "/a.{}.b",
    "/%2F{}",
    "{}",
]
ALPHABETS = {
    "hex": "0123456789abcdef",
    "base32": string.ascii_uppercase + "234567",
    "session": string.ascii_lowercase + string.digits,
    "base64url": string.ascii_letters + string.digits + "-_",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_token_is_in_no_line_wherever_it_stands(formatter: logging.Formatter, address: str) -> None:
    for token in [derived_token("x"), *(new_token() for _ in range(50))]:
        text = line(formatter, "Not Found: %s", address.format(token))
        assert token not in text
        assert logs.HIDDEN_TEXT in text


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("length", [32, 43, 64])
def test_what_is_drawn_at_random_is_known_by_its_shape(alphabet: str, length: int) -> None:
    dice = random.Random(17)
    drawn = ["".join(dice.choices(ALPHABETS[alphabet], k=length)) for _ in range(500)]
    missed = [text for text in drawn if not logs.looks_random(text)]
    assert len(missed) <= 25, missed  # of those that have one case only, one in twenty looks like a name


@pytest.mark.parametrize("alphabet", [*ALPHABETS, "small letters", "capitals and digits"])
@pytest.mark.parametrize("length", [20, 24, 30, 39])
def test_a_short_token_of_somebody_else_is_in_hardly_any_line(
    formatter: logging.Formatter, alphabet: str, length: int
) -> None:
    more = {"small letters": string.ascii_lowercase, "capitals and digits": string.ascii_uppercase + string.digits}
    dice = random.Random(17)
    drawn = ["".join(dice.choices((ALPHABETS | more)[alphabet], k=length)) for _ in range(500)]
    missed = [text for text in drawn if text in line(formatter, "Not Found: %s", f"/hook/{text}/x")]
    assert len(missed) <= (25 if alphabet == "small letters" else 5), missed


def test_forty_characters_with_a_digit_or_of_both_cases_are_no_name() -> None:
    assert logs.looks_random("abcdefgh_" * 4 + "abc4")
    assert logs.looks_random("a" * 39 + "B")
    assert not logs.looks_random("test_of_" * 5)


@pytest.mark.parametrize(
    ("error", "is_shown"),
    [(PermissionDenied("x"), False), (SuspiciousOperation("x"), False), (ValueError("x"), True)],
)
def test_what_is_refused_on_purpose_has_no_traceback(
    formatter: logging.Formatter, error: Exception, is_shown: bool
) -> None:
    try:
        raise error
    except type(error) as raised:
        info = (type(raised), raised, raised.__traceback__)
    record = logging.LogRecord("django.request", logging.WARNING, __file__, 1, "Forbidden", (), info)
    assert ("Traceback" in formatter.format(record)) is is_shown


def test_a_short_key_in_a_query_is_hidden(formatter: logging.Formatter) -> None:
    assert "k3y" not in line(formatter, "Not Found: %s", "/x?a=k3y")
    event = {"level": "info", "logger": "x", "event": "y", "request": "GET /x?a='&b=k3y"}
    assert logs.without_queries(None, "", dict(event))["request"] == "GET /x?[hidden]"


def test_every_line_goes_through_the_mask_and_requests_are_not_logged_one_by_one() -> None:
    assert settings.LOGGING["root"]["handlers"] == ["console"]
    assert settings.LOGGING["handlers"]["console"]["formatter"] == "line"
    assert settings.LOGGING["loggers"]["django_structlog"]["level"] == "WARNING"
    assert logs.without_queries in logs.SHARED


@pytest.mark.parametrize(
    "text",
    [
        "algotrendy.supervisor.processes",
        "test_a_really_long_name_of_a_function_that_is_spelled_out_here",
        "DisallowedRedirectException",
        "HttpParserInvalidMethodError",
        "request_id=0c8b9f5e-1d2c-4e6f-8a9b-0123456789ab",
        "2026-11-26T18:00:00.123456+00:00",
        "/models/trend-20261126-180000/predictions",
        "BTCUSDT-300-20261126",
        "/usr/lib/python3.11/site-packages/django/core/handlers/base.py",
        "webhooks.work_inbox",
        "1234567890123456789012",
        "what? nothing",
        "order a1b2c3d4e5f6a7b8c9 was accepted",
        "uncharacteristically",
        "CSRFVIEWMIDDLEWARE csrfmiddlewaretoken",
        "1000000MOGUSDT-300-20261126",
        "order 4f9ac0d1e2b3a4c5d6 of BTCUSDT-ETHUSDT-SOLUSDT-XRPUSDT",
        "mlmodels.0002_help_texts_of_fields_and_columns",
    ],
)
def test_what_people_look_for_in_a_log_stays(formatter: logging.Formatter, text: str) -> None:
    assert text in line(formatter, text)


def test_a_password_in_an_address_of_a_server_is_hidden(formatter: logging.Formatter) -> None:
    text = line(formatter, "no answer from %s", "postgresql://desk:hunter2@db:5432/desk")
    assert "hunter2" not in text
    assert "desk:[hidden]@db:5432/desk" in text


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\0", "\x9b", "\r"])
def test_no_line_steers_a_terminal(formatter: logging.Formatter, character: str) -> None:
    assert character not in line(formatter, f"a{character}[2Jb")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["not found", "csrf"])
def test_django_writes_no_link_or_token_into_the_log(
    kind: str, formatter: logging.Formatter, caplog: pytest.LogCaptureFixture
) -> None:
    link = sign_in.link_for(make.person("trader"), "http://localhost")
    path = link.removeprefix("http://localhost") if kind == "csrf" else f"//webhooks/tradingview/{new_token()}"
    secret = path.strip("/").rpartition("/")[2].rpartition(".")[2]
    with caplog.at_level(logging.INFO):
        answer = Client(enforce_csrf_checks=True).post(path)
    assert answer.status_code == (403 if kind == "csrf" else 404)
    lines = [formatter.format(record) for record in caplog.records]
    assert any(logs.HIDDEN_TEXT in text for text in lines)
    assert not any(secret in text for text in lines)


def test_the_desk_itself_logs_this_way() -> None:
    processors = settings.LOGGING["formatters"]["line"]["processors"]
    masked = processors[-1](None, "info", {"level": "info", "logger": "x", "event": new_token()})
    assert logs.HIDDEN_TEXT in masked
    assert json.dumps(masked)
