"""Text that can be stored and shown, whatever came in. Pure."""

import unicodedata

#: Kinds of characters that steer instead of being read, or are half of one.
_UNSEEN = {"Cc", "Cs"}


def plain(text: str) -> str:
    """Return `text` on one line: no control characters (NUL, escapes of terminals), no halves of characters."""
    return "".join(" " if unicodedata.category(character) in _UNSEEN else character for character in text).strip()


def is_storable(text: str) -> bool:
    """Return whether PostgreSQL takes `text`: no NUL, and nothing that is no UTF-8."""
    return "\0" not in text and not any(unicodedata.category(character) == "Cs" for character in text)
