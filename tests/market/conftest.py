"""A feed process whose clock the test turns. Read before Django is set up, so what needs it is imported late."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from market.feeds.runner import Runner
    from tests.support.market import Clock


@pytest.fixture
def clock() -> "Clock":
    """The wall clock."""
    from tests.support.market import Clock

    return Clock()


@pytest.fixture
def desk(clock: "Clock") -> "Runner":
    """The process of all feeds, not started: a test has it make each pass."""
    from market.feeds.runner import Runner

    return Runner(clock)
