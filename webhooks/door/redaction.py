"""Secrets in the body of an alert: extracted for the comparison, and removed before anything is stored or logged.

Works on the raw bytes, so that a message which is no valid JSON loses its secret too and is otherwise kept whole.
"""

import json
import re

REMOVED = "[removed]"
_NAMES = r"(?:webhook[_-]?)?(?:secret|passphrase|password|passwd)|(?:auth[_-]?|access[_-]?)?token|api[_-]?key"
_SUSPECTS = (b"secret", b"pass", b"token", b"api", b"\\u")  # what any message with a secret has in it
_NAME = re.compile(_NAMES, re.I)
_IN_JSON = re.compile(rb'("(?:%b)"\s*+:\s*+)("(?:[^"\\]|\\.)*+"|[^\s,}\]"{\[]++)' % _NAMES.encode(), re.I | re.S)
_IN_TEXT = re.compile(
    rb"(?<![\w\"])((?:%b)['\"]?\s*+[=:]\s*+)(\"[^\"]*\"|'[^']*'|[^\s,;&|\"'}]++)" % _NAMES.encode(), re.I
)


def redact(body: bytes) -> tuple[bytes, frozenset[str]]:
    """Return `body` with the value of every secret, passphrase, password, token and api_key replaced, and the
    values found."""
    lower = body.lower()
    if not any(suspect in lower for suspect in _SUSPECTS):
        return body, frozenset()
    secrets: set[str] = set()
    clean = _IN_JSON.sub(lambda match: _keep_name(match, secrets, b'"%b"'), body)
    clean = _IN_TEXT.sub(lambda match: _keep_name(match, secrets, b"%b"), clean)
    clean = _remove_disguised(clean, secrets)
    return clean, frozenset(secrets - {REMOVED, ""})


def _keep_name(match: re.Match[bytes], secrets: set[str], form: bytes) -> bytes:
    secrets.add(_plain(match.group(2).decode(errors="replace")))
    return match.group(1) + form % REMOVED.encode()


def _plain(value: str) -> str:
    try:
        return str(json.loads(value)) if value.startswith('"') else value.strip("'")
    except ValueError:
        return value.strip('"')


def _remove_disguised(body: bytes, secrets: set[str]) -> bytes:
    """Remove what only a JSON parser sees: a name written with escapes, a secret that is a list or an object."""
    try:
        message = json.loads(body)
        if not _blank_secrets(message, secrets):
            return body
        return json.dumps(message).encode()
    except (ValueError, RecursionError):
        return body


def _blank_secrets(message: object, secrets: set[str]) -> bool:
    """Replace secrets in place; return whether there were any left."""
    changed, waiting = False, [message]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            for name, value in node.items():
                if _NAME.fullmatch(name) and value not in (REMOVED, None, ""):
                    secrets.add(str(value))
                    node[name] = REMOVED
                    changed = True
                else:
                    waiting.append(value)
    return changed
