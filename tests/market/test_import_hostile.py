"""Files that mean harm: slow to read, quoting secrets, steering the terminal."""

import time
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from market.importing import reading, rejects
from market.importing.importer import import_file
from market.importing.names import expand
from market.importing.reading import _line_numbers
from tests.market.test_import import HEADER, row, write

pytestmark = pytest.mark.django_db


@given(
    kinds=st.lists(st.booleans(), max_size=60),
    sizes=st.lists(st.integers(min_value=0, max_value=9), min_size=60, max_size=60),
    skip=st.integers(min_value=0, max_value=3),
)
def test_each_good_row_has_its_own_line_whatever_is_torn_around_it(
    kinds: list[bool], sizes: list[int], skip: int
) -> None:
    torn = [(skip + 1 + at, "") for at, is_torn in enumerate(kinds) if is_torn]
    good = [skip + 1 + at for at, is_torn in enumerate(kinds) if not is_torn]
    line, place, lines = skip + 1, 0, []
    for size in [*sizes, len(good)]:
        batch = good[len(lines) : len(lines) + size]
        known = [pair for pair in torn if not batch or pair[0] <= batch[-1] + 2] if batch else torn[:place]
        numbers, line, place = _line_numbers(line, len(batch), known, place)
        lines += numbers.tolist()
    assert lines == good


def test_numbering_half_a_million_torn_lines_takes_no_longer_than_reading_them() -> None:
    torn = [(2 * number, "") for number in range(1, 500_001)]
    began = time.thread_time()
    numbers, _, place = _line_numbers(1, 500_000, torn, 0)
    assert time.thread_time() - began < 5
    assert np.array_equal(numbers, np.arange(1, 1_000_001, 2))
    assert place == 499_999


def test_a_file_of_torn_lines_is_given_up_early_and_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_TORN", 50)
    result = import_file(write(tmp_path, [HEADER, row(0), *["x"] * 1000]))
    assert "more than 50 lines" in result.problem
    assert result.stored == 0


def test_a_report_of_bad_lines_has_an_end_and_says_what_it_leaves_out(
    tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path / "data"
    monkeypatch.setattr(rejects, "MOST_LISTED", 30)
    errors = StringIO()
    path = write(tmp_path, [HEADER, row(0), *["1,x,1,1,1,1"] * 50])
    call_command("import_candles", str(path), stdout=StringIO(), stderr=errors)
    [report] = (settings.DATA_DIR / "imports").iterdir()
    assert len(report.read_text().splitlines()) == 31
    assert "and 20 more, which are counted only" in report.read_text()
    assert "The first of the bad lines are listed in" in errors.getvalue()


def test_a_file_with_a_name_as_long_as_may_be_has_a_report_too(tmp_path: Path, settings) -> None:
    settings.DATA_DIR = tmp_path / "data"
    name = f"BTCUSDT_5m_{'ü' * 118}.csv"
    result = import_file(write(tmp_path, [HEADER, row(0), "1,x,1,1,1,1"], name))
    assert (result.problem, result.stored, result.bad.count) == ("", 1, 1)
    assert result.bad.report is not None
    assert result.bad.report.is_file()


@pytest.mark.parametrize("name", ["BTCUSDT_5m_\x1b[2J.csv", "BTCUSDT_5m_[red][bold].csv"])
def test_nothing_that_is_printed_steers_the_terminal(tmp_path: Path, name: str) -> None:
    write(tmp_path, ["ts,open,\x1b]0;title\x07,\x9b2J", "1,2,3,4"], name)
    errors, output = StringIO(), StringIO()
    with pytest.raises(CommandError):
        call_command("import_candles", str(tmp_path), stderr=errors, stdout=output)
    for character in ("\x1b", "\x07", "\x9b"):
        assert character not in errors.getvalue() + output.getvalue()
    assert "missing" in errors.getvalue()


def test_a_file_that_is_none_of_candles_is_not_quoted(tmp_path: Path) -> None:
    result = import_file(write(tmp_path, ['{"SECRET_KEY": "hunter2", "a": 1}']))
    assert "hunter2" not in result.problem
    assert "none of the columns" in result.problem


@pytest.mark.parametrize("pattern", ["", "*.csv", "**/*.csv"])
def test_a_link_that_leads_out_of_the_folder_is_read_only_when_it_is_named(tmp_path: Path, pattern: str) -> None:
    secret = write(tmp_path, [HEADER, row(0)], "elsewhere_5m.csv")
    folder = tmp_path / "candles"
    folder.mkdir()
    own = write(folder, [HEADER, row(0)])
    (folder / "ETHUSDT_5m.csv").symlink_to(secret)
    (folder / "SOLUSDT_5m.csv").symlink_to(own)
    files, problems = expand([str(folder / pattern) if pattern else str(folder)])
    assert {file.name for file in files} == {"BTCUSDT_5m.csv", "SOLUSDT_5m.csv"}
    assert ["ETHUSDT_5m.csv" in problem and "link" in problem for problem in problems] == [True]
    named = str(folder / "ETHUSDT_5m.csv")
    assert expand([named]) == ([Path(named)], [])
