"""Secrets in the body of an alert: extracted for the comparison, and removed before anything is stored or logged.

Works on the bytes as they came, so that a message which is no valid JSON loses its secrets too and is otherwise
kept whole: JSON, whole or broken or as text within JSON, `name=value`, lines of `name: value`, forms of both
kinds, XML (`webhooks.door.elements`), also in UTF-16, with entities or with the signs of a word processor.
Which names are those of secrets says `webhooks.door.secret_names`, what is one without a name
`webhooks.door.secret_shapes`. Every pattern is linear in time.
"""

import html
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote_plus, unquote_plus

from webhooks.door import elements, secret_shapes
from webhooks.door.secret_names import is_secret, may_hold_secrets

REMOVED = "[removed]"
DEPTH = 4  # messages within messages
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s"{}\[\],:]++', re.S)
# Behind a name: its quote, the bracket of `a["name"]`, an equals sign, an arrow or a colon; a sign of YAML.
_PAIR = re.compile(
    rb"(?<![\w%.\-\\\x80-\xff])([\w%.\-\\\x80-\xff]{1,200}+)[\"']?+\\*+\]?+\s*+(?:[=:]{1,2}+>?+|(?<=-)>)"
    rb"(?:\s*+[|>][-+]?+[ \t]*+\r?+\n|\s*+\n[ \t]*+- )?+\s*+\\*+"
)
_WORD_BEFORE = re.compile(rb"([\w\x80-\xff]{1,40})[ \t]{1,3}\Z")
_LINES = re.compile(rb"^[ \t]*+(?:[\w.\-\x80-\xff]{1,200}+[ \t]{0,3}+){1,3}+:", re.M)
_REST_OF_LINE = re.compile(rb"(?![\"'])[^\r\n\\{}\[\]<]++")
_PART = re.compile(
    rb"^content-disposition:[^\r\n]*?\bname=\"?+([^\";\r\n]++)[^\r\n]*+\r?\n(?:[^\r\n]++\r?\n){0,5}+"
    rb"\r?\n([^\r\n]++)",
    re.I | re.M,
)
_BARE = rb"(?:(?:bearer|basic|digest|token) ++)?+[^\s,;&|\"'{}\[\]\\<]++"
_VALUE = re.compile(rb"\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)|'[^']*+(?:'|\Z)|%b" % _BARE, re.I | re.S)
_VALUE_ESCAPED = re.compile(rb"\"[^\"\\]*+(?:\\?\"|\\?\Z|(?=\\))|'[^']*+(?:'|\Z)|%b" % _BARE, re.I | re.S)
_BRACKET = re.compile(rb"[{}\[\]]")
_FORM_VALUE = re.compile(rb"[^\s\"'{}<>]++")
_ENTITY = re.compile(rb"&(?:quot|apos|lt|gt|#\d{1,5}|#x[0-9a-f]{1,5});", re.I)
_MARKUP = re.compile(rb"<!\[CDATA\[|\]\]>|<[^<>]*+>")
_DECODER = json.JSONDecoder(strict=False)
_NAMING = frozenset(
    {"name", "key", "field", "header", "param", "parameter", "property", "label", "title", "k", "n"}
)
_CARRYING = frozenset({"value", "val", "content", "data", "text", "v"})
_NEAR = 24  # tokens between a name and what carries its value
#: Signs of word processors and of other keyboards, each replaced by a plain one of the same length.
_PLAIN_SIGNS = {
    text.encode(): plain
    for text, plain in {
        "\u201c": b'  "', "\u201e": b'  "', "\u201d": b'"  ', "\uff02": b'  "', "\u2018": b"  '", "\u2019": b"'  ",
        "\uff1a": b":  ", "\ufe55": b":  ", "\uff1d": b"=  ", "\u2192": b"=> ", "\u21d2": b"=> ", "\u00a0": b"  ",
        "\u3000": b"   ", "\u2003": b"   ", "\u202f": b"   ", "\u2028": b"\n  ",
    }.items()
}  # fmt: skip
_SIGN = re.compile(b"|".join([*map(re.escape, _PLAIN_SIGNS), rb"/\*[^*]{0,200}+\*/"]))


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
    looks: tuple[Look, ...] = (
        partial(_in_json, secrets=secrets, depth=depth),
        partial(_in_parts, secrets=secrets),
        partial(_in_text, secrets=secrets),
        partial(_in_elements, secrets=secrets),
        partial(_by_shape, secrets=secrets),
    )
    for look in looks:
        plain = body if body.isascii() and b"/*" not in body else _SIGN.sub(_plain_sign, body)
        patches = look(plain)
        body = _splice(body, patches if plain == body else (_whole_signs(body, *patch) for patch in patches))
    if b"&" in body and _ENTITY.search(body):
        body = _in_entities(body, secrets, depth)
    return _in_form(body, secrets, depth) if b"%" in body else body


def _plain_sign(sign: re.Match[bytes]) -> bytes:
    """Return a plain sign, and blanks for a remark in JSON, as long as what it is for."""
    return _PLAIN_SIGNS.get(sign[0]) or b" " * len(sign[0])


def _whole_signs(body: bytes, start: int, end: int, text: bytes) -> "Patch":
    """Return a patch that cuts no letter in two: a quotation mark stands for three bytes."""
    while start and 0x80 <= body[start] < 0xC0:
        start -= 1
    while end < len(body) and 0x80 <= body[end] < 0xC0:
        end += 1
    return start, end, text


