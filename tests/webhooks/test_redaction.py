"""Secrets never reach the table: every name that people give them, in every form that a message has."""

import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.door.redaction import REMOVED, redact
from webhooks.door.secret_names import BEFORE_TAIL, NOUNS, TAILS, is_secret, may_hold_secrets

VALUE = "Hunter2-x9Q"
_NAMES = """
secret passphrase password passwd token auth_token access_token api_key webhook_secret webhookPassphrase
api_secret secret_key secretKey client_secret private_key signalToken bot_token refresh_token pwd pass key
license authorization apikey apiKey API_KEY api-key x-api-key X-Auth-Token authToken accessToken bearer jwt
cookie set-cookie session_id sessionid sessionKey session_token credentials db_password MyPassword pass_phrase
passcode pin_code otp totp totp_secret signature hmac license_key licence signing_key encryption_key
access_key secret_access_key telegramBotToken discord_token mnemonic seed_phrase auth authentication
userPassword password2 token_1 secret_value password_hash_key webhookSecret alert.secret strategy.order.token
clientsecret privatekey secretkey authtoken senha passwort contraseña CONTRASEÑA пароль 密码 token_base64
"""
NAMES = _NAMES.split()
_READABLE = """
symbol ticker action side strategy strategy_key strategyKey idempotency_key order_key event_key alert_key
signal signal_key dedupe_key public_key keyword keys monkey passed bypass pass_count compass tokenized session
trading_session session_name seed pin pinbar user username email chat_id id order_id timenow time price close
comment position_size secretary authored cookies_count signals_total design
"""
READABLE = _READABLE.split()


def unicode_escaped(name: str) -> str:
    return f"\\u{ord(name[0]):04x}" + name[1:]


def percented(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


FORMS = {
    "json": lambda name: json.dumps({"symbol": "BTCUSDT", name: VALUE, "action": "buy"}),
    "json number": lambda name: json.dumps({"symbol": "BTCUSDT", name: VALUE}).replace(f'"{VALUE}"', VALUE),
    "json spaced": lambda name: json.dumps({name: VALUE, "symbol": "BTCUSDT"}, indent=2),
    "nested": lambda name: json.dumps({"symbol": "BTCUSDT", "a": [{"b": {name: VALUE}}]}),
    "list": lambda name: json.dumps({name: [VALUE, 1.25], "symbol": "BTCUSDT"}),
    "object": lambda name: json.dumps({name: {"x": {"y": VALUE}}, "symbol": "BTCUSDT"}),
    "named value": lambda name: json.dumps({"symbol": "BTCUSDT", "h": [{"name": name, "value": VALUE}]}),
    "escaped name": lambda name: f'{{"symbol":"BTCUSDT","{unicode_escaped(name)}":"{VALUE}"}}',
    "escaped name, broken": lambda name: f'{{"symbol":"BTCUSDT","{unicode_escaped(name)}":"{VALUE}"',
    "unterminated": lambda name: f'{{"symbol":"BTCUSDT","{name}":"{VALUE}',
    "trailing comma": lambda name: f'{{"symbol":"BTCUSDT","{name}":"{VALUE}",}}',
    "unquoted": lambda name: f"{{symbol: BTCUSDT, {name}: {VALUE}}}",
    "unquoted list": lambda name: f"{{symbol: BTCUSDT, {name}: [{VALUE}, 2]}}",
    "single quotes": lambda name: f"{{'symbol': 'BTCUSDT', '{name}': '{VALUE}'}}",
    "json in json": lambda name: json.dumps({"symbol": "BTCUSDT", "payload": json.dumps({name: VALUE})}),
    "json in json in json": lambda name: json.dumps(
        {"symbol": "BTCUSDT", "p": json.dumps({"q": json.dumps({name: VALUE})})}
    ),
    "json in broken json": lambda name: f'{{"symbol":"BTCUSDT","payload":"{{\\"{name}\\":\\"{VALUE}\\"}}',
    "pair in json": lambda name: json.dumps({"symbol": "BTCUSDT", "comment": f"go {name}={VALUE} now"}),
    "pairs": lambda name: f"symbol=BTCUSDT {name}={VALUE} action=buy",
    "pairs with quotes": lambda name: f'symbol=BTCUSDT {name}="{VALUE} y" action=buy',
    "lines": lambda name: f"symbol: BTCUSDT\n{name}: {VALUE}\naction: buy",
    "arrow": lambda name: f"symbol => BTCUSDT, {name} => {VALUE}",
    "form": lambda name: f"symbol=BTCUSDT&{name}={VALUE}&action=buy",
    "percent name": lambda name: f"symbol=BTCUSDT&{percented(name[0])}{name[1:]}={VALUE}",
    "form with json": lambda name: "symbol=BTCUSDT&payload=" + quote_plus(json.dumps({name: VALUE})),
    "percent json": lambda name: quote(json.dumps({"symbol": "BTCUSDT", name: VALUE})),
    "address": lambda name: f"BTCUSDT buy https://desk.example/hook?{name}={VALUE}&x=1",
    "header": lambda name: f"symbol=BTCUSDT\n{name}: Bearer {VALUE}",
    "xml": lambda name: f"<alert><symbol>BTCUSDT</symbol><{name}>{VALUE}</{name}></alert>",
}  # fmt: skip


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_removed_under_every_name_and_in_every_form(form: str, encoding: str) -> None:
    for name in NAMES:
        clean, secrets = redact(FORMS[form](name).encode(encoding))
        text = clean.decode(encoding)
        assert VALUE not in text, text
        assert REMOVED in text or quote_plus(REMOVED) in text
        assert "BTCUSDT" in text
        assert any(VALUE in secret for secret in secrets), name


@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"header"}))  # whatever is called so, a bearer token is one
def test_what_is_no_secret_stays_as_it_came(form: str) -> None:
    for name in READABLE:
        body = FORMS[form](name).encode()
        assert redact(body) == (body, frozenset())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b'{"price": 0.12345678901234567890, "big": 1e400, "symbol": "BTCUSDT"}',
        '{"comment": "пароль неверный", "symbol": "BTCUSDT"}'.encode(),
        b'{"secret": "", "token": null, "symbol": "BTCUSDT"}',
        b'{"time": "12:30:00", "url": "https://example.org/a?b=c"}',
        b'{"change": "5%", "a%20b": "x=1&y=2"}',
        b"BINANCE:BTCUSDT buy 100% now",
        b"buy\xff\xfe\x80",
    ],
)
def test_a_message_without_a_secret_is_kept_byte_by_byte(body: bytes) -> None:
    assert redact(body) == (body, frozenset())


