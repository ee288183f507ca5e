"""What `./mem mutants` changes, what it leaves out, and that its list of exclusions stays true."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from django.core.management import CommandError, call_command

from algotrendy.mutation import cores, guards, plan, zygote
from algotrendy.mutation.plan import Room
from algotrendy.mutation.removals import removals
from algotrendy.paths import BASE_DIR


def removed(source: str) -> list[tuple[str, int]]:
    return [(each.kind, each.line) for each in removals(dedent(source).lstrip())]


def without(source: str) -> str:
    [only] = removals(dedent(source).lstrip())
    ast.parse(only.source)
    return only.source


@pytest.mark.parametrize("leave", ["return 1", "raise ValueError", "continue", "break"])
def test_an_early_exit_is_a_guard(leave: str) -> None:
    source = f"for x in y:\n    if x:\n        log(x)\n        {leave}\n    go(x)\n"
    assert removed(source) == [("guard", 2)]
    assert without(source) == "for x in y:\n    pass\n    go(x)\n"


@pytest.mark.parametrize(
    "source", ["if x:\n    go()\n", "if x:\n    return\nelse:\n    go()\n", "while x:\n    return\n"]
)
def test_what_ends_in_no_exit_or_has_an_else_is_no_guard(source: str) -> None:
    assert removed(source) == []


def test_a_transaction_is_left_out_and_its_block_stays() -> None:
    assert without("with transaction.atomic(durable=True):\n    go()\n") == "if True:\n    go()\n"
    assert without("async def f():\n    async with c.transaction():\n        await go()\n").endswith(
        "    if True:\n        await go()\n"
    )
    assert without("with a, transaction.atomic():\n    go()\n") == "with a:\n    go()\n"


@pytest.mark.parametrize(
    ("source", "after"),
    [
        ("rows = A.objects.select_for_update(of=('self',)).filter(x=1)\n", "rows = A.objects.all().filter(x=1)\n"),
        ('q = "SELECT 1 FOR NO KEY UPDATE"\n', 'q = "SELECT 1"\n'),
        ('q = "SELECT 1 FOR UPDATE SKIP LOCKED"\n', 'q = "SELECT 1"\n'),
        ('q = f"id = 1 FOR {kind}"\n', 'q = f"id = 1"\n'),
        ('q = "SELECT pg_advisory_xact_lock(%s)"\n', 'q = "SELECT %s::bigint"\n'),
        ('q = f"LOCK TABLE {names} IN EXCLUSIVE MODE"\n', 'q = "SELECT 1"\n'),
        ('q = "LOCK TABLE brokers_desk"\n', 'q = "SELECT 1"\n'),
        ("mine = try_hold(name)\n", "mine = True\n"),
        ("lock_in_transaction(name)\n", "pass\n"),
    ],
)
def test_every_form_of_a_lock_is_left_out(source: str, after: str) -> None:
    assert removed(source)[0][0] in {"lock", "nudge"}
    assert without(source) == after


def test_a_nudge_is_left_out() -> None:
    assert without("nudge_after_commit(task, 1)\n") == "pass\n"
    assert without("announce(signal, Order, order_id=1)\n") == "pass\n"


@pytest.mark.parametrize(
    "called", ["transaction.on_commit(partial(go, 1), robust=True)", "after_commit(partial(go, 1))"]
)
def test_what_waits_for_the_commit_is_left_out_and_done_at_once(called: str) -> None:
    early, nudge = removals(f"{called}\n")
    assert (early.kind, early.source) == ("early", "partial(go, 1)()\n")
    assert (nudge.kind, nudge.source) == ("nudge", "pass\n")


@pytest.mark.parametrize("decorator", ["@transaction.atomic", "@transaction.atomic(durable=True)", "@atomic"])
def test_the_transaction_of_a_function_is_left_out_and_named_by_the_function(decorator: str) -> None:
    source = f"@cached\n{decorator}\ndef f():\n    go()\n"
    [only] = removals(source)
    assert (only.kind, only.text, only.source) == ("atomic", "def f():", "@cached\ndef f():\n    go()\n")


def test_each_decorator_that_refuses_somebody_is_left_out_by_its_name() -> None:
    source = "@require_http_methods(M)\n@admin\n@password_again\n@once\ndef revoke(request):\n    go()\n"
    doors = removals(source)
    assert [(door.kind, door.text) for door in doors] == [
        (f"@{name}", "def revoke(request):") for name in ("admin", "once", "password_again")
    ]
    assert doors[1].source == "@require_http_methods(M)\n@admin\n@password_again\ndef revoke(request):\n    go()\n"


def test_the_scope_that_an_operation_needs_is_left_out() -> None:
    assert without('@router.post("/desk", auth=trade, response=A)\ndef f():\n    go()\n') == (
        '@router.post("/desk", response=A)\ndef f():\n    go()\n'
    )


def test_removals_come_one_at_a_time_in_the_order_of_lines() -> None:
    source = """
        def f():
            with transaction.atomic():
                row = A.objects.select_for_update().get()
                if not row:
                    return
                announce(signal, A)
    """
    assert removed(source) == [("atomic", 2), ("lock", 3), ("guard", 4), ("nudge", 6)]


def test_the_plan_holds_and_every_exclusion_is_of_something_there_is() -> None:
    planned = plan.read()
    spine = {module for room in planned.spine for module in room.modules}
    there = {
        (module, removal.kind, removal.text)
        for module in spine & {change[0] for change in planned.excluded}
        for removal in removals((BASE_DIR / module).read_text())
    }
    pure = {module for room in planned.cores for module in room.modules}
    gone = [change for change in planned.excluded - there if change[0] not in pure or not _in_source(*change[:2])]
    assert gone == []


def _in_source(module: str, before: str) -> bool:
    """A core's exclusion names lines as they are, written as one."""
    return before in " ".join((BASE_DIR / module).read_text().split())


