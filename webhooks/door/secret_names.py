"""Which names in a message stand for a secret. Pure.

A name is split into words ("apiSecret", "api-secret", "API_SECRET" are the same) and judged by its last one:
what a thing is called comes last. Words that mean nothing else ("password", "secret", "пароль") are secrets
wherever they stand. A `…_key` is one unless the word before says what it tells apart (`strategy_key`,
`idempotency_key`); `session` alone is a time of the market, `session_id` is a secret. Names of people and chats
(`user`, `email`, `chat_id`) and a bare `pin`, which is a kind of candle, are none.
"""

import itertools
import re
from functools import lru_cache
from urllib.parse import unquote

from webhooks.door.secret_words import (
    ANYWHERE,
    BEFORE_TAIL,
    CARRIED,
    CARRIES,
    ENDINGS,
    NOUNS,
    TAILS,
    TELLS_APART,
    letters,
)

_SMALL, _LARGE = "a-z\u0430-\u045f\u03b1-\u03c9", "A-Z\u0400-\u042f\u0391-\u03a9"  # Latin, Cyrillic, Greek
_WORD = re.compile(
    rf"[Bb]ase64|2fa|2FA|[{_LARGE}]+(?![{_SMALL}])|[{_LARGE}]?[{_SMALL}]+|[^\W\d_{_LARGE}{_SMALL}]+"
)
_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
# With figures for letters.
_FIGURES = re.compile(r"p[a4@]ss+w[o0]r[dt]|s[e3]cr[e3]t|t[o0]k[e3]n", re.I)
# Letters of other scripts that look like Latin ones, for names that mix them.
_LOOKS_LATIN = str.maketrans("асеікорѕтухАВСЕІКМНОРЅТУХαεικορτυχ", "aceikopstyxABCEIKMHOPSTYXaeikoptux")
LONGEST = 200  # characters


def plain_name(name: str) -> str:
    """Return a name without the escapes of JSON and of addresses."""
    unescaped = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    return unquote(unquote(unescaped)).replace("\\", "")


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Return whether what is called `name` is a secret."""
    plain = letters(plain_name(name[:LONGEST]))
    if _FIGURES.search(plain) and not plain.isalpha():
        plain = _FIGURES.sub(_in_letters, plain)
    return _says_secret(_words_of(plain)) or (not plain.isascii() and _mixes_scripts(plain))


def _in_letters(figures: re.Match[str]) -> str:
    word = figures[0].lower().translate(str.maketrans("4@03", "aaoe"))
    return word.upper() if figures[0].isupper() else word


def _mixes_scripts(plain: str) -> bool:
    """Return whether a name is a secret's once letters that look like Latin ones are taken for them."""
    latin = plain.translate(_LOOKS_LATIN)
    return latin != plain and _says_secret(_words_of(latin))


def _words_of(plain: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(plain.lower() if plain.isupper() else plain)]


def _says_secret(words: list[str]) -> bool:
    if any(word in ANYWHERE for word in words) or any(map(_opens, itertools.pairwise(words))):
        return True
    return _ends_in_secret(words)


def _opens(pair: tuple[str, str]) -> bool:
    """Return whether two words are "api key", "access token" and the like: one wherever it stands in a name."""
    return pair[0] in CARRIES and pair[1] in CARRIED


def _ends_in_secret(words: list[str]) -> bool:
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in BEFORE_TAIL.get(before, ()) or last in NOUNS or last.endswith(ENDINGS):
        return True
    if last == "key":
        return before not in TELLS_APART
    return last in TAILS and _ends_in_secret(words[:-1])


def _stem_pattern() -> bytes:
    """Return a pattern that every secret's name in plain letters contains: the words, less what contains one.

    By their first letter, so that most places of a message are done with after one comparison for each.
    """
    words = sorted(word for word in NOUNS | {"key"} | BEFORE_TAIL.keys() | set(ENDINGS) if word.isascii())
    stems = [word for word in words if not any(other in word and other != word for other in words)]
    whole = "(?-i:(?![a-z]))"  # it is a word by itself only: "sid" is not in "side"
    endings = {stem: whole if sum(stem in word for word in words) == 1 else "" for stem in stems}
    groups = itertools.groupby(stems, key=lambda stem: stem[0])
    return "|".join(
        f"{first}(?:{'|'.join(stem[1:] + endings[stem] for stem in group)})" for first, group in groups
    ).encode()


_STEM = re.compile(_stem_pattern(), re.I)
# What is not plain letters may be one all the same; so may addresses with a login or a token in them.
_WRITTEN_OTHERWISE = re.compile(rb"[^\x01-\x7f]|[\\%]|://|/webhook|eyJ|[4@]ss+w|w0r[dt]|s[e3]cr|t[o0]k[e3]n", re.I)


def may_hold_secrets(body: bytes) -> bool:
    """Return False if nothing in a message can be a secret or the name of one, however it is read. Most can't."""
    return bool(_STEM.search(body) or _WRITTEN_OTHERWISE.search(body))
