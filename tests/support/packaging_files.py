"""Reading the files that packaging is made of: YAML, the Dockerfile, .dockerignore."""

import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


@cache
def parsed(name: str) -> dict[str, Any]:
    """Return the content of the file `name`, with anchors and merges worked in."""
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return content


def service(name: str) -> dict[str, Any]:
    content: dict[str, Any] = parsed("compose.yaml")["services"][name]
    return content


def version() -> str:
    """Major and minor, as in 2.6."""
    whole: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return ".".join(whole.split(".")[:2])


@cache
def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, in order, each as its word and the rest."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    words = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(word, " ".join(rest.split())) for word, _, rest in words]


def last_stage() -> list[tuple[str, str]]:
    begins = max(at for at, (word, _) in enumerate(instructions()) if word == "FROM")
    return instructions()[begins:]


def only(word: str) -> str:
    """The one instruction `word` of the last stage."""
    (rest,) = [rest for name, rest in last_stage() if name == word]
    return rest


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for name, rest in last_stage() if name == "ENV" for pair in shlex.split(rest))


def let_through() -> set[str]:
    """The names that .dockerignore lets into the image: all that it lists, and nothing else."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert patterns[0] == "*"
    return {pattern[1:] for pattern in patterns if pattern.startswith("!")}
