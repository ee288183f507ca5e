"""The words of a decision: what a signal asks for, what it may lead to, and what is done. Pure.

The agent reasons in them and the models store them, so they are plain enums that also serve as Django's choices.
"""

from enum import StrEnum
from typing import Self


class _Word(StrEnum):
    """A stored word with the label that people read."""

    _value_: str
    label: str

    def __new__(cls, value: str, label: str = "") -> Self:
        word = str.__new__(cls, value)
        word._value_ = value
        word.label = label
        return word

    @classmethod
    def choices(cls) -> list[tuple[str, str]]:
        """Return the values and their labels, as the `choices` of a model's field."""
        return [(word.value, word.label) for word in cls]

    @classmethod
    def values(cls) -> list[str]:
        """Return the values as plain text."""
        return [word.value for word in cls]


class Intent(_Word):
    """What a signal asks for, in terms of the position wanted."""

    LONG = "long", "Long"
    SHORT = "short", "Short"
    FLAT = "flat", "Flat"


class Policy(_Word):
    """What a source's signals may lead to."""

    FOLLOW = "follow", "Follow: execute within limits, the agent annotates"
    FILTER = "filter", "Filter: execute only what the evidence supports"
    SHADOW = "shadow", "Shadow: decide, never order"


class Action(_Word):
    """What the agent does about a signal."""

    BUY = "BUY", "Buy"
    SELL = "SELL", "Sell"
    CLOSE = "CLOSE", "Close"
    HOLD = "HOLD", "Hold"