Patch = tuple[int, int, bytes]
Look = Callable[[bytes], Iterator[Patch]]


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
        if is_secret(_text(name[0])) or (_text(name[0]) in _CARRYING and _is_carried(tokens, at - 1)):
            first, at = at + 1, _end_of_value(tokens, at + 1)
            start, end = value.start(), tokens[at - 1].end()
            if value[0] not in (b"null", b'""', b",", b"}", b"]"):
                # The secret that a source asks for may be any part of a list or an object.
                secrets |= {_text(token[0]) for token in tokens[first:at]}
                yield start, end, replaced
        elif value[0].startswith(b'"') and (inner := _within(value[0], secrets, depth)):
            yield value.start(), value.end(), inner


def _is_carried(tokens: list[re.Match[bytes]], at: int) -> bool:
    """Return whether a token is "value" beside a name: `{"name": "secret", "value": …}`, in any order."""
    before, after = range(at - 1, max(at - _NEAR, 2), -1), range(at + 1, min(at + _NEAR, len(tokens) - 2))
    return any(_names_a_secret(tokens, places) for places in (before, after))


def _names_a_secret(tokens: list[re.Match[bytes]], places: range) -> bool:
    """Return whether one of the tokens up to the end of the object is `"name": "secret"`."""
    for place in places:
        if tokens[place][0] in (b"{", b"}"):
            return False
        first = place if places.step > 0 else place - 2
        naming, colon, name = tokens[first : first + 3]
        if colon[0] == b":" and _text(naming[0]).lower() in _NAMING and is_secret(_text(name[0])):
            return True
    return False


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
    """Return a text that is a message itself without its secrets; nothing if it has none, or has no end."""
    if not quoted.endswith(b'"'):
        return b""
    text = _text(quoted)
    inner = text.encode("utf-8", "replace")
    if not any(mark in text for mark in ":=<") or not may_hold_secrets(inner):
        return b""
    clean = _clean(inner, secrets, depth - 1).decode("utf-8", "replace")
    return json.dumps(clean).encode() if REMOVED in clean and REMOVED not in text else b""


def _in_text(body: bytes, secrets: set[str]) -> Iterator[Patch]:
    """Find values behind `name=` and `name:`, with or without quotes."""
    at = 0
    lines = {match.end() for match in _LINES.finditer(body)} if b"\n" in body else set()
    for pair in _PAIR.finditer(body):
        if pair.start() < at or not _is_secrets(pair, body):
            continue
        start = pair.end()
        is_line = len(lines) > 1 and not lines.isdisjoint(range(pair.end(1), start + 1))
        value = body[start : _end_of_text(body, start, escaped=b"\\" in pair[0], is_line=is_line)]
        text = _text(value)
        if text in ("", "null") or text.startswith((REMOVED, REMOVED[1:-1])):
            continue
        secrets.add(text)
        at = start + len(value)
        mark = value[:1] if value[:1] in (b'"', b"'") else b""
        closing = b"\\" + mark if mark and value.endswith(b"\\" + mark) else mark
        yield start, at, mark + REMOVED.encode() + closing


def _is_secrets(pair: re.Match[bytes], body: bytes) -> bool:
    """Return whether a pair's name is a secret's, alone or with the word before it ("pass word: …")."""
    name = pair[1].decode("utf-8", "replace")
    if is_secret(name):
        return True
    if body[pair.start() - 1 : pair.start()] not in (b" ", b"\t"):
        return False
    before = _WORD_BEFORE.search(body, max(0, pair.start() - 43), pair.start())
    return before is not None and is_secret(f"{before[1].decode('utf-8', 'replace')}_{name}")


def _end_of_text(body: bytes, start: int, *, escaped: bool, is_line: bool) -> int:
    """Return the end of the value that begins at `start`: a list or an object goes to its last bracket.

    Where a message is lines of `name: value`, a value without quotes goes to the end of its line.
    """
    if is_line and (rest := _REST_OF_LINE.match(body, start)) and not _PAIR.search(rest[0]):
        return start + len(rest[0].rstrip(b" \t,;"))
    if body[start : start + 1] not in (b"{", b"["):
        value = (_VALUE_ESCAPED if escaped else _VALUE).match(body, start)
        return value.end() if value else start
    depth = 0
    for bracket in _BRACKET.finditer(body, start):
        depth += 1 if bracket[0] in b"{[" else -1
        if depth == 0:
            return bracket.end()
    return len(body)


def _in_parts(body: bytes, secrets: set[str]) -> Iterator[Patch]:
    """Find the values of a form of parts (multipart/form-data)."""
    for part in _PART.finditer(body) if b"\n" in body else ():
        if is_secret(part[1].decode("utf-8", "replace")):
            yield from _patch(body, part.span(2), secrets)


def _in_elements(body: bytes, secrets: set[str]) -> Iterator[Patch]:
    for span in elements.secret_spans(body) if b"<" in body else ():
        yield from _patch(body, span, secrets)


def _by_shape(body: bytes, secrets: set[str]) -> Iterator[Patch]:
    for span in secret_shapes.spans(body):
        yield from _patch(body, span, secrets)


def _patch(body: bytes, span: tuple[int, int], secrets: set[str]) -> Iterator[Patch]:
    """Replace what stands there, unless it was before."""
    value = body[slice(*span)].strip()
    if value and not value.startswith((REMOVED.encode(), REMOVED[1:-1].encode())):
        secrets.update(_text(part.strip()) for part in _MARKUP.split(value))
        yield *span, REMOVED.encode()


def _in_entities(body: bytes, secrets: set[str], depth: int) -> bytes:
    """Clean a message whose quotes and angle brackets are written as entities."""
    text = html.unescape(body.decode("utf-8", "replace"))
    clean = _clean(text.encode("utf-8", "replace"), secrets, depth - 1).decode("utf-8", "replace")
    return html.escape(clean).encode() if clean != text and REMOVED in clean else body


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
