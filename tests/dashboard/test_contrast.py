"""Contrast of the tokens (WCAG 2.2 AA), light, dark, printed: text 4.5 to 1, what one aims at 3 to 1."""

import itertools
import re
from collections.abc import Iterator, Mapping

import pytest

from tests.support.source import ROOT

CSS = re.sub(r"/\*.*?\*/", "", (ROOT / "static" / "css" / "desk.css").read_text(), flags=re.DOTALL)
RULE = re.compile(r"([^{};]+)\{([^{}]*)\}")
TEXT, CONTROL = 4.5, 3.0
#: Where anything may be written: the page, panels, rows under the pointer, grounds that mean something.
GROUNDS = ("bg", "panel", "raised", "up-soft", "down-soft", "info-soft", "alarm-soft")
INKS = ("text", "muted", "up", "down", "info", "alarm")
#: What is written on a fill has an ink of its own.
FILLED = {("on-fill", "alarm-fill"), ("panel", "info"), ("bg", "text")}
CONTROLS = re.compile(r"(?:^|[ .])(?:button|input|select|textarea|summary|model-line)(?![\w-])")
SEEN_BESIDE = ("bg", "panel", "raised")
Tokens = Mapping[str, str]


def rules() -> list[tuple[str, dict[str, str]]]:
    """Every rule of the sheet, those inside @media too: its selectors and its declarations."""
    pairs = [(head.strip(), body.split(";")) for head, body in RULE.findall(CSS)]
    return [
        (head, {name.strip(): value.strip() for name, _, value in (part.partition(":") for part in parts)})
        for head, parts in pairs
    ]


