"""The house keeps its shape: rooms to take in at a glance, short functions, names that say what things are."""

import ast
import re
import statistics
from collections import Counter
from collections.abc import Iterator

from tests.support.source import PACKAGES, ROOT, modules, tree

MOST_IN_A_FOLDER = 20
MEDIAN_LINES, P90_LINES, MOST_LINES = 8, 20, 45
MOST_ANY = 150
#: Words that say nothing of the thing they name.
VAGUE = {"found", "said", "told", "made", "heard", "cut"}
SKIPPED = {"__pycache__", "migrations"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of every module, with the module's name."""
    return ((module, node) for module in modules() for node in ast.walk(tree(module)))


def lengths() -> list[int]:
    """Lines of each function, shortest first."""
    functions = [node for _, node in nodes() if isinstance(node, Function)]
    return sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)


def names(node: ast.AST) -> set[str]:
    """The names that a node binds."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.arg):
        return {node.arg}
    return {node.name} if isinstance(node, Function | ast.ClassDef) else set()


def test_no_folder_is_larger_than_a_glance() -> None:
    everything = [*modules().values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    sizes = Counter(path.parent.relative_to(ROOT) for path in everything if path.name != "__init__.py")
    assert {str(folder): size for folder, size in sizes.items() if size > MOST_IN_A_FOLDER} == {}


def test_functions_are_short() -> None:
    lines = lengths()
    assert statistics.median(lines) <= MEDIAN_LINES
    assert lines[int(0.9 * len(lines))] <= P90_LINES
    assert lines[-1] <= MOST_LINES


def test_every_name_says_what_it_names() -> None:
    vague = [f"{module}:{node.lineno} {name}" for module, node in nodes() for name in names(node) & VAGUE]  # type: ignore[attr-defined]
    assert vague == []


def test_any_stays_rare() -> None:
    assert sum(isinstance(node, ast.Name) and node.id == "Any" for _, node in nodes()) < MOST_ANY


def drawn() -> set[str]:
    """The folders of the drawing in docs/architecture.md."""
    text = (ROOT / "docs/architecture.md").read_text()
    block = re.search(r"^```text\n(algotrendy/.*?)^```", text, re.S | re.M)
    assert block, "the rooms are not drawn"
    path: list[str] = []
    folders = set()
    for line in block[1].splitlines():
        indent, name = re.match(r"( *)([\w]+)/ ", line).groups()  # type: ignore[union-attr]
        path[len(indent) // 2 :] = [name]
        folders.add("/".join(path))
    return folders


def test_the_house_that_is_drawn_is_the_one_on_disk() -> None:
    packages = [path.parent.relative_to(ROOT) for path in modules().values() if path.name == "__init__.py"]
    rooms = {str(path) for path in packages if "management" not in path.parts}
    assert rooms == drawn()


def test_each_room_says_what_it_is_for() -> None:
    silent = [
        module
        for module, path in modules().items()
        if path.name == "__init__.py" and "." in module and "management" not in path.parts
        if not ast.get_docstring(tree(module))
    ]
    assert silent == []


def test_the_packages_are_those_of_the_house() -> None:
    assert {path.parent.name for path in ROOT.glob("*/apps.py")} <= set(PACKAGES)
