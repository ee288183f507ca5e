"""Secrets in the body of an alert: extracted for the comparison, and removed before anything is stored or logged.

Works on the bytes as they came, so that a message which is no valid JSON loses its secrets too and is otherwise
kept whole: JSON, whole or broken or as text within JSON, `name=value`, forms, XML, also in UTF-16. Which names are
those of secrets says `webhooks.door.secret_names`. Every pattern is linear in time.
"""

import json
import re
from collections.abc import Iterator
from urllib.parse import quote_plus, unquote_plus

from webhooks.door.secret_names import is_secret, may_hold_secrets

REMOVED = "[removed]"
DEPTH = 4  # messages within messages
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s"{}\[\],:]++', re.S)
_PAIR = re.compile(rb"(?<![\w%.\-\\\x80-\xff])([\w%.\-\\\x80-\xff]{1,200}+)[\"']?+\\*+\s*+(?:=>?+|:)\s*+\\*+")
_BARE = rb"(?:(?:bearer|basic|digest|token) ++)?+[^\s,;&|\"'{}\[\]\\<]++"
_VALUE = re.compile(rb"\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)|'[^']*+(?:'|\Z)|%b" % _BARE, re.I | re.S)
_VALUE_ESCAPED = re.compile(rb"\"[^\"\\]*+(?:\\?\"|\\?\Z|(?=\\))|'[^']*+(?:'|\Z)|%b" % _BARE, re.I | re.S)
_BRACKET = re.compile(rb"[{}\[\]]")
_FORM_VALUE = re.compile(rb"[^\s\"'{}<>]++")
_ELEMENT = re.compile(rb"<([\w:.\-\x80-\xff]{1,200}+)(?:\s[^<>]*+)?>([^<]++)")
_DECODER = json.JSONDecoder(strict=False)
_NAMING, _CARRYING = ("name", "key", "field", "header"), "value"


def redact(body: bytes) -> tuple[bytes, frozenset[str]]:
    """Return `body` with the value of everything that is called like a secret replaced, and those values."""
    if not may_hold_secrets(body):
        return body, frozenset()
    return _redact(body)


def _redact(body: bytes) -> tuple[bytes, frozenset[str]]:
    secrets: set[str] = set()
    encoding = _wide_encoding(body)
    if encoding:
        clean = _clean(body.decode(encoding, "replace").encode("utf-8", "replace"), secrets, DEPTH)
        clean = clean.decode("utf-8", "replace").encode(encoding) if secrets else body
    else:
        clean = _clean(body, secrets, DEPTH)
    return clean, frozenset(secrets - {REMOVED, ""})


def _wide_encoding(body: bytes) -> str:
    """Return which of UTF-16 and UTF-32 a body is in, by its mark or by the zeros between plain letters."""
    if body.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if len(body) < 4 or body.count(0) * 3 < len(body):
        return ""
    if body.count(0) * 8 > len(body) * 5:
        return "utf-32-le" if body[0] else "utf-32-be"
    return "utf-16-le" if body[0] else "utf-16-be"


def _clean(body: bytes, secrets: set[str], depth: int) -> bytes:
    if depth == 0:
        return body
    body = _splice(body, _in_json(body, secrets, depth))
    body = _splice(body, _in_text(body, secrets))
    body = _splice(body, _in_xml(body, secrets))
    return _in_form(body, secrets, depth) if b"%" in body else body


Patch = tuple[int, int, bytes]


def _splice(body: bytes, patches: Iterator[Patch]) -> bytes:
    """Return `body` with each (start, end, text) put in, in their order."""
    parts, at = [], 0
    for start, end, text in patches:
        parts += [body[at:start], text]
        at = end
    return b"".join([*parts, body[at:]]) if parts else body


def _in_json(body: bytes, secrets: set[str], depth: int) -> Iterator[Patch]:
    """Find values of secret names, whole lists and objects too, and messages within texts."""
    tokens = list(_TOKEN.finditer(body)) if b'"' in body and b":" in body else []
    replaced = f'"{REMOVED}"'.encode()
    at = 0
    while at < len(tokens) - 2:
        name, colon, value = tokens[at : at + 3]
        at += 1
        if colon[0] != b":" or not name[0].startswith(b'"'):
            continue
        if is_secret(_text(name[0])) or _is_carried(tokens, at - 1):
            first, at = at + 1, _end_of_value(tokens, at + 1)
            start, end = value.start(), tokens[at - 1].end()
            if value[0] not in (b"null", b'""', b",", b"}", b"]"):
                # The secret that a source asks for may be any part of a list or an object.
                secrets |= {_text(token[0]) for token in tokens[first:at]}
                yield start, end, replaced
        elif value[0].startswith(b'"') and (inner := _within(value[0], secrets, depth)):
            yield value.start(), value.end(), inner


