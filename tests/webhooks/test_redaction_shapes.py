"""Secrets under uncommon names, spellings and signs, in messages of every make, and those without a name."""

import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.door.redaction import REMOVED, redact
from webhooks.door.secret_names import is_secret, may_hold_secrets

VALUE = "Hunter2-x9Q"
MESSAGES = {
    "line": f"symbol: BTCUSDT\npassphrase: correct {VALUE} battery; more, x\naction: buy",
    "line of two words": f"symbol: BTCUSDT\npass word: my {VALUE}\naction: buy",
    "yaml block": f"symbol: BTCUSDT\nsecret: |\n  {VALUE}\naction: buy",
    "yaml list": f"symbol: BTCUSDT\nsecret:\n  - {VALUE}\naction: buy",
    "ini": f"[alert]\nsymbol=BTCUSDT\nsecret={VALUE}\n",
    "arrows": f"BTCUSDT secret -> {VALUE}",
    "arrow joined": f"BTCUSDT secret->{VALUE}",
    "drawn arrow": f"BTCUSDT secret → {VALUE}",
    "walrus": f"BTCUSDT secret := {VALUE}",
    "two signs": f"BTCUSDT secret == {VALUE}, token::{VALUE}",
    "wide colon": f"BTCUSDT 密码：{VALUE}",
    "wide equals sign": f"BTCUSDT secret＝{VALUE}",
    "curly quotes": f"{{“symbol”: “BTCUSDT”, “secret”: “{VALUE} and more”}}",
    "blanks of another kind": f"BTCUSDT secret\u00a0:\u00a0{VALUE}",
    "entities": html.escape(json.dumps({"symbol": "BTCUSDT", "secret": VALUE})),
    "entities of elements": f"BTCUSDT &lt;secret&gt;{VALUE}&lt;/secret&gt;",
    "cdata": f"<a><symbol>BTCUSDT</symbol><secret><![CDATA[{VALUE}]]></secret></a>",
    "element in element": f"<a><symbol>BTCUSDT</symbol><x:secret a='b'><value>{VALUE}</value></x:secret></a>",
    "attribute": f'<a symbol="BTCUSDT"><secret value="{VALUE}"/></a>',
    "attributes": f"<a symbol='BTCUSDT'><field name='secret' value='{VALUE}'/></a>",
    "named element": f'<a symbol="BTCUSDT"><field name="api_key">{VALUE}</field></a>',
    "element beside its name": f"<p><s>BTCUSDT</s><name>secret</name> <value>{VALUE}</value></p>",
    "unclosed element": f"<p><s>BTCUSDT</s><secret>{VALUE}",
    "parts of a form": (
        '--x\r\nContent-Disposition: form-data; name="symbol"\r\n\r\nBTCUSDT\r\n--x\r\n'
        f'content-disposition: form-data; name="secret"\r\nContent-Type: text/plain\r\n\r\n{VALUE}\r\n--x--'
    ),
    "subscript": f"$a['symbol']='BTCUSDT'; $a['secret'] = '{VALUE}';",
    "form of a tree": f"data[symbol]=BTCUSDT&data[secret]={VALUE}",
    "form of a tree, escaped": f"symbol=BTCUSDT&data%5Bsecret%5D={VALUE}",
    "name escaped twice": f"symbol=BTCUSDT&s%2565cret={VALUE}",
    "beside": f"BTCUSDT buy secret {VALUE}",
    "columns": f"symbol,BTCUSDT,secret,{VALUE}",
    "bars": f"BTCUSDT|secret|{VALUE}",
    "tabs": f"BTCUSDT\tpassword\t{VALUE}",
    "list of pairs": json.dumps({"symbol": "BTCUSDT", "headers": [["secret", VALUE]]}),
    "option": f"BTCUSDT --password {VALUE}",
    "call": f"BTCUSDT password('{VALUE}')",
    "list": f"(symbol BTCUSDT) (secret {VALUE})",
    "path": f"BTCUSDT https://desk.example/secret/{VALUE}",
    "joined by a stroke": f"BTCUSDT secret_{VALUE} buy",
    "joined": f"BTCUSDT token{VALUE} buy",
    "login in an address": f"BTCUSDT https://me:{VALUE}@desk.example/x",
    "address of a source": f"BTCUSDT https://desk.example/webhooks/tradingview/{VALUE}{VALUE}",
    "address of a channel": f"BTCUSDT https://hooks.slack.com/services/T000/B000/{VALUE}{VALUE}",
    "address of a bot": f"BTCUSDT https://api.telegram.org/bot12345:{VALUE}{VALUE}/sendMessage",
    "signed token": f"BTCUSDT eyJhbGciOi.eyJzdWIiOiI.{VALUE}",
    "bearer": f"BTCUSDT Bearer {VALUE}{VALUE}",
    "private key": f"BTCUSDT -----BEGIN PRIVATE KEY-----\n{VALUE.replace('-', '')}\n-----END PRIVATE KEY-----",
    "value far from its name": json.dumps({"s": "BTCUSDT", "h": [{"name": "secret", "x": 1, "value": VALUE}]}),
    "value before its name": json.dumps({"symbol": "BTCUSDT", "h": [{"value": VALUE, "name": "secret"}]}),
    "short for name and value": json.dumps({"symbol": "BTCUSDT", "h": [{"K": "secret", "v": VALUE}]}),
    "json in json in json": json.dumps(json.dumps(json.dumps({"symbol": "BTCUSDT", "secret": VALUE}))),
    "remark": '{"symbol": "BTCUSDT", "secret" /* mine */: "' + VALUE + '"}',
}  # fmt: skip


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_secret_is_removed_whatever_the_message_looks_like(kind: str) -> None:
    clean, secrets = redact(MESSAGES[kind].encode())
    text = clean.decode()
    plain = VALUE if VALUE in MESSAGES[kind] else VALUE.replace("-", "")
    assert plain not in text, text
    assert REMOVED in html.unescape(text)
    assert "BTCUSDT" in text
    assert any(plain in secret for secret in secrets)