def test_only_the_secret_goes_and_numbers_keep_their_digits() -> None:
    clean, _ = redact(b'{"price": 0.12345678901234567890, "token": {"a": "b"}, "qty": 1e400}')
    assert clean == b'{"price": 0.12345678901234567890, "token": "[removed]", "qty": 1e400}'


def test_a_secret_with_quotes_and_escapes_goes_whole() -> None:
    clean, secrets = redact(rb'{"secret": "a\"b\\", "x": "c"} token="d\"e" y')
    assert clean == b'{"secret": "[removed]", "x": "c"} token="[removed]" y'
    assert secrets == {'a"b\\', 'd"e'}


@pytest.mark.parametrize("name", ["", "_", "-", "%", "\\", "1", "²", "key" * 100, "\ud800"])
def test_any_name_can_be_judged(name: str) -> None:
    assert is_secret(name) in (True, False)


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_body_can_be_read_and_what_is_clean_stays_clean(body: bytes) -> None:
    clean, _ = redact(body)
    again, secrets = redact(clean)
    assert (again, secrets) == (clean, frozenset())


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 10_000,
        b'{"secret":[' * 5_000,
        b'"secret":' * 7_000,
        b"secret={" * 8_000,
        b"<secret>" * 8_000,
        b"\\" * 65_536,
        b"%" * 65_536,
        b"a=%25&" * 10_000,
        b'"' + b'\\"secret\\":' * 5_000,
        b"secret" * 10_000,
        b"secret='" * 8_000,
        b'secret="' * 8_000,
        b'{"a":"' + b"x=1 " * 16_000 + b'"}',
    ],
)
def test_the_longest_messages_take_no_longer_than_their_length(body: bytes) -> None:
    began = time.thread_time()
    redact(body)
    assert time.thread_time() - began < 2


WORDS = st.sampled_from(sorted([*NOUNS, *TAILS, *BEFORE_TAIL, "key", "keys", "side", "Value"]))
WRITTEN = st.sampled_from([str, str.upper, str.title, str.capitalize])


@given(
    st.lists(WORDS | st.text("abcdeiKSTsyon_-", max_size=6), max_size=4),
    st.sampled_from("_-.") | st.just(""),
    WRITTEN,
)
def test_whatever_is_called_like_a_secret_is_looked_at(
    words: list[str], between: str, write: Callable[[str], str]
) -> None:
    name = between.join(write(word) for word in words)
    assert may_hold_secrets(name.encode()) or not is_secret(name)


def test_the_messages_that_most_alerts_are_need_no_second_look() -> None:
    assert not may_hold_secrets(b'{"symbol": "BTCUSDT", "action": "buy", "side": "long", "price": 1.5}')
