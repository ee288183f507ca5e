"""The documents are true where a machine can tell: links, files, commands, settings, sweeps."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
CODE = ("algotrendy", "api", "benchmarks", "brokers", "dashboard", "market", "memory", "mlmodels", "webhooks")
FOLDERS = (*CODE, "docs", "static", "templates", "tests")
MAX_IMAGE = 300_000  # bytes
# Read by the code, but nothing that anybody sets for the desk.
NOT_SETTINGS = {"PATH", "DJANGO_SETTINGS_MODULE"}
READERS = {"get", "getenv", "pop", "str", "bool", "int", "float", "list", "dj_db_url"}

FENCE = re.compile(r"^ *```.*?^ *```$", re.S | re.M)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.M)
CODED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
MEM = re.compile(r"\./mem ([a-z][a-z_]*)")
VARIABLE = re.compile(r"\bALGOTRENDY_[A-Z_]+")
FIRST_CELL = re.compile(r"^\| `([^`]+)`", re.M)

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def anchors(text: str) -> set[str]:
    """Ids that GitHub gives to the headings of `text`."""
    titles = [re.sub(r"[`*_]", "", title).lower() for title in HEADING.findall(FENCE.sub("", text))]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def section(text: str, title: str) -> str:
    """The text below the heading `title`, up to the next one of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    assert found, f"there is no section {title!r}"
    return found.group(1)


@each_document
def test_every_link_and_image_leads_somewhere(document: Path) -> None:
    text = document.read_text()
    broken = []
    for target in LINK.findall(FENCE.sub("", text)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)
    assert broken == []


@each_document
def test_every_file_that_is_named_exists(document: Path) -> None:
    coded = CODED.findall(FENCE.sub("", document.read_text()))
    named = {text for text in coded if PATH.fullmatch(text) and "NAME" not in text}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_images_are_small() -> None:
    images = [path for path in (ROOT / "docs").rglob("*") if path.suffix in {".png", ".jpg", ".svg"}]
    assert images
    assert [path.name for path in images if path.stat().st_size > MAX_IMAGE] == []


@each_document
def test_what_examples_import_is_there(document: Path) -> None:
    for module, name in re.findall(r"\bfrom ([a-z_.]+) import (\w+)", document.read_text()):
        assert hasattr(import_module(module), name), f"{module}.{name}"


def commands() -> set[str]:
    """What `./mem` understands: Django's commands, ours among them, and what the start script does itself."""
    own = re.findall(r"^  ([a-z]+)\) ", (ROOT / "mem").read_text(), re.M)
    return {*get_commands(), *own, "help"}


@each_document
def test_every_command_that_is_named_exists(document: Path) -> None:
    assert set(MEM.findall(document.read_text())) - commands() == set()


def test_the_start_script_names_only_commands_that_exist() -> None:
    assert set(MEM.findall((ROOT / "mem").read_text())) - commands() == set()


def test_every_command_of_ours_is_in_the_readme() -> None:
    ours = {name for name, app in get_commands().items() if app.partition(".")[0] in CODE}
    assert ours - set(MEM.findall(section(README, "Commands"))) == set()


@cache
def variables_read() -> set[str]:
    """Environment variables that the code asks for by name."""
    files = [file for folder in CODE for file in (ROOT / folder).rglob("*.py")]
    return {name for file in files for name in _variables(ast.parse(file.read_text()))} - NOT_SETTINGS


def _variables(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in READERS and _is_environment(node.func.value):
                yield from _text(node.args[0])
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_environment(node.value):
            yield from _text(node.slice)
        elif isinstance(node, ast.Compare) and any(map(_is_environment, node.comparators)):
            yield from _text(node.left)


def _is_environment(node: ast.expr) -> bool:
    return ast.unparse(node) in {"os.environ", "env", "os"}


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isupper():
        yield node.value


def test_the_table_of_settings_is_what_the_code_reads() -> None:
    listed = FIRST_CELL.findall(section(README, "Settings"))
    assert sorted(listed) == sorted(variables_read())


def test_the_scan_finds_every_way_of_reading_a_variable() -> None:
    code = 'a = env.str("ONE", ""); b = os.environ.get("TWO"); c = os.environ["THREE"]; d = "FOUR" in os.environ'
    assert set(_variables(ast.parse(code))) == {"ONE", "TWO", "THREE", "FOUR"}


@each_document
def test_no_document_names_a_setting_that_nothing_reads(document: Path) -> None:
    assert set(VARIABLE.findall(document.read_text())) - variables_read() == set()


def test_the_sweeps_in_the_architecture_are_those_that_beat_sends() -> None:
    text = section((ROOT / "docs/architecture.md").read_text(), "Processes and queues")
    rows = re.findall(r"^\| `([\w.]+)`[^|]*\| (\d+) s \|", text, re.M)
    told = {(name, float(seconds)) for name, seconds in rows}
    assert told == {(entry["task"], entry["schedule"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}


def test_decisions_are_numbered_once_and_listed() -> None:
    names = sorted(path.name for path in (ROOT / "docs/adr").glob("0*.md"))
    assert len({name[:4] for name in names}) == len(names)
    assert sorted(LINK.findall((ROOT / "docs/adr/README.md").read_text())) == names


def test_the_answers_in_the_readme_are_those_of_the_door() -> None:
    tree = ast.parse((ROOT / "webhooks/door/app.py").read_text())
    given = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and _is_status(node.value)}
    told = {int(code) for code in re.findall(r"^\| `(\d{3})\b", section(README, "Connect TradingView"), re.M)}
    assert told == given


def _is_status(value: object) -> bool:
    return type(value) is int and 200 <= value < 600
