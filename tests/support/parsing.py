"""Messages as they reach the reader of alerts."""

import json
from typing import Any

import pytest

from webhooks.parsing.alert import ParsedAlert, Unreadable, parse

BUY = {"symbol": "BTCUSDT", "action": "buy"}


def read(message: Any) -> ParsedAlert:
    """Parse a message: bytes and text as they are, anything else as JSON."""
    if isinstance(message, bytes):
        return parse(message)
    return parse((message if isinstance(message, str) else json.dumps(message)).encode())


def problem(message: Any) -> str:
    """Return what is said of a message that can't be read."""
    with pytest.raises(Unreadable) as caught:
        read(message)
    return str(caught.value)
