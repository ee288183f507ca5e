"""Which names stand for a secret, word by word."""

from collections.abc import Iterator

import pytest

from tests.webhooks.test_redaction import NAMES, READABLE
from webhooks.door import secret_names
from webhooks.door.secret_names import ENDINGS, NOUNS, TAILS, TELLS_APART, is_secret, may_hold_secrets
from webhooks.door.secret_words import OPENS


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Judge each name anew: what was judged before would hide a change of how."""
    is_secret.cache_clear()
    yield
    is_secret.cache_clear()


@pytest.mark.parametrize("name", [*NAMES, *sorted(NOUNS), *ENDINGS])
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)
    assert is_secret(name.upper())
    assert may_hold_secrets(f'{{"{name}": 1}}'.encode())


@pytest.mark.parametrize("name", [*READABLE, "", "_", "1", "value", "id", "header_value", "key_id_of", "pincodes"])
def test_what_is_no_secret_is_known_too(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize("tail", sorted(TAILS))
def test_what_stands_behind_a_secret_makes_it_none_the_less_one(tail: str) -> None:
    assert is_secret(f"token_{tail}")
    assert is_secret(f"token_{tail}_{tail}")
    assert not is_secret(f"price_{tail}")


@pytest.mark.parametrize("before", sorted(TELLS_APART))
def test_a_key_that_tells_things_apart_is_none(before: str) -> None:
    assert not is_secret(f"{before}_key")
    assert not is_secret(f"my_{before}_key")


def test_a_key_is_one_unless_it_is_said_what_it_tells_apart_and_keys_where_it_is_said_what_they_open() -> None:
    assert is_secret("key")
    assert is_secret("my_key")
    assert not is_secret("keys")
    assert not is_secret("map_keys")
    assert all(is_secret(f"{before}_keys") for before in OPENS)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("session", False), ("session_id", True), ("session_key", True), ("session_token", True),
        ("session_cookie", True), ("session_name", False), ("seed", False), ("seed_phrase", True),
        ("seed_words", True), ("seed_id", False), ("pin", False), ("pin_code", True), ("pin_id", False),
    ],
)  # fmt: skip
def test_some_words_are_secrets_only_with_another_behind_them(name: str, secret: bool) -> None:
    assert is_secret(name) is secret
    assert is_secret(f"my_{name}") is secret


def test_the_last_word_decides() -> None:
    assert is_secret("price_token")
    assert not is_secret("token_price")
    assert not is_secret("token_price_id")


@pytest.mark.parametrize(
    "name",
    [
        "contraseña", "Contraseña", "miContraseña", "contrasen\u0303a", "ｓｅｃｒｅｔ", "MeinPaßToken",
        "apiПароль", "tokenBase64", "token_base64", "TOKEN_BASE64",
        "apiSecret", "api-secret", "API_SECRET", "APISecret", "api.secret", "%73ecret", "s%65cret", "\\u0073ecret",
        "\\\\u0073ecret", "se\\cret", "a%5Fsecret",
    ],
)  # fmt: skip
def test_a_name_is_read_without_its_spelling_and_escapes(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        # Letters of Cyrillic and Greek that look like Latin ones.
        ("ѕесret", True), ("tоken", True), ("ΑΡΙ_key", True), ("рrice", False), ("цена", False),
        ("ціна_token_x", False),
        # Figures for letters.
        ("p4ssw0rd", True), ("P4SSW0RD", True), ("my_S3cret_x", True), ("t0k3n", True), ("T0k3nId", True),
        ("t0tal", False), ("t0k3n_price", False),
        # A word that means nothing else, wherever it stands; and two that open something together.
        ("password_reset_link", True), ("secretForTheDesk", True), ("api_key_of_mine", True),
        ("access_token_and_more", True), ("mine_key_of", False), ("key_token_of", False), ("api_price_of", False),
        ("secret_keys", True), ("Keys", False),
    ],
)  # fmt: skip
def test_a_name_is_known_in_the_disguises_that_people_use(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_a_plain_name_is_one_without_escapes() -> None:
    assert secret_names.plain_name("\\u0041\\\\u00e9%20b\\") == "Aé b"
    assert secret_names.plain_name("price") == "price"


def test_a_name_is_judged_by_its_first_two_hundred_characters() -> None:
    assert is_secret("x" * 193 + "_secret")
    assert not is_secret("x" * 194 + "_secret")


def test_the_look_for_stems_is_made_of_the_words_as_they_are() -> None:
    pattern = secret_names._stem_pattern()
    assert pattern == secret_names._STEM.pattern
    # A word inside another is enough, and one that only stands alone must.
    assert b"secretkey" not in pattern
    assert b"|id(?-i:(?![a-z]))" in pattern, "behind its first letter"


@pytest.mark.parametrize(
    ("body", "perhaps"),
    [
        (b'{"symbol": "BTCUSDT", "action": "buy", "side": "long", "price": 1.5}', False),
        (b"", False),
        (b'{"Secret": 1}', True),
        (b'{"sid": 1}', True),
        ('{"ключ": 1}'.encode(), True),
        (b'{"\\u0073": 1}', True),
        (b"a%62c=1", True),
        (b"a\x00b", True),
    ],
)
def test_a_message_is_looked_at_if_a_name_in_it_could_be_a_secrets(body: bytes, perhaps: bool) -> None:
    assert may_hold_secrets(body) is perhaps
