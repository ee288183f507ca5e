"""The product's own source, parsed: for tests that hold the house."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: The apps, each with what it may import besides itself and the wiring in `algotrendy`.
BELOW: dict[str, set[str]] = {
    "market": set(),
    "mlmodels": {"market"},
    "brokers": {"market"},
    "memory": {"market", "mlmodels", "brokers"},
    "webhooks": {"market", "mlmodels", "brokers", "memory"},
    "dashboard": {"market", "mlmodels", "brokers", "memory", "webhooks"},
    "api": {"market", "mlmodels", "brokers", "memory", "webhooks"},
}
PACKAGES = (*BELOW, "algotrendy")


@cache
def modules() -> dict[str, Path]:
    """Every module of the product, by its dotted name, without migrations."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {_name(path): path for path in paths if "migrations" not in path.parts}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(module: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(modules()[module].read_text())
