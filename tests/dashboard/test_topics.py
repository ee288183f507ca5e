"""Topics of live pages: each is declared, sent, rendered and watched; none only by name in one of these places."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import pytest
from django.conf import settings

from dashboard import receivers
from dashboard.live import fragments, topics
from dashboard.live.dependencies import FAMILIES, related
from dashboard.live.topics import DECLARED, Topic, parse_topic, topic
from tests.support import pages as make

SIGNAL_FIELDS = ("instrument_id", "timeframe", "open_time", "feed_id", "order_id", "fill_id", "trade_id",
                 "connection_id", "decision_id", "alert_id", "run_id", "proof_id", "family")  # fmt: skip
LIVE_TAG = re.compile(r"""{% live ["']([\w-]+)["'](?: ([\w.]+)(?= ))?""")
DATA_TOPIC = re.compile(r"""data-topic[= ]+["']([\w-]+)(:?)""")


def names_of(texts: Iterable[str]) -> set[str]:
    return {parse_topic(text)[0] for text in texts}


def sent() -> set[str]:
    """The topics of all hints, with 1 as the key of every object."""
    hints: set[str] = set()
    chart = mock.patch.object(receivers, "chart_topic", return_value="chart:BTCUSDT")
    with chart, mock.patch.object(receivers, "send", lambda *changed: hints.update(changed)):
        for _, receiver in receivers.RECEIVERS:
            receiver(**dict.fromkeys(SIGNAL_FIELDS, 1), decision_ids=[1], state="filled")
    return hints


def test_a_chart_hears_of_whatever_it_draws() -> None:
    """Its lines are what works at the venue: without a price they would stay as they were."""
    for receiver in (receivers._on_order, receivers._on_fill, receivers._on_decision):
        with mock.patch.object(receivers, "send") as send:
            receiver(order_id=1, fill_id=1, decision_id=1, state="canceled")
        assert "chart:BTCUSDT" in related(set(send.call_args.args), {"chart:BTCUSDT"}), receiver


@pytest.fixture
def followed(db: None) -> dict[str, set[str]]:
    """What follows from each topic that is sent, on a desk with one of everything and pages of it all."""
    taken = make.decided(make.source(), make.market())
    entry = make.decision_of(taken).orders.get(role="entry")
    fill = make.fill(entry)
    keys = {"order": entry.pk, "decision": taken.decision_id, "alert": taken.pk, "trade": fill.trade_id,
            "source": taken.source_id, "source-setup": taken.source_id}  # fmt: skip
    watched = {topic(name, keys.get(name, "any")) if name.keyed else str(name) for name in DECLARED.values()}
    causes = {
        name: topic(name, keys.get(name, "any")) if DECLARED[name].keyed else name for name in names_of(sent())
    }
    return {name: names_of(related({cause}, watched)) - {name} for name, cause in causes.items()}


def written_in(pattern: re.Pattern[str], *globs: str) -> set[tuple[str, bool]]:
    """The topics that files name, and whether with a key."""
    files = [path for glob in globs for path in Path(settings.BASE_DIR).glob(glob)]
    return {(name, bool(key)) for path in files for name, key in pattern.findall(path.read_text())}


def watched_by_pages() -> set[tuple[str, bool]]:
    return written_in(LIVE_TAG, "templates/**/*.html") | written_in(
        DATA_TOPIC, "templates/**/*.html", "static/js/*.js"
    )


def test_a_topic_is_declared_once() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        topics._declare("order", "another")
    constants = [value for value in vars(topics).values() if isinstance(value, Topic)]
    assert sorted(constants) == sorted(DECLARED)
    assert all(name.what for name in constants)


def test_a_keyed_topic_has_its_key_behind_a_colon() -> None:
    assert topic(topics.ORDER, 17) == "order:17"
    assert parse_topic("order:17") == (topics.ORDER, "17")
    assert parse_topic("predictions:m-1.BTC:USDT") == (topics.PREDICTIONS, "m-1.BTC:USDT")
    assert parse_topic("orders") == (topics.ORDERS, "")


def test_what_is_sent_is_declared_and_has_a_key_where_it_needs_one() -> None:
    declared = {(str(name), name.keyed) for name in DECLARED.values()}
    assert {(name, bool(key)) for name, key in map(parse_topic, sent())} <= declared


def test_hints_are_sent_by_receivers_only() -> None:
    """Elsewhere a change is announced; so all that is sent is seen by these tests."""
    senders = [
        str(path.relative_to(settings.BASE_DIR))
        for path in sorted(Path(settings.BASE_DIR, "dashboard").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and node.module == "dashboard.live.publisher")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "publisher.send")
    ]  # fmt: skip
    assert senders == ["dashboard/receivers.py"]


def test_every_topic_that_is_sent_changes_some_region(followed: dict[str, set[str]]) -> None:
    lost = [name for name in names_of(sent()) if name not in fragments.registered() and not followed[name]]
    assert lost == []


def test_every_region_is_reached_by_some_hint(followed: dict[str, set[str]]) -> None:
    reached = set(followed).union(*followed.values())
    assert sorted(fragments.registered() - reached) == []


def test_pages_watch_what_is_declared_with_a_key_where_it_needs_one() -> None:
    declared = {(str(name), name.keyed) for name in DECLARED.values()}
    assert sorted(watched_by_pages() - declared) == []


def test_every_region_is_on_some_page() -> None:
    watched = {name for name, _ in watched_by_pages()}
    assert sorted(fragments.registered() - watched) == []
    assert sorted(watched - fragments.registered()) == []


def test_every_declared_topic_is_a_region_or_leads_to_one() -> None:
    assert sorted(DECLARED.keys() - fragments.registered() - FAMILIES.keys()) == []


def test_a_live_region_names_a_declared_topic_in_the_code_too() -> None:
    """A topic is never spelt out beside its declaration."""
    spelt = [
        f"{path.name}:{node.lineno}"
        for path in sorted(Path(settings.BASE_DIR, "dashboard").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"fragment", "data", "send"}
        and any(isinstance(value, ast.Constant) and value.value in DECLARED for value in node.args)
    ]  # fmt: skip
    assert spelt == []
