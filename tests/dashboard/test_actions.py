"""Halting, reducing, resuming, closing, cancelling: who may, what is asked first, and what happens."""

from collections.abc import Callable
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import strip_tags

from algotrendy.history.models import Change
from brokers.models import Connection, Desk, Order, Position
from brokers.selectors import desk
from brokers.services import close_position
from dashboard.live import fragments
from tests.support import pages as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> Callable[[str], Client]:
    return lambda role: make.signed_in(make.person(role))


@pytest.fixture
def held() -> Position:
    account = Connection.objects.create(name="paper")
    return Position.objects.create(connection=account, instrument=make.market(), quantity=2, average_price=99)


def state() -> str:
    return desk().state


def set_state(value: str) -> None:
    desk()
    Desk.objects.update(state=value, reason="test")


def test_a_trader_halts_with_one_click(people: Callable[[str], Client]) -> None:
    answer = people("trader").post("/desk/halt", {"next": "/orders"})
    assert answer["Location"] == "/orders"
    assert state() == "halted"
    assert "trader" in desk().reason


def test_a_halt_says_what_stays_and_what_is_withdrawn(people: Callable[[str], Client], held: Position) -> None:
    for role in ("entry", "stop", "target"):
        order = waiting(held, role)
        Order.objects.filter(pk=order.pk).update(role=role, state="accepted")
    text = people("trader").post("/desk/halt", follow=True).content.decode()
    assert "Entries at the venue that are being withdrawn: 1." in text
    assert "What stays: 1 open position, and stops, targets and exits at the venue" in text
    assert "which may still fill: 2." in text


def test_resuming_says_how_many_orders_leave_now(people: Callable[[str], Client], held: Position) -> None:
    waiting(held)
    set_state("halted")
    admin = make.confirmed(people("admin"))
    assert "Orders that waited and leave now: 1." in admin.post("/desk/resume", follow=True).content.decode()


def test_halt_does_not_lead_to_another_site(people: Callable[[str], Client]) -> None:
    answer = people("trader").post("/desk/halt", {"next": "https://elsewhere.example/"})
    assert answer["Location"] == "/"


@pytest.mark.parametrize("address", ["/desk/halt", "/desk/reduce", "/desk/resume"])
def test_a_viewer_can_not_change_the_desk(people: Callable[[str], Client], address: str) -> None:
    assert people("viewer").post(address).status_code == 403
    assert state() == "active"


def test_halting_takes_a_post(people: Callable[[str], Client]) -> None:
    assert people("trader").get("/desk/halt").status_code == 405
    assert state() == "active"


def test_halting_takes_the_token_of_our_own_page() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make.person("trader"))
    assert client.post("/desk/halt").status_code == 403
    assert state() == "active"


def test_reducing_asks_first(people: Callable[[str], Client]) -> None:
    trader = people("trader")
    assert b"Send exits only?" in trader.get("/desk/reduce").content
    assert state() == "active"
    trader.post("/desk/reduce")
    assert state() == "reducing"


def test_a_halt_that_came_meanwhile_is_not_loosened_by_reducing(people: Callable[[str], Client]) -> None:
    set_state("halted")
    answer = people("trader").post("/desk/reduce")
    assert state() == "halted"
    text = answer.content.decode()
    assert "was halted meanwhile" in text
    assert "Allow exits only?" in text


def test_a_halted_desk_goes_to_exits_only_by_an_answer_that_knows_of_the_halt(
    people: Callable[[str], Client],
) -> None:
    set_state("halted")
    trader = people("trader")
    assert 'href="/desk/reduce"' in trader.get("/desk/state").content.decode()
    question = trader.get("/desk/reduce").content.decode()
    assert "Allow exits only?" in question
    assert 'name="from_halted"' in question
    assert people("viewer").post("/desk/reduce", {"from_halted": "1"}).status_code == 403
    assert state() == "halted"
    trader.post("/desk/reduce", {"from_halted": "1"})
    assert (state(), desk().reason) == ("reducing", "exits allowed by trader after a halt")


def test_a_trader_can_not_resume(people: Callable[[str], Client]) -> None:
    set_state("halted")
    assert people("trader").post("/desk/resume").status_code == 403
    assert state() == "halted"


def test_resuming_takes_an_admin_and_the_password_again(people: Callable[[str], Client]) -> None:
    set_state("halted")
    admin = people("admin")
    answer = admin.get("/desk/resume")
    assert answer.status_code == 302
    assert "reauthenticate" in answer["Location"]
    admin.post("/desk/resume")
    assert state() == "halted"
    make.confirmed(admin)
    assert b"Resume trading?" in admin.get("/desk/resume").content
    assert state() == "halted"
    admin.post("/desk/resume")
    assert state() == "active"


def test_closing_says_what_will_happen(people: Callable[[str], Client], held: Position) -> None:
    text = people("trader").get(f"/positions/{held.pk}/close").content.decode()
    for words in ("Close BTCUSDT at market?", "Sells", "+2.00 ▲", "PAPER"):
        assert words in text
    assert not Order.objects.exists()


