"""`./mem bench`: discovers suites, prints figures, and fails when a goal is missed."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from algotrendy import bench

SUITE = '''"""How fast nothing is done."""

from collections.abc import Iterator

from algotrendy.bench import Figure


def run() -> Iterator[Figure]:
    yield Figure("nothing per second", 12_345.6, "1/s", "an empty loop", "≥ 10", True)
    yield Figure("size", 3.0, "MB")
'''


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "nothing.py").write_text(SUITE)
    (folder / "missed.py").write_text(SUITE.replace("True", "False"))
    (folder / "_common.py").write_text("raise AssertionError('not a suite')")
    monkeypatch.setattr(bench, "BASE_DIR", tmp_path)
    monkeypatch.setattr(bench, "load", lambda name: _module(folder / f"{name}.py"))
    return folder


def _module(path: Path) -> object:
    import importlib.util

    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def output(*arguments: str) -> str:
    out = StringIO()
    call_command("bench", *arguments, stdout=out)
    return out.getvalue()


def test_without_a_name_the_suites_are_listed(suites: Path) -> None:
    assert output() == ("missed       How fast nothing is done.\nnothing      How fast nothing is done.\n")


def test_json_is_one_object_a_line_with_the_agreed_keys(suites: Path) -> None:
    first, second = [json.loads(line) for line in output("nothing", "--json").splitlines()]
    assert first == {
        "name": "nothing per second",
        "value": 12345.6,
        "unit": "1/s",
        "against": "an empty loop",
        "goal": "≥ 10",
        "holds": True,
    }
    assert second["holds"] is None


def test_a_table_shows_each_figure_and_whether_it_holds(suites: Path) -> None:
    text = output("nothing")
    assert "nothing per second" in text
    assert "12,346" in text
    assert "✓" in text


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_missed_goal_fails(suites: Path, form: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        output("missed", *form)
    assert ended.value.code == 1


def test_an_unknown_suite_is_answered_with_the_known_ones(suites: Path) -> None:
    with pytest.raises(CommandError, match="there is no suite nosuch; there are: missed, nothing"):
        output("nosuch")


def test_every_suite_of_the_desk_can_be_loaded() -> None:
    for name in bench.names():
        assert callable(bench.load(name).run)
        assert bench.load(name).__doc__
