"""What is changed and which tests must notice, read from `docs/mutation.toml`."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algotrendy.paths import BASE_DIR

PLAN = BASE_DIR / "docs/mutation.toml"
#: What a run shows of a change; an exclusion is known by it.
Change = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Room:
    """Modules (paths from the root) and the tests that have to notice a change in them."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The goal (% of the changes noticed), the rooms of both runs, and the changes that change nothing."""

    goal: float
    cores: tuple[Room, ...]
    spine: tuple[Room, ...]
    excluded: frozenset[Change]


def read(path: Path = PLAN) -> Plan:
    """Return the plan. Raises ValueError for an exclusion without a reason or a module that does not exist."""
    text = tomllib.loads(path.read_text())
    cores, spine = (_rooms(text[name]) for name in ("cores", "spine"))
    return Plan(float(text["goal"]), cores, spine, frozenset(map(_change, text.get("equivalent", []))))


def chosen(rooms: Iterable[Room], names: Iterable[str]) -> list[Room]:
    """Return the rooms that bear one of `names`, or hold a module of that path (then that module alone).

    Without names all of them. Raises ValueError for a name that is neither.
    """
    every, wanted = list(rooms), list(names)
    if not wanted:
        return every
    picked = [_only(room, wanted) for room in every]
    known = {name for room in every for name in (room.name, *room.modules)}
    if unknown := sorted(set(wanted) - known):
        raise ValueError(f"{', '.join(unknown)} is neither a room nor a module; rooms: {_names(every)}")
    return [room for room in picked if room.modules]


def _only(room: Room, wanted: list[str]) -> Room:
    modules = room.modules if room.name in wanted else tuple(path for path in room.modules if path in wanted)
    return Room(room.name, modules, room.tests)


def _names(rooms: Iterable[Room]) -> str:
    return ", ".join(room.name for room in rooms)


def _rooms(table: dict[str, Any]) -> tuple[Room, ...]:
    rooms = tuple(Room(name, tuple(room["modules"]), tuple(room["tests"])) for name, room in table.items())
    for path in (path for room in rooms for path in (*room.modules, *room.tests)):
        if not (BASE_DIR / path).exists():
            raise ValueError(f"{PLAN.name}: {path} does not exist")
    return rooms


def _change(row: dict[str, str]) -> Change:
    if not row.get("reason", "").strip():
        raise ValueError(f"{PLAN.name}: an excluded change of {row['module']} gives no reason")
    return row["module"], row["before"], row["after"]