@pytest.mark.parametrize(("held_quantity", "words"), [(2, "Sells 2 BTCUSDT"), (-2, "Buys back 2 BTCUSDT")])
def test_the_amount_of_a_close_has_no_sign(
    people: Callable[[str], Client], held: Position, held_quantity: int, words: str
) -> None:
    Position.objects.update(quantity=held_quantity)
    text = people("trader").get(f"/positions/{held.pk}/close").content.decode()
    assert words in " ".join(strip_tags(text).split())


def test_the_question_comes_without_the_frame_for_a_dialog(
    people: Callable[[str], Client], held: Position
) -> None:
    text = people("trader").get(f"/positions/{held.pk}/close", headers={"HX-Request": "true"}).content.decode()
    assert "csrfmiddlewaretoken" in text
    assert "<html" not in text


def test_closing_orders_the_way_out_once(people: Callable[[str], Client], held: Position) -> None:
    trader = people("trader")
    first = trader.post(f"/positions/{held.pk}/close")
    order = Order.objects.get()
    assert (order.role, order.side, order.quantity, order.reduce_only) == ("exit", "sell", 2, True)
    assert first["Location"] == f"/orders/{order.pk}"
    assert trader.post(f"/positions/{held.pk}/close")["Location"] == f"/orders/{order.pk}"
    assert Order.objects.count() == 1


def test_a_plain_close_of_a_halted_desk_is_refused_and_orders_nothing(
    people: Callable[[str], Client], held: Position
) -> None:
    trader = people("trader")
    assert b"allow_exits" not in trader.get(f"/positions/{held.pk}/close").content
    set_state("halted")
    text = trader.post(f"/positions/{held.pk}/close").content.decode()
    assert "Not closed: the desk is halted (test): nothing leaves it, exits neither" in text
    assert "Allow exits only and close BTCUSDT" in text
    assert (Order.objects.count(), state()) == (0, "halted")


def test_a_halted_desk_closes_by_one_answer_that_allows_exits(
    people: Callable[[str], Client], held: Position
) -> None:
    set_state("halted")
    trader = people("trader")
    question = trader.get(f"/positions/{held.pk}/close").content.decode()
    assert "Nothing leaves it, exits neither" in question
    assert "Close BTCUSDT at market</button>" not in question
    assert people("viewer").post(f"/positions/{held.pk}/close", {"allow_exits": "1"}).status_code == 403
    trader.post(f"/positions/{held.pk}/close", {"allow_exits": "1"})
    assert (Order.objects.get().role, state()) == ("exit", "reducing")
    assert desk().reason == "exits allowed by trader to close, after: test"


def test_what_is_flat_already_ends_no_halt(people: Callable[[str], Client], held: Position) -> None:
    set_state("halted")
    Position.objects.update(quantity=0)
    assert (
        close_position(connection=held.connection, instrument=held.instrument, by=None, allow_exits=True) is None
    )
    assert (Order.objects.count(), state()) == (0, "halted")


def test_a_position_of_a_connection_that_is_off_is_not_promised_to_be_closed(
    people: Callable[[str], Client], held: Position
) -> None:
    Connection.objects.update(enabled=False)
    trader = people("trader")
    question = trader.get(f"/positions/{held.pk}/close").content.decode()
    assert "paper is switched off" in question
    assert "at market</button>" not in question
    assert "switched off: no order leaves by it" in trader.post(f"/positions/{held.pk}/close").content.decode()
    assert not Order.objects.exists()


def test_a_closed_position_is_nothing_to_close(people: Callable[[str], Client], held: Position) -> None:
    Position.objects.update(quantity=0)
    trader = people("trader")
    assert trader.get(f"/positions/{held.pk}/close")["Location"] == "/"
    assert trader.get("/positions/999999/close").status_code == 404
    assert not Order.objects.exists()


def test_a_position_that_became_flat_between_question_and_answer_is_said_to_be(
    people: Callable[[str], Client], held: Position
) -> None:
    with patch("dashboard.views.actions.close_position", return_value=None):
        answer = people("trader").post(f"/positions/{held.pk}/close", follow=True)
    assert answer.redirect_chain == [("/", 302)]
    assert "BTCUSDT was already flat." in answer.content.decode()


def test_the_desk_and_its_orders_are_shown_to_no_stranger_and_to_nobody_without_a_role(
    people: Callable[[str], Client], held: Position
) -> None:
    order, nobody = waiting(held), people("")
    for address in ("/desk/state", "/orders", f"/orders/{order.pk}"):
        assert Client().get(address)["Location"].startswith("/accounts/login/?next=/")
        assert nobody.get(address).status_code == 403
        assert people("viewer").get(address).status_code == 200
        User.objects.filter(username="viewer").delete()