def themes() -> dict[str, Tokens]:
    """The colours of each theme by the names of their tokens."""
    both = re.findall(r"--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)
    alike = dict(re.findall(r"--([a-z-]+): (#\w{6});", CSS[: CSS.index("@media")]))
    light = alike | {name: colour for name, colour, _ in both}
    printed = re.findall(r"--([a-z-]+): (#\w{3,6});", CSS[CSS.index("@media print") :])
    return {
        "light": light,
        "dark": alike | {name: colour for name, _, colour in both},
        "printed": light | {name: colour if len(colour) == 7 else _doubled(colour) for name, colour in printed},
    }


def _doubled(colour: str) -> str:
    return "#" + "".join(digit * 2 for digit in colour[1:])


THEMES = themes()
theme = pytest.mark.parametrize("tokens", THEMES.values(), ids=THEMES)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def brightened(colour: str, factor: float) -> str:
    """A colour as `filter: brightness()` shows it."""
    return "#" + "".join(f"{min(255, round(int(colour[at : at + 2], 16) * factor)):02x}" for at in (1, 3, 5))


def faded(colour: str, ground: str, opacity: float) -> str:
    """A colour on a ground it lets through."""
    parts = [(int(colour[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(over * opacity + under * (1 - opacity)):02x}" for over, under in parts)


def token(value: str) -> str:
    """The token that a value names, else nothing."""
    match = re.search(r"var\(--([a-z-]+)\)", value)
    return match[1] if match else ""


def background(declared: Mapping[str, str]) -> str:
    """The token of a rule's ground."""
    return token(declared.get("background", "") or declared.get("background-color", ""))


def too_close(tokens: Tokens, pairs: Iterator[tuple[str, str]], least: float) -> list[str]:
    """The pairs that differ less than they must, with how much they do."""
    figures = {(one, other): contrast(tokens[one], tokens[other]) for one, other in pairs}
    return [f"{one} on {other}: {figure:.2f}" for (one, other), figure in figures.items() if figure < least]


def test_black_on_white_is_twenty_one_to_one() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@theme
def test_every_ink_can_be_read_on_every_ground(tokens: Tokens) -> None:
    assert too_close(tokens, itertools.product(INKS, GROUNDS), TEXT) == []


@theme
def test_what_is_written_on_a_fill_can_be_read_under_the_pointer_too(tokens: Tokens) -> None:
    assert too_close(tokens, iter(FILLED), TEXT) == []
    by_selector = dict(rules())
    hovered = [
        (head, declared["filter"]) for head, declared in rules() if "brightness" in declared.get("filter", "")
    ]
    assert hovered
    for head, effect in hovered:
        rule = by_selector[head.replace(":hover", "")]
        ink, ground = tokens[token(rule["color"])], tokens[background(rule)]
        factor = float(effect.removeprefix("brightness(").removesuffix(")"))
        assert contrast(brightened(ink, factor), brightened(ground, factor)) >= TEXT, head


@theme
def test_the_edge_of_every_control_can_be_seen(tokens: Tokens) -> None:
    edges = {
        token(value)
        for head, declared in rules()
        for name, value in declared.items()
        if CONTROLS.search(head) and name in ("border", "border-color")
    } - {""}
    assert {"edge", "muted", "info", "alarm"} <= edges
    assert too_close(tokens, itertools.product(edges, SEEN_BESIDE), CONTROL) == []


@theme
def test_dots_bars_plots_and_the_ring_of_the_focus_can_be_seen(tokens: Tokens) -> None:
    drawn = {"muted", "up", "down", "info", "alarm", "edge"}
    assert too_close(tokens, itertools.product(drawn, SEEN_BESIDE), CONTROL) == []
    # An interval lies on the bar of its value and has a rim of the panel's colour.
    assert too_close(tokens, itertools.product(("info", "up", "down", "edge", "text"), ("panel",)), CONTROL) == []
    # The path and the levels of an outcome run through the zones of target and stop.
    assert too_close(tokens, itertools.product(("text", "muted", "info"), ("up-soft", "down-soft")), CONTROL) == []


@theme
def test_candles_that_came_later_are_pale_and_can_be_seen(tokens: Tokens) -> None:
    script = (ROOT / "static" / "js" / "decision-chart.js").read_text()
    opacity = int(re.findall(r"\$\{colour\}([0-9a-f]{2})", script)[0], 16) / 255
    assert opacity < 1
    for colour in ("up", "down"):
        assert contrast(faded(tokens[colour], tokens["panel"], opacity), tokens["panel"]) >= CONTROL


def test_no_rule_writes_or_fills_with_a_colour_that_is_not_judged_here() -> None:
    inks = {token(declared["color"]) for _, declared in rules() if "color" in declared} - {""}
    assert inks <= {*INKS, *(ink for ink, _ in FILLED)}
    grounds = {background(declared) for _, declared in rules()} - {""}
    # As small marks some inks are fills; nothing is written on them but what FILLED names.
    assert grounds <= {*GROUNDS, *INKS, *(ground for _, ground in FILLED), "line", "edge"}
    written = {(token(declared["color"]), background(declared)) for _, declared in rules() if "color" in declared}
    pairs = {(ink, ground) for ink, ground in written if ink and ground}
    assert {pair for pair in pairs if pair not in FILLED and pair[1] not in GROUNDS} == set()


def test_no_colour_is_written_outside_the_tokens() -> None:
    outside = [
        (head, name, value)
        for head, declared in rules()
        for name, value in declared.items()
        if not name.startswith("--") and re.search(r"#[0-9a-f]{3,8}\b|rgb\(", value)
    ]
    # Shadows, what lies behind a dialog, and the quiet zone of a QR code, which must be white.
    assert {(head, name) for head, name, _ in outside if "shadow" not in name} == {
        ("dialog::backdrop", "background"),
        (".qr", "background"),
    }


def test_only_what_is_switched_off_or_busy_is_faded() -> None:
    faint = {head for head, declared in rules() if float(declared.get("opacity", "1")) < 1}
    assert faint == {'button:disabled, .button[aria-disabled="true"]', "button.htmx-request", "50%"}
