"""Secrets in XML and what looks like it: which text of which elements and attributes. Pure, linear in time."""

import re
from collections.abc import Iterator

from webhooks.door.secret_names import is_secret

Span = tuple[int, int]

_TAG = re.compile(rb"<([\w:.\-\x80-\xff]{1,200}+)((?:\s[^<>]*+)?)>")
_ATTRIBUTE = re.compile(rb"([\w:.\-\x80-\xff]{1,200}+)\s*+=\s*+(?:\"([^\"<>]*+)\"|'([^'<>]*+)')")
_NAMING = frozenset({b"name", b"key", b"id", b"field", b"type", b"param", b"property"})
_CARRYING = frozenset({b"value", b"val", b"content", b"data", b"v"})
_TEXT = re.compile(rb"[^<]++")


def secret_spans(body: bytes) -> Iterator[Span]:
    """Yield where the secrets of elements stand, in their order and apart from each other.

    An element is a secret's by its own name, by an attribute (`<field name="secret">`), or by the element before
    it (`<name>secret</name><value>…</value>`).
    """
    at, announced, ends = 0, False, _Ends(body)
    for tag in _TAG.finditer(body):
        if tag.start() < at:
            continue
        name = tag[1].rpartition(b":")[2].lower()
        if (announced and name in _CARRYING) or _is_secrets(tag):
            for start, end in _values(tag, ends):
                yield start, end
                at = end
        announced = name in _NAMING and is_secret(_text_behind(body, tag.end()))


def _is_secrets(tag: re.Match[bytes]) -> bool:
    names = [tag[1], *(_content(pair) for pair in _ATTRIBUTE.finditer(tag[2]) if pair[1].lower() in _NAMING)]
    return any(is_secret(name.decode("utf-8", "replace")) for name in names)


def _values(tag: re.Match[bytes], ends: "_Ends") -> Iterator[Span]:
    """Yield the values of a secret's element: its attribute, and all that stands in it."""
    for pair in _ATTRIBUTE.finditer(tag[2]):
        if pair[1].lower() in _CARRYING and (text := _content(pair)):
            start = tag.start(2) + pair.end() - 1 - len(text)
            yield start, start + len(text)
    if not tag[2].endswith(b"/"):
        end = ends.of(tag)
        if end > tag.end():
            yield tag.end(), end


class _Ends:
    """Where elements end. A name whose end was looked for in vain is not looked for again."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._endless: set[bytes] = set()

    def of(self, tag: re.Match[bytes]) -> int:
        """Return the place before the element's end; without one, its text ends at the next element."""
        name = tag[1]
        if name not in self._endless:
            end = self._body.find(b"</" + name, tag.end())
            if end >= 0:
                return end
            self._endless.add(name)
        text = _TEXT.match(self._body, tag.end())
        return text.end() if text else tag.end()


def _content(pair: re.Match[bytes]) -> bytes:
    return pair[2] if pair[2] is not None else pair[3]


def _text_behind(body: bytes, at: int) -> str:
    text = _TEXT.match(body, at, at + 200)
    return text[0].strip().decode("utf-8", "replace") if text else ""
