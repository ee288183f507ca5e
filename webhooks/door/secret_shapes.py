"""Secrets that are known by what they look like or where they stand, whatever they are called. Pure, linear.

Nothing here judges a name: it is a login or a token in an address, a signed token, a private key; and what stands
behind the name of a secret without a sign between them.
"""

import re
from collections.abc import Iterator

from webhooks.door.secret_names import is_secret

Span = tuple[int, int]

_SHAPES = re.compile(
    rb"://[^\s/:@\"'<>\\]*+:(?P<login>[^\s/@\"'<>\\]++)@"
    rb"|(?:/webhooks?/(?:[a-z0-9.-]{1,40}+/)?+|hooks\.slack\.com/services/|api\.telegram\.org/bot)"
    rb"(?P<path>[\w:/-]{16,}+)"
    rb"|\b(?:bearer|basic) ++(?P<bearer>[\w.~+/=-]{16,}+)"
    rb"|\b(?P<signed>eyJ[\w-]{5,}+\.[\w-]{5,}+\.?+[\w-]*+)"
    rb"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----(?P<key>[^-]++)",
    re.I,
)
_NAME = rb"(?<![\w%.\-\x80-\xff])([\w%.\-\x80-\xff]{1,200}+)"
# Between a name and what looks like no word: blanks, quotes, brackets, commas.
_BESIDE = re.compile(_NAME + rb"(?=([\"' \t|,;/(\[~]{1,4}+)([\w.\-+@!#$*^%]{8,200}+)(?![\"']?+\s*+[=:]))")
# A name and its value in one word: "token_4f9aC…".
_JOINED = re.compile(
    rb"(?:secret|password|passwd|passphrase|passcode|passwort|token|api[_-]?key)[_.\-]?"
    rb"([\w.\-]{8,200}+)(?![\w%.\-]|[\"']?+\s*+[=:])",
    re.I,
)
_CAPITAL, _SMALL, _DIGIT = (re.compile(kind) for kind in (rb"[A-Z]", rb"[a-z]", rb"[0-9]"))
_LONG = 16  # characters


def spans(body: bytes) -> Iterator[Span]:
    """Yield where secrets stand, in their order and apart from each other."""
    at = 0
    for start, end in sorted([*_of_shape(body), *_beside(body), *_joined(body)]):
        if start >= at:
            yield start, end
            at = end


def _of_shape(body: bytes) -> Iterator[Span]:
    for match in _SHAPES.finditer(body):
        yield match.span(match.lastgroup or 0)


def _beside(body: bytes) -> Iterator[Span]:
    for match in _BESIDE.finditer(body):
        if _is_no_word(match[3]) and is_secret(match[1].decode("utf-8", "replace")):
            yield match.span(3)


def _joined(body: bytes) -> Iterator[Span]:
    for match in _JOINED.finditer(body):
        if _is_no_word(match[1]):
            yield match.span(1)


def _is_no_word(text: bytes) -> bool:
    """Return whether letters and digits are mixed as in passwords and tokens; symbols are written in capitals."""
    if not _DIGIT.search(text) or not _SMALL.search(text):
        return False
    return len(text) >= _LONG or _CAPITAL.search(text) is not None