def _is_carried(tokens: list[re.Match[bytes]], at: int) -> bool:
    """Return whether a token is "value" beside a name: `{"name": "secret", "value": …}`."""
    if _text(tokens[at][0]) != _CARRYING or at < 4:
        return False
    return _text(tokens[at - 4][0]) in _NAMING and is_secret(_text(tokens[at - 2][0]))


def _end_of_value(tokens: list[re.Match[bytes]], at: int) -> int:
    """Return the place after the value that begins at `at`."""
    depth = 0
    for place in range(at, len(tokens)):
        token = tokens[place][0]
        depth += (token in (b"{", b"[")) - (token in (b"}", b"]"))
        if depth <= 0:
            return place + 1
    return len(tokens)


def _within(quoted: bytes, secrets: set[str], depth: int) -> bytes:
    """Return a text that is a message itself without its secrets; nothing if it has none."""
    text = _text(quoted)
    if not any(mark in text for mark in ":=<"):
        return b""
    clean = _clean(text.encode("utf-8", "replace"), secrets, depth - 1).decode("utf-8", "replace")
    return json.dumps(clean).encode() if REMOVED in clean and REMOVED not in text else b""


def _in_text(body: bytes, secrets: set[str]) -> Iterator[Patch]:
    """Find values behind `name=` and `name:`, with or without quotes."""
    at = 0
    for pair in _PAIR.finditer(body):
        if pair.start() < at or not is_secret(pair[1].decode("utf-8", "replace")):
            continue
        start = pair.end()
        value = body[start : _end_of_text(body, start, escaped=b"\\" in pair[0])]
        text = _text(value)
        if text in ("", "null") or text.startswith((REMOVED, REMOVED[1:-1])):
            continue
        secrets.add(text)
        at = start + len(value)
        mark = value[:1] if value[:1] in (b'"', b"'") else b""
        closing = b"\\" + mark if mark and value.endswith(b"\\" + mark) else mark
        yield start, at, mark + REMOVED.encode() + closing


def _end_of_text(body: bytes, start: int, *, escaped: bool) -> int:
    """Return the end of the value that begins at `start`: a list or an object goes to its last bracket."""
    if body[start : start + 1] not in (b"{", b"["):
        value = (_VALUE_ESCAPED if escaped else _VALUE).match(body, start)
        return value.end() if value else start
    depth = 0
    for bracket in _BRACKET.finditer(body, start):
        depth += 1 if bracket[0] in b"{[" else -1
        if depth == 0:
            return bracket.end()
    return len(body)


def _in_xml(body: bytes, secrets: set[str]) -> Iterator[Patch]:
    """Find the text of elements that are called like a secret."""
    for element in _ELEMENT.finditer(body):
        if is_secret(element[1].decode("utf-8", "replace")) and element[2].strip() not in (b"", REMOVED.encode()):
            secrets.add(_text(element[2].strip()))
            yield element.start(2), element.end(2), REMOVED.encode()


def _in_form(body: bytes, secrets: set[str], depth: int) -> bytes:
    """Clean each part of a form whose value is a message itself, written with percent signs."""
    parts = body.split(b"&")
    for place, part in enumerate(parts):
        name, sign, value = part.partition(b"=") if b"=" in part else (b"", b"", part)
        if b"%" not in value or not _FORM_VALUE.fullmatch(value):
            continue
        text = unquote_plus(value.decode("latin-1"))
        clean = _clean(text.encode("utf-8", "replace"), secrets, depth - 1).decode("utf-8", "replace")
        if clean != text and REMOVED in clean:
            parts[place] = name + sign + quote_plus(clean).encode()
    return b"&".join(parts)


def _text(value: bytes) -> str:
    """Return what a token says: without its quotes, with its escapes read."""
    text = value.decode("utf-8", "replace")
    if not text.startswith('"'):
        return text.strip("'\\")
    if "\\" not in text and len(text) > 1 and text.endswith('"'):
        return text[1:-1]  # nearly all of them, and every alert passes here
    try:
        return str(_DECODER.decode(text))
    except (ValueError, RecursionError):
        return text.strip('"\\')
