"""The house as it is drawn in docs/architecture.md: who may import whom, what is pure, who may name a venue."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.source import BELOW, ROOT, modules, tree

#: The only modules of `algotrendy` that know the apps.
COMPOSITION = {"algotrendy.asgi", "algotrendy.urls"}
#: The one place outside a venue's own package that may name it.
VENUE_REGISTRY = "brokers.venues.registry"
LOADERS = {"import_module", "import_string", "__import__"}


def imports(node: ast.AST, *, for_types: bool = True) -> Iterator[str]:
    """Names of all that `node` imports, functions included; with `for_types` also what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING") and not for_types:
            continue
        else:
            yield from _loaded_by_name(child)
            yield from imports(child, for_types=for_types)


def _loaded_by_name(node: ast.AST) -> Iterator[str]:
    """The module in `import_module("x.y")` and its like."""
    if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).rpartition(".")[2] in LOADERS:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value


def app_of(name: str) -> str:
    """The app that a dotted name begins with."""
    return name.partition(".")[0]


@pytest.mark.parametrize("app", BELOW)
def test_imports_run_down_the_house_only(app: str) -> None:
    allowed = BELOW[app] | {app, "algotrendy"}
    upward = [
        f"{module} imports {name}"
        for module in modules()
        if app_of(module) == app
        for name in imports(tree(module))
        if app_of(name) in BELOW and app_of(name) not in allowed
    ]
    assert upward == []


def test_the_wiring_knows_the_apps_in_two_modules_only() -> None:
    inside = [
        f"{module} imports {name}"
        for module in modules()
        if app_of(module) == "algotrendy" and module not in COMPOSITION
        for name in imports(tree(module))
        if app_of(name) in BELOW
    ]
    assert inside == []


def test_nothing_of_the_product_needs_tests_or_benchmarks() -> None:
    used = [
        f"{module} imports {name}"
        for module in modules()
        for name in imports(tree(module))
        if app_of(name) in {"tests", "benchmarks"} and module != "algotrendy.bench"
    ]
    assert used == []


def reached(module: str) -> set[str]:
    """Names of all that is imported when `module` is, through modules of the product."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        for name in imports(tree(todo.pop()), for_types=False):
            if name in seen:
                continue
            seen.add(name)
            todo += [part for part in (name, name.rpartition(".")[0]) if part in modules()]
    return seen


def pure() -> list[str]:
    """The modules that call themselves pure, and those of a package that does."""
    claims = {module for module in modules() if "Pure" in (ast.get_docstring(tree(module)) or "")}
    return sorted(module for module in modules() if {module, module.rpartition(".")[0]} & claims)


def test_there_are_pure_modules() -> None:
    assert len(pure()) > 20


@pytest.mark.parametrize("module", pure())
def test_what_is_called_pure_imports_no_django(module: str) -> None:
    assert sorted(name for name in reached(module) if app_of(name) in {"django", "celery", "channels"}) == []


def venues() -> set[str]:
    """The packages of venues."""
    return {path.name for path in (ROOT / "brokers/venues").iterdir() if (path / "__init__.py").exists()}


def test_only_the_registry_and_the_venue_itself_import_a_venue() -> None:
    leaks = [
        f"{module} imports {name}"
        for module in modules()
        for name in imports(tree(module))
        for venue in venues()
        if name.startswith(f"brokers.venues.{venue}")
        if module != VENUE_REGISTRY and not module.startswith(f"brokers.venues.{venue}")
    ]
    assert leaks == []


def test_only_the_registry_and_the_venue_itself_name_a_venue() -> None:
    leaks = [
        f"{module}:{node.lineno}"
        for module in modules()
        if module != VENUE_REGISTRY and not module.startswith("brokers.venues.")
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Constant) and node.value in venues()
    ]
    assert leaks == []


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Some modules that import one another in a ring, or nothing."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        done.add(module)
        return next((ring for other in sorted(graph[module]) if (ring := visit(other, [*path, module]))), [])

    return next((ring for module in sorted(graph) if (ring := visit(module, []))), [])


def graph_of(app: str) -> dict[str, set[str]]:
    """The imports among the modules of an app, those inside functions too."""
    inside = {module for module in modules() if app_of(module) == app}
    return {module: _targets(module, inside) for module in inside}


def _targets(module: str, inside: set[str]) -> set[str]:
    names = set(imports(tree(module), for_types=False))
    return {name if name in inside else name.rpartition(".")[0] for name in names} & inside - {module}


def test_no_modules_of_the_dashboard_import_one_another_in_a_ring() -> None:
    assert cycle(graph_of("dashboard")) == []


def test_a_ring_is_noticed() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_commits_are_waited_for_in_one_place() -> None:
    """`announce`, `nudge_after_commit` and `after_commit` are always robust; a bare `on_commit` easily is not."""
    waiting = [
        module
        for module in modules()
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and node.attr == "on_commit"
    ]
    assert waiting == ["algotrendy.events"] * 3
