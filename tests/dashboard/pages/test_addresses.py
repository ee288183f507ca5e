"""Addresses that are hostile or only mistyped: answered in words, never with an error of the desk."""

import logging
import re
from typing import cast

import pytest
from asgiref.sync import async_to_sync
from django.db import DataError
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import URLResolver, get_resolver

from algotrendy.serving.middleware import BadInput
from tests.support import pages as make

pytestmark = pytest.mark.django_db
HOSTILE = ["%00", "a%00b", "%ED%A0%80", "%FF", "%F4%90%80%80", "%C2%B2", "9" * 30, "-1", "%1B%5B2J"]
QUERIES = [
    "/?instrument={}",
    "/alerts?source={}",
    "/alerts?state={}",
    "/alerts?instrument={}",
    "/alerts?before={}",
    "/decisions?instrument={}",
    "/decisions?source={}",
    "/trades?instrument={}",
    "/trades?side={}",
    "/orders?instrument={}",
    "/data/candles?symbol={}",
    "/data/markers?symbol={}",
    "/data/predictions?symbol={}",
    "/data/predictions?version={}",
    "/data/equity?connection={}",
    "/data/equity?hours={}",
    "/models?before={}",
    "/?{}=x",
    "/accounts/login/?next={}",
    "/models/{}",
    "/brokers/{}",
    "/alerts/{}",
    "/trades/{}",
    "/admin/webhooks/source/?q={}",
    "/welcome/1/{}/",
]


@pytest.fixture
def admin() -> Client:
    make.market()
    return make.signed_in(make.person("admin"))


@pytest.mark.parametrize("address", QUERIES)
def test_no_hostile_address_is_an_error_of_the_desk(admin: Client, address: str) -> None:
    admin.raise_request_exception = False
    answers = {text: admin.get(address.format(text)).status_code for text in HOSTILE}
    assert {text: status for text, status in answers.items() if status >= 500} == {}
    assert {answers["%00"], answers["a%00b"]} == {400}


@pytest.mark.parametrize(
    ("address", "kind"),
    [("/alerts", "text/html"), ("/data/candles", "application/json"), ("/api/v1/alerts", "application/json")],
)
def test_a_nul_is_answered_in_words_and_in_the_form_of_what_was_asked(
    admin: Client, address: str, kind: str
) -> None:
    answer = admin.get(f"{address}?symbol=%00&symbol=ok")
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith(kind)
    assert "stored" in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/accounts/login/", "login"),
        ("/accounts/login/", "next"),
        ("/theme", "theme"),
        ("/desk/halt", "reason"),
        ("/desk/halt", "next"),
        ("/settings/people/new", "username"),
        ("/settings/keys/new", "name"),
    ],
)
def test_no_hostile_form_is_an_error_of_the_desk(admin: Client, path: str, field: str) -> None:
    admin = make.confirmed(admin)
    admin.raise_request_exception = False
    for text in ("\0", "a\0b", "\x1b[2J", "9" * 300):
        values = {"login": "x", "password": "y", "username": "x", "role": "viewer", "scope": "read"}
        answer = admin.post(path, values | {field: text})
        assert answer.status_code < 500, (path, field, text)


def test_a_value_that_reaches_the_database_is_the_request_s_fault_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = RequestFactory().get("/alerts")
    guard = BadInput(lambda request: None)  # type: ignore[arg-type, return-value]
    with caplog.at_level(logging.WARNING):
        answer = guard.process_exception(request, DataError("integer out of range"))
    assert answer is not None
    assert answer.status_code == 400
    assert "integer out of range" in caplog.text
    assert guard.process_exception(request, ValueError("a bug")) is None


def every_address() -> list[str]:
    """The address of each view of the desk, with 1 for each key."""
    addresses, waiting = [], [("/", get_resolver())]
    while waiting:
        prefix, resolver = waiting.pop()
        for entry in resolver.url_patterns:
            address = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                waiting.append((address, entry))
            else:
                plain = re.sub(r"<[^>]*>|\(\?P<.*?\)", "1", address)
                addresses.append(re.sub(r"\(\?:[^)]*\)\??|[\^$\\]", "", plain))
    return sorted(set(addresses) - {"/accounts/logout/"})