@pytest.mark.parametrize("folder", ["brokers/orders", "brokers/ledger", "algotrendy/retention", "api"])
def test_every_module_of_the_spine_belongs_to_a_room(folder: str) -> None:
    planned = plan.read()
    rooms = {module for room in (*planned.spine, *planned.cores) for module in room.modules}
    paths = {f"{folder}/{path.name}" for path in (BASE_DIR / folder).glob("*.py")}
    assert {path for path in paths if removals((BASE_DIR / path).read_text())} <= rooms


def write_plan(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text('goal = 90\n[cores.a]\nmodules = ["manage.py"]\ntests = ["tests"]\n[spine]\n' + text)
    return path


def test_an_exclusion_without_a_reason_is_refused(tmp_path: Path) -> None:
    row = '[[equivalent]]\nmodule = "manage.py"\nbefore = "a"\nafter = "b"\nreason = "{}"\n'
    assert plan.read(write_plan(tmp_path, row.format("no row can be zero"))).excluded == {("manage.py", "a", "b")}
    with pytest.raises(ValueError, match="gives no reason"):
        plan.read(write_plan(tmp_path, row.format(" ")))


def test_a_room_of_a_module_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.py does not exist"):
        plan.read(write_plan(tmp_path, '[spine.b]\nmodules = ["gone.py"]\ntests = []\n'))


def test_rooms_and_modules_are_chosen_by_name() -> None:
    rooms = [Room("a", ("one.py", "two.py"), ()), Room("b", ("three.py",), ())]
    assert plan.chosen(rooms, []) == rooms
    assert plan.chosen(rooms, ["b"]) == rooms[1:]
    assert plan.chosen(rooms, ["two.py"]) == [Room("a", ("two.py",), ())]
    with pytest.raises(ValueError, match="four is neither a room nor a module; rooms: a, b"):
        plan.chosen(rooms, ["four"])
    with pytest.raises(CommandError, match="nonsense is neither"):
        call_command("mutants", "guards", "nonsense")


def test_a_score_counts_what_survived_and_what_is_excluded(tmp_path: Path) -> None:
    module = tmp_path / "mutants/a.py"
    module.parent.mkdir()
    body = "def x_f__mutmut_{}(a):\n    return {}\n"
    module.write_text(
        "".join(body.format(name, text) for name, text in (("orig", "a"), (1, "-a"), (2, "+a"), (3, "b")))
    )
    codes = {"a.x_f__mutmut_1": 1, "a.x_f__mutmut_2": 0, "a.x_f__mutmut_3": 33}
    module.with_suffix(".py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    score = cores._score("a.py", tmp_path, frozenset({("a.py", "return a", "return +a")}))
    assert (score.mutants, score.killed, score.excluded) == (2, 1, 1)
    assert score.survivors == (("a.py", "return a", "return b"),)
    assert score.percent == 50


def test_tests_run_in_forks_that_end_by_themselves_or_are_ended(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import time\ndef test_good(): pass\ndef test_bad(): assert 0\ndef test_long(): time.sleep(600)\n"
    )
    lines = [[60, "-q", "-k", name, "test_it.py"] for name in ("good", "bad", "good")]
    lines.append([0.5, "-q", "-k", "long", "test_it.py"])
    done = subprocess.run(
        [sys.executable, zygote.__file__, "pytest.log"],
        input="".join(json.dumps(line) + "\n" for line in lines), env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["0", "1", "0", str(guards.TIMED_OUT)]
    assert (tmp_path / "pytest.log").exists()


class Pretended(guards.Tests):
    """Tests that notice a module without its guard."""

    def __init__(self, copy: Path) -> None:
        self._copy = copy

    def pass_(self, tests: tuple[str, ...]) -> bool:
        return "if not x" in (self._copy / "a.py").read_text()


def test_a_removal_is_written_judged_and_put_back(tmp_path: Path) -> None:
    source = "def f(x):\n    if not x:\n        return\n    nudge(x)\n    announce(x)\n"
    (tmp_path / "a.py").write_text(source)
    excluded = frozenset({("a.py", "nudge", "announce(x)")})
    findings = guards._module("a.py", tmp_path, Pretended(tmp_path), (), excluded)
    assert [(each.line, each.kind, each.outcome) for each in findings] == [
        (2, "guard", "noticed"),
        (4, "nudge", "survived"),
        (5, "nudge", "excluded"),
    ]
    assert (tmp_path / "a.py").read_text() == source


def test_all_rooms_of_a_run_share_one_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("def f(x):\n    if not x:\n        return\n")
    opened: list[Path] = []

    @contextmanager
    def open_once(copy: Path) -> Iterator[guards.Tests]:
        opened.append(copy)
        yield Pretended(copy)

    monkeypatch.setattr(guards, "_tests", open_once)
    rooms = [Room(name, ("a.py",), ()) for name in ("one", "two")]
    assert [each.outcome for each in guards.run(rooms, tmp_path, frozenset())] == ["noticed", "noticed"]
    assert opened == [tmp_path]


def test_each_room_of_cores_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "mutants/brokers").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    for name in ("first", "second"):
        cores._configure(Room(name, (f"{name}.py",), ("tests",)), tmp_path)
        assert not (tmp_path / "mutants").exists()
    text = (tmp_path / "pyproject.toml").read_text()
    assert text.count("[tool.mutmut]") == 1
    assert 'only_mutate = ["second.py"]' in text