@pytest.mark.parametrize("kind", ["curly quotes", "cdata", "element in element", "line", "parts of a form"])
def test_the_secret_that_a_source_asks_for_is_read_from_such_a_message(kind: str) -> None:
    _, secrets = redact(MESSAGES[kind].encode())
    wanted = {"curly quotes": f"{VALUE} and more", "line": f"correct {VALUE} battery; more, x"}.get(kind, VALUE)
    assert wanted in secrets


_NAMES = """
authorisation authentification pasword passwrod secert password_main token_v2 apiKeyBinance api_key_live
secret_for_tv passwordForTheDesk access-token-of-the-bot s3cret passw0rd P4SSWORD t0ken pass_word
access_code recovery_codes 2fa_code security_code client.secret.old X-API-Key-Live sеcret pаssword тoken
пароль_апи секретныйКлюч Пароль гасло 密碼 パスワード トークン 비밀번호 κωδικός şifre hasło contrasena wachtwoord
motdepasse mot_de_passe mật_khẩu รหัสผ่าน पासवर्ड סיסמה كلمة_السر Schlüssel lösenord kodeord_senha
se\u00adcret se\u200bcret ｐａｓｓｗｏｒｄ s%2565cret
"""


@pytest.mark.parametrize("name", _NAMES.split())
def test_a_secret_is_known_under_uncommon_names_and_spellings(name: str) -> None:
    assert is_secret(name)
    assert may_hold_secrets(name.encode())


