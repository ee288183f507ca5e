"""Templates are code: every one of them parses, and none has a line that no review can read."""

import re

import pytest
from django.conf import settings
from django.template import Node, Template
from django.template.loader import get_template
from django.template.loader_tags import ExtendsNode, IncludeNode

MAX_LENGTH = 160
# Pages of the rail, and what is asked or said in between: they have no page above them.
WITHOUT_CRUMBS = {
    "alerts/list", "brokers", "confirm/page", "decisions/list", "desk", "forbidden", "health/page", "orders",
    "sent_twice", "settings/page", "sources/list", "trades",
}  # fmt: skip
# Of these there may be one.
COUNTED = ("alert", "decision", "order", "fill", "trade", "position", "time", "failure", "difference")
FOLDER = settings.BASE_DIR / "templates"
NAMES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.html"))


def compiled(name: str) -> Template:
    template: Template = get_template(name).template
    return template


def constant(node: Node) -> str | None:
    """Return the name of the template that a node names, if it is not chosen while rendering."""
    name = node.template if isinstance(node, IncludeNode) else node.parent_name
    return name.var if isinstance(name.var, str) else None


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_too_long_to_review(name: str) -> None:
    lines = enumerate((FOLDER / name).read_text().splitlines(), start=1)
    long = [f"templates/{name}:{number}: {len(line)}" for number, line in lines if len(line) > MAX_LENGTH]
    assert not long, f"longer than {MAX_LENGTH} characters: {', '.join(long)}"


@pytest.mark.parametrize("name", NAMES)
def test_a_template_parses_with_all_that_it_includes(name: str) -> None:
    named = compiled(name).nodelist.get_nodes_by_type((IncludeNode, ExtendsNode))
    for node in named:
        if other := constant(node):
            compiled(other)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_counted_is_named_by_its_number(name: str) -> None:
    plural = r"\}\} (?:open |closed )?(?:" + "|".join(COUNTED) + r")s\b"
    assert not re.findall(plural, (FOLDER / name).read_text()), 'write {{ count|counted:"order" }}'


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("dashboard/")])
def test_a_page_below_another_begins_with_the_way_back_to_it(name: str) -> None:
    text = (FOLDER / name).read_text()
    stem = name.removeprefix("dashboard/").removesuffix(".html")
    if not text.startswith('{% extends "base.html" %}') or stem in WITHOUT_CRUMBS:
        assert "crumbs" not in text
        return
    _, _, content = text.partition("{% block content %}")
    first = re.sub(r"^\s*({% if older %}\s*)?", "", content)
    assert first.startswith('<nav class="crumbs" aria-label="Breadcrumbs">')
    assert text.count('class="crumbs"') == 1