def test_an_order_that_is_not_there_is_not_found(people: Callable[[str], Client]) -> None:
    trader = people("trader")
    for address in ("/orders/999999", "/orders/999999/cancel", "/orders/999999/settle"):
        assert trader.get(address).status_code == 404
    assert fragments.render("order:999999") == ""


def test_an_order_that_needs_no_review_is_not_settled(people: Callable[[str], Client], held: Position) -> None:
    order = waiting(held)
    page = people("trader").post(f"/orders/{order.pk}/settle", follow=True).content.decode()
    assert f"Order #{order.pk} needs no review: it is pending." in page
    assert not Change.objects.exists()


def test_a_viewer_can_not_close_or_cancel(people: Callable[[str], Client], held: Position) -> None:
    order = waiting(held)
    viewer = people("viewer")
    assert viewer.post(f"/positions/{held.pk}/close").status_code == 403
    assert viewer.post(f"/orders/{order.pk}/cancel").status_code == 403
    order.refresh_from_db()
    assert order.state == "pending"


def waiting(held: Position, client_order_id: str = "waits") -> Order:
    return Order.objects.create(
        connection=held.connection, instrument=held.instrument, client_order_id=client_order_id, role="entry",
        side="buy", quantity=1, market="simulated",
    )  # fmt: skip


def test_an_order_that_waits_is_cancelled_here_and_now(people: Callable[[str], Client], held: Position) -> None:
    order = waiting(held)
    trader = people("trader")
    assert f"Cancel order #{order.pk}?" in trader.get(f"/orders/{order.pk}/cancel").content.decode()
    trader.post(f"/orders/{order.pk}/cancel")
    order.refresh_from_db()
    assert order.state == "canceled"
    assert "trader" in order.reason


def test_an_order_that_is_over_stays_as_it_is(people: Callable[[str], Client], held: Position) -> None:
    order = waiting(held)
    Order.objects.update(state="rejected", reason="no money")
    answer = people("trader").post(f"/orders/{order.pk}/cancel", follow=True)
    assert "Not cancelled" in answer.content.decode()
    order.refresh_from_db()
    assert (order.state, order.cancel_requested_at) == ("rejected", None)


@pytest.mark.parametrize("state", ["submitting", "unknown", "needs_review", "accepted", "partially_filled"])
def test_a_cancel_is_written_down_wherever_the_order_is_and_shown(
    people: Callable[[str], Client], held: Position, state: str
) -> None:
    order = waiting(held)
    Order.objects.update(state=state, reason="why")
    trader = people("trader")
    page = f"/orders/{order.pk}"
    assert f"{page}/cancel" in trader.get(page).content.decode()
    asked = trader.get(f"{page}/cancel").content.decode()
    assert ("Nobody knows yet whether paper has it" in asked) == (state not in Order.AT_VENUE)
    shown = trader.post(f"{page}/cancel", follow=True).content.decode()
    order.refresh_from_db()
    assert (order.state, order.cancel_reason) == (state, "cancelled by trader")
    assert order.cancel_requested_at is not None
    assert "cancel requested" in shown
    assert "cancelled by trader" in shown
    assert f"{page}/cancel" not in shown
    if state in Order.AT_VENUE:
        assert "cancel requested" in trader.get("/orders").content.decode()


def test_cancelling_a_stop_warns_that_it_protects(people: Callable[[str], Client], held: Position) -> None:
    order = waiting(held)
    Order.objects.update(role="stop", state="accepted")
    assert b"protects a position" in people("trader").get(f"/orders/{order.pk}/cancel").content


def in_review(held: Position) -> Order:
    order = waiting(held)
    Order.objects.update(state="needs_review", reason="no answer")
    return order


def test_an_order_the_venue_never_had_is_settled_by_hand(people: Callable[[str], Client], held: Position) -> None:
    order = in_review(held)
    trader = people("trader")
    assert f"/orders/{order.pk}/settle" in trader.get(f"/orders/{order.pk}").content.decode()
    assert f"Settle order #{order.pk}?" in trader.get(f"/orders/{order.pk}/settle").content.decode()
    trader.post(f"/orders/{order.pk}/settle")
    order.refresh_from_db()
    assert (order.state, order.reason) == ("rejected", "settled by trader: the venue has no such order")


def test_a_viewer_can_not_settle_an_order(people: Callable[[str], Client], held: Position) -> None:
    order = in_review(held)
    assert people("viewer").post(f"/orders/{order.pk}/settle").status_code == 403
    order.refresh_from_db()
    assert order.state == "needs_review"


def test_nothing_is_settled_while_the_venue_is_away(people: Callable[[str], Client], held: Position) -> None:
    order = in_review(held)
    Connection.objects.update(settings={"faults": {"unavailable": 9}})
    answer = people("trader").post(f"/orders/{order.pk}/settle", follow=True)
    assert "Not settled" in answer.content.decode()
    order.refresh_from_db()
    assert order.state == "needs_review"
