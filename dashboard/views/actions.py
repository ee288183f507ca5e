"""What a trader does to the desk: halt, reduce, resume, close a position. Each says first what will happen."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from algotrendy.permissions import admin, password_again, person, trader, viewer
from brokers import selectors
from brokers.models import Desk, Order, Position
from brokers.services import CannotClose, DeskHalted, close_position, set_desk_state
from dashboard.formatting import counted
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
from dashboard.once import once

READ_AND_POST = ["GET", "HEAD", "POST"]


def back(request: HttpRequest, fallback: str = "desk") -> HttpResponse:
    """Return to the page that was asked from, if it is one of ours."""
    target = request.POST.get("next", "")
    if target and target.isprintable() and url_has_allowed_host_and_scheme(target, {request.get_host()}):
        return HttpResponseRedirect(target)  # `redirect` would look for a view of that name
    return redirect(fallback)


@fragment(topics.DESK_STATE, "fragments/desk_state.html")
def state_region(key: str) -> Context:
    """The desk's state: who set it, when, why, until when."""
    row = selectors.desk()
    return {"desk": row, "state": selectors.effective_state(row)}


@require_safe
@viewer
def desk_state(request: HttpRequest) -> HttpResponse:
    """Show the desk's state and what can be done about it."""
    return render(request, "dashboard/desk_state.html", {"state": selectors.effective_state(selectors.desk())})


@require_POST
@trader
def halt(request: HttpRequest) -> HttpResponse:
    """Stop sending orders, now. One click: nothing is asked."""
    name = request.user.get_username()
    set_desk_state(state=Desk.State.HALTED, by=person(request), reason=f"HALT pressed by {name}")
    messages.warning(request, _halted())
    return back(request)


def _halted() -> str:
    """Say what a halt left as it is, and what it withdraws."""
    at_venue = Order.objects.filter(state__in=Order.AT_VENUE)
    entries = at_venue.filter(role=Order.Role.ENTRY).count()
    exits = at_venue.exclude(role=Order.Role.ENTRY).count()
    held = counted(selectors.open_positions().count(), "open position")
    return (
        "HALTED. No order leaves the desk, exits neither, and what is left of entries is cancelled. "
        f"Entries at the venue that are being withdrawn: {entries}. "
        f"What stays: {held}, and stops, targets and exits at the venue, which may still fill: {exits}."
    )


@require_http_methods(READ_AND_POST)
@trader
@once
def reduce(request: HttpRequest) -> HttpResponse:
    """Ask, then let only exits through. Out of a halt that takes an answer to the question that names the halt."""
    if request.method != "POST":
        return _ask_to_reduce(request)
    name = request.user.get_username()
    from_halted = "from_halted" in request.POST
    reason = f"exits allowed by {name} after a halt" if from_halted else f"set by {name}"
    try:
        set_desk_state(state=Desk.State.REDUCING, by=person(request), reason=reason, from_halted=from_halted)
    except DeskHalted:
        messages.error(request, "The desk was halted meanwhile: nothing was changed.")
        return _ask_to_reduce(request)
    messages.success(request, "Exits only: new entries are refused until the desk is resumed.")
    return redirect("desk_state")


def _ask_to_reduce(request: HttpRequest) -> HttpResponse:
    row = selectors.desk()
    context = {"desk": row, "halted": selectors.effective_state(row) == Desk.State.HALTED}
    return render(request, "dashboard/confirm/reduce.html", context)


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def resume(request: HttpRequest) -> HttpResponse:
    """Ask for the password and say what will happen, then trade again."""
    row = selectors.desk()
    if request.method != "POST":
        context = {"desk": row, "state": selectors.effective_state(row)}
        return render(request, "dashboard/confirm/resume.html", context)
    reason = f"resumed by {request.user.get_username()}"
    set_desk_state(state=Desk.State.ACTIVE, by=person(request), reason=reason)
    waiting = Order.objects.filter(state=Order.State.PENDING, parent=None, after=None).count()
    messages.success(request, f"Active. New alerts are traded again. Orders that waited and leave now: {waiting}.")
    return redirect("desk_state")


@require_http_methods(READ_AND_POST)
@trader
@once
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what closing a position will do, then order the way out."""
    held = selectors.open_positions().filter(pk=pk).first()
    if held is None:
        if not Position.objects.filter(pk=pk).exists():
            raise Http404("no such position")
        messages.info(request, "That position is already closed.")
        return redirect("desk")
    if request.method != "POST":
        return _ask_to_close(request, held)
    allow_exits = "allow_exits" in request.POST
    try:
        order = close_position(
            connection=held.connection, instrument=held.instrument, by=person(request), allow_exits=allow_exits
        )
    except CannotClose as refusal:
        messages.error(request, f"Not closed: {refusal}.")
        return _ask_to_close(request, held)
    if order is None:
        messages.info(request, f"{held.instrument} was already flat.")
        return redirect("desk")
    messages.success(request, f"Closing {held.instrument} at market: order #{order.pk}.")
    return redirect("order", pk=order.pk)


def _ask_to_close(request: HttpRequest, held: Position) -> HttpResponse:
    row = selectors.desk()
    context = {
        "position": held,
        "amount": abs(held.quantity),
        "price": selectors.price_of(held),
        "unrealised": selectors.unrealised(held),
        "desk": row,
        "state": selectors.effective_state(row),
    }
    return render(request, "dashboard/confirm/close.html", context)


urlpatterns = [
    path("desk/state", desk_state, name="desk_state"),
    path("desk/halt", halt, name="desk_halt"),
    path("desk/reduce", reduce, name="desk_reduce"),
    path("desk/resume", resume, name="desk_resume"),
    path("positions/<int:pk>/close", close, name="position_close"),
]
