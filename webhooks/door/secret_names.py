"""Which names in a message stand for a secret. Pure.

A name is split into words ("apiSecret", "api-secret", "API_SECRET" are the same) and judged by its last one: what
a thing is called comes last. A `…_key` is one unless the word before says what it tells apart (`strategy_key`,
`idempotency_key`); `session` alone is a time of the market, `session_id` is a secret. Names of people and chats
(`user`, `email`, `chat_id`) and a bare `pin`, which is a kind of candle, are none.
"""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

_NOUNS = """
secret secrets password passwords passwd passphrase passcode passwort kennwort pwd pw pass senha contraseña
пароль 密码 token tokens jwt bearer auth authorization authentication credential credentials creds cookie
cookies signature sig hmac license licence otp totp mnemonic sid apikey apikeys secretkey privatekey accesskey
licensekey licencekey authkey signingkey sessionkey sessionid pincode
"""
NOUNS = frozenset(_NOUNS.split())
#: What may stand behind such a word without changing what it is: `session_id`, `password_value`.
TAILS = frozenset({"value", "text", "string", "hex", "base64", "header", "code", "phrase", "id", "plain", "raw"})
#: In front of "key" these say that it tells things apart and opens nothing.
_TELLS_APART = """
strategy idempotency order event alert signal dedupe dedup sort primary foreign public symbol instrument
message trade position row cache partition group lookup hot routing object field map index chart bar level
config setting
"""
TELLS_APART = frozenset(_TELLS_APART.split())
OPENS = frozenset({"api", "secret", "private", "access", "auth", "license", "licence", "ssh"})
#: With an id, code or phrase behind them these are secrets; alone they mean something else on a market.
BEFORE_TAIL = {"session": {"id", "key", "token", "cookie"}, "seed": {"phrase", "words"}, "pin": {"code"}}
#: Written in one word.
ENDINGS = (
    "secret", "password", "passwd", "passphrase", "passcode", "pwd", "token", "apikey", "secretkey", "privatekey",
    "accesskey", "licensekey", "licencekey", "authkey", "signingkey", "sessionid", "sessionkey", "cookie",
    "credentials", "authorization",
)  # fmt: skip
_SMALL = "a-zß-öø-ÿ"
_WORD = re.compile(rf"[Bb]ase64|[A-Z]+(?![{_SMALL}])|[A-Z]?[{_SMALL}]+|[^\W\d_A-Z{_SMALL}]+")
_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
LONGEST = 200  # characters


def plain_name(name: str) -> str:
    """Return a name without the escapes of JSON and of addresses."""
    unescaped = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    return unquote(unescaped).replace("\\", "")


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Return whether what is called `name` is a secret."""
    plain = unicodedata.normalize("NFKC", plain_name(name[:LONGEST]))
    return _says_secret([word.lower() for word in _WORD.findall(plain.lower() if plain.isupper() else plain)])


def _says_secret(words: list[str]) -> bool:
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in BEFORE_TAIL.get(before, ()) or last in NOUNS or last.endswith(ENDINGS):
        return True
    if last == "key":
        return before not in TELLS_APART
    if last == "keys":
        return before in OPENS
    return last in TAILS and _says_secret(words[:-1])


def _stem_pattern() -> bytes:
    """Return a pattern that every secret's name in plain letters contains: the words, less what contains one."""
    words = sorted(word for word in NOUNS | {"key"} | BEFORE_TAIL.keys() | set(ENDINGS) if word.isascii())
    stems = [word for word in words if not any(other in word and other != word for other in words)]
    whole = "(?-i:(?![a-z]))"  # it is a word by itself only: "sid" is not in "side"
    return "|".join(stem + (whole if sum(stem in word for word in words) == 1 else "") for stem in stems).encode()


_STEM = re.compile(_stem_pattern(), re.I)
_WRITTEN_OTHERWISE = re.compile(rb"[^\x01-\x7f]|[\\%]")


def may_hold_secrets(body: bytes) -> bool:
    """Return False if nothing in a message can be the name of a secret, however it is read. Most messages."""
    return bool(_STEM.search(body) or _WRITTEN_OTHERWISE.search(body))