def test_no_view_fails_on_hostile_parameters_and_nobody_keeps_what_it_answers(admin: Client) -> None:
    admin = make.confirmed(admin)
    admin.raise_request_exception = False
    hostile = "?q=%FF&p=99999999999999999999&o=-1.99&id__gt=abc&all=&before=%C2%B2&action=%F4%90%80%80"
    answers = {path: admin.get(path + hostile) for path in every_address()}
    assert len(answers) > 100
    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code >= 500} == {}
    assert [path for path, answer in answers.items() if "no-store" not in answer.get("Cache-Control", "")] == []


@pytest.mark.parametrize("next_page", ["http://[", "//[x", "https://]:80"])
def test_a_page_to_go_on_to_that_is_no_address_is_refused_in_words(next_page: str) -> None:
    stranger = Client(raise_request_exception=False)
    assert stranger.get("/accounts/login/", {"next": next_page}).status_code == 400
    answer = stranger.post("/accounts/login/", {"login": "x", "password": "y", "next": next_page})
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.content.decode()


@pytest.mark.parametrize("encoding", ["hex", "rot13", "zlib", "undefined", "idna"])
def test_a_codec_that_is_no_encoding_of_text_is_refused_in_words(encoding: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="login"\r\n\r\nx\r\n--x--\r\n'
    kind = f"multipart/form-data; boundary=x; charset={encoding}"

    async def post() -> HttpResponse:
        browser = AsyncClient(raise_request_exception=False)
        return cast(HttpResponse, await browser.generic("POST", "/accounts/login/", body, content_type=kind))

    answer = async_to_sync(post)()
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.content.decode()


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("/alerts/", "/alerts"),
        ("/alerts//?state=failed", "/alerts?state=failed"),
        ("/models/", "/models"),
        ("/settings/keys/new/", "/settings/keys/new"),
        ("/healthz/", "/healthz"),
        ("/api/v1/docs/", "/api/v1/docs"),
        ("/api/v1/alerts/?limit=1", "/api/v1/alerts?limit=1"),
        ("/data/candles/", "/data/candles"),
        ("/accounts/login", "/accounts/login/"),
        ("/welcome/password", "/welcome/password/"),
        ("/admin", "/admin/"),
    ],
)
def test_a_slash_too_many_or_too_few_leads_to_what_is_meant(mistyped: str, meant: str) -> None:
    answer = Client().get(mistyped)
    assert (answer.status_code, answer.headers.get("Location")) == (301, meant)
    assert Client().head(mistyped).status_code == 301


@pytest.mark.parametrize("path", ["/nosuch", "/nosuch/", "/alerts/x/"])
def test_what_does_not_exist_with_or_without_a_slash_is_a_404(path: str) -> None:
    assert Client().get(path).status_code == 404


@pytest.mark.parametrize("path", ["/desk/halt/", "/theme/", "/accounts/login"])
def test_what_is_sent_along_is_never_redirected_and_lost(path: str) -> None:
    assert Client().post(path, {"x": "y"}).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/alerts", "/settings", "/accounts/2fa/totp/activate/", "/admin/", "/data/session", "/api/v1/alerts"],
)
def test_nobody_keeps_a_private_answer(admin: Client, path: str) -> None:
    assert "no-store" in make.confirmed(admin).get(path)["Cache-Control"]
    assert "no-store" in Client().get(path)["Cache-Control"]


def test_who_is_no_admin_is_told_so_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    viewer = make.signed_in(make.person("viewer"))
    with caplog.at_level(logging.WARNING):
        answer = viewer.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "admin" in answer.content.decode()
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("referer", ["abc", "a\0b", "9" * 300, "\x1b", "javascript:alert(1)", "//evil.example"])
def test_a_hostile_page_of_origin_is_no_error_of_the_desk(admin: Client, referer: str) -> None:
    answer = admin.post("/theme", {"theme": "dark"}, headers={"referer": referer})
    assert answer.status_code == 302
    assert "evil" not in answer["Location"]