@pytest.mark.parametrize(
    "body",
    [
        "BUY token 1000PEPEUSDT now",
        "key level 5m_close_above, pass 3 of 4, session 0930-1600",
        "symbol: BTCUSDT\nsession: London\naction: buy",
        "https://www.tradingview.com/chart/BTCUSDT/a1B2c3D4 buy",
        "close -> open, EMA20 > EMA50, https://desk.example:8000/x",
        '{"type": "token", "symbol": "BTCUSDT", "order_id": "aB3dE5gH7"}',
        "<a><name>symbol</name><value>BTC1usdt2X</value><note>a &lt; b &amp; c</note></a>",
        '<a href="x" name="symbol">BTCUSDT</a>',
        '{"h": [{"name": "symbol", "value": "BTCUSDT"}, {"name": "secretary", "value": "aB3dE5gH7"}]}',
        "“BTCUSDT” ‘buy’： now — сейчас",
        'content-disposition: form-data; name="symbol"\r\n\r\nBTCUSDT\r\n',
    ],
)
def test_what_people_write_about_markets_stays_as_it_came(body: str) -> None:
    assert redact(body.encode()) == (body.encode(), frozenset())


def test_of_a_message_on_one_line_only_the_secret_goes() -> None:
    clean, _ = redact(b"secret: abc BUY BTCUSDT, price: 5")
    assert clean == b"secret: [removed] BUY BTCUSDT, price: 5"


def test_the_next_element_alone_is_the_one_that_a_name_announces() -> None:
    body = b"<name>secret</name><note>a</note><value>5</value>"
    assert redact(body) == (body, frozenset())


PIECES = st.sampled_from(
    ["secret", "token", "<", ">", "</secret>", '"', "'", ":", "=", "“", "”", "：", "\n", " ", "&quot;", "&lt;",
     "%", "\\", "{", "}", "[", "]", "value", "name", "/*", "*/", "-", "|", "aB3dE5gH7", "://", "@", "é", "\x80"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join))
def test_what_is_clean_stays_clean_whatever_signs_stand_beside_each_other(text: str) -> None:
    clean, _ = redact(text.encode())
    clean.decode()
    again, secrets = redact(clean)
    assert (again, secrets) == (clean, frozenset())


@pytest.mark.parametrize(
    "body",
    [
        b"<secret>" * 8_000,
        b"".join(b"<secret%d>" % n for n in range(5_000)),
        b'content-disposition: form-data; name="a"\n' * 1_500,
        b"secret " * 9_000,
        b"secret_" * 9_000,
        b"token: a\n" * 7_000,
        b"eyJ" * 20_000,
        b"/webhooks/" * 6_000,
        b"://a:" * 12_000,
        b"&quot;" * 10_000,
        b'{"name":"secret",' * 3_500,
        b'"value":' * 7_000,
        "“".encode() * 20_000,
        b"/*" * 30_000,
        b"-----BEGIN PRIVATE KEY-----" * 2_000,
    ],
)
def test_no_message_takes_longer_than_its_length(body: bytes) -> None:
    import time

    began = time.thread_time()
    redact(body)
    assert time.thread_time() - began < 3


QUOTED = 'a"Hunter2'


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("sign", [":", "="])
def test_a_secret_with_a_quote_is_removed_from_a_message_within_messages(levels: int, sign: str) -> None:
    text = json.dumps({"secret": QUOTED}) if sign == ":" else f"secret={json.dumps(QUOTED)}"
    for _ in range(levels):
        text = json.dumps({"symbol": "BTCUSDT", "payload": text})
    clean, secrets = redact(text.encode())
    assert b"Hunter2" not in clean
    assert QUOTED in secrets
    assert json.loads(clean)["symbol"] == "BTCUSDT"


def test_of_a_broken_message_within_a_message_only_the_secret_goes() -> None:
    clean, secrets = redact(rb'{"symbol":"BTCUSDT","payload":"{\"secret\":\"Hunter2\",\"a\":\"b')
    assert clean == rb'{"symbol":"BTCUSDT","payload":"{\"secret\":\"[removed]\",\"a\":\"b'
    assert secrets == {"Hunter2"}


def test_what_was_removed_before_is_no_secret() -> None:
    body = b'{"secret": "[removed]", "symbol": "BTCUSDT"}'
    assert redact(body)[1] == frozenset()
