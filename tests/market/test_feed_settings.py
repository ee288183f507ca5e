"""What the settings of a feed may be: nothing that is no object, and numbers also as their text."""

import pytest

from market.feeds.settings import problems, require_usable
from market.models import Feed

NO_OBJECT = ['Write names with values, such as {} or {"speed": 300}.']


@pytest.mark.parametrize("settings", [[1], ["speed"], "speed", 7, None], ids=str)
@pytest.mark.parametrize("driver", Feed.Driver.values)
def test_settings_that_are_no_object_are_told_how_to_be_written(driver: str, settings: object) -> None:
    assert problems(driver, settings) == NO_OBJECT
    with pytest.raises(ValueError, match="Write names with values"):
        require_usable(Feed(driver=driver, settings=settings))


@pytest.mark.parametrize("value", [0, 7, -7, 3.0, "7", " -7 "])
def test_a_whole_number_may_be_written_as_text(value: object) -> None:
    assert problems("simulator", {"seed": value}) == []


@pytest.mark.parametrize("value", [1.5, "1.5", "1e3", "", "many", None, [], {}, 10**400, "9" * 400], ids=repr)
def test_what_is_no_whole_number_is_told_so(value: object) -> None:
    assert problems("simulator", {"seed": value}) == ['"seed" is a whole number.']


def test_each_setting_that_is_wrong_is_told_and_others_are_not_looked_at() -> None:
    settings = {"poll": 0, "delay": "soon", "backfill": 5, "seed": "many"}
    assert problems("live", settings) == [
        '"poll" is a number of seconds, at least 1.',
        '"delay" is a number of seconds, 0 or more.',
    ]
    require_usable(Feed(driver="live", settings={"seed": "many"}))
