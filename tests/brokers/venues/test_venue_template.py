"""The package to copy for a new venue has everything that the contract asks for, and pretends nothing."""

import inspect
import re
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.contract import Broker, LocalVenue, OrderRequest, OutcomeUnknown, VenueUnavailable
from brokers.models import Connection
from brokers.venues import registry
from brokers.venues._template.broker import TemplateBroker
from brokers.venues._template.local import TemplateLocal
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.local import LocalPaper
from tests.support.broker_contract import BrokerContract
from tests.support.fake_venue import FakeBroker

README = (Path(inspect.getfile(TemplateBroker)).parent / "README.md").read_text()
MEMBER = re.compile(r"^\| `(\w+)` \| (required|optional) \|", re.M)
CASE = re.compile(r"^\| (\d\d) \| (.+) \|$", re.M)


def members(protocol: type) -> set[str]:
    """The names that a protocol asks for."""
    return {name for name in {*vars(protocol), *protocol.__annotations__} if not name.startswith("_")}


@pytest.mark.parametrize("adapter", [TemplateBroker, PaperBroker, FakeBroker])
def test_an_adapter_has_every_member_of_the_contract_with_its_signature(adapter: type) -> None:
    for name in members(Broker):
        assert hasattr(adapter, name), name
        wanted = getattr(Broker, name, None)
        if wanted is not None:
            assert inspect.signature(getattr(adapter, name)) == inspect.signature(wanted), name


@pytest.mark.parametrize("local", [TemplateLocal, LocalPaper])
def test_a_local_venue_has_every_member_of_its_protocol(local: type) -> None:
    for name in members(LocalVenue):
        assert hasattr(local, name), name
        wanted = getattr(LocalVenue, name, None)
        if wanted is not None:
            assert inspect.signature(getattr(local, name)) == inspect.signature(wanted), name


def test_the_table_of_members_is_the_contract() -> None:
    listed = MEMBER.findall(README)
    assert {name for name, kind in listed if kind == "required"} == members(Broker)
    assert {name for name, kind in listed if kind == "optional"} == members(LocalVenue)


def test_the_list_of_cases_is_that_of_the_acceptance_tests() -> None:
    names = [name for name in vars(BrokerContract) if name.startswith("test_")]
    assert [f"test_{number}_{text.replace(' ', '_')}" for number, text in CASE.findall(README)] == names


def test_it_is_no_venue() -> None:
    assert not any(
        "_template" in venue.adapter or "_template" in venue.local for venue in registry.VENUES.values()
    )


def test_what_is_not_written_is_in_doubt_or_unavailable_and_never_nothing() -> None:
    broker: Broker = TemplateBroker(Connection())
    order = OrderRequest("a", "BTCUSDT", "buy", "market", Decimal(1))
    for write in (lambda: broker.submit(order), lambda: broker.cancel("a")):
        with pytest.raises(OutcomeUnknown, match="not written"):
            write()
    for read in (lambda: broker.lookup("a"), lambda: broker.updates(0), broker.positions, broker.round_trip_cost):
        with pytest.raises(VenueUnavailable, match="not written"):
            read()
