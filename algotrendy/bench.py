"""What a benchmark reports: one figure at a time, with what it is compared to and whether the goal holds.

A suite is a module `benchmarks/NAME.py` with a docstring and `def run() -> Iterator[Figure]`.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from algotrendy.paths import BASE_DIR


@dataclass(frozen=True)
class Figure:
    """One measured value. `against` names the floor or circumstance it was measured against.

    `goal` is text such as "≤ 250"; `holds` is None where there is no goal.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    goal: str = ""
    holds: bool | None = None


def names() -> list[str]:
    """Return the names of the suites there are."""
    return sorted(path.stem for path in (BASE_DIR / "benchmarks").glob("*.py") if not path.stem.startswith("_"))


def load(name: str) -> ModuleType:
    """Return the module of the suite `name`."""
    return importlib.import_module(f"benchmarks.{name}")


def figures(name: str) -> Iterator[Figure]:
    """Run the suite `name` and yield its figures as they come."""
    yield from load(name).run()
