"""Orders: those in doubt first, then the open ones, then history; and the life of one order."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods, require_safe

from algotrendy.permissions import person, trader, viewer
from brokers.contract import VenueUnavailable
from brokers.models import Order
from brokers.orders.recovery import resolve_by_hand
from brokers.services import CannotCancel, cancel_order
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
from dashboard.live.topics import id_of
from dashboard.once import once
from dashboard.paging import page_of, requested_page
from dashboard.selectors import ledger
from dashboard.selectors.order_timeline import order_timeline


@fragment(topics.ORDER_TROUBLE, "fragments/order_trouble.html")
def trouble_region(key: str) -> Context:
    """Orders whose fate is not known, with what to do."""
    return {"orders": ledger.orders_in_doubt()}


@fragment(topics.ORDERS, "fragments/orders.html")
def orders_region(key: str) -> Context:
    """Open orders and the newest of all."""
    return {"open": ledger.open_orders(), "orders": page_of(ledger.orders()).rows}


@fragment(topics.ORDER, "fragments/order.html")
def order_region(key: str) -> Context | None:
    """The life of one order."""
    pk = id_of(key)
    order = ledger.order_detail(pk) if pk else None
    if order is None:
        return None
    fills = sorted(order.fills.all(), key=lambda fill: fill.pk)
    return {
        "order": order,
        "fills": fills,
        "life": order_timeline(order, fills),
        "decision_id": order.decision_link.decision_id if hasattr(order, "decision_link") else None,
        "can_cancel": ledger.can_cancel(order),
    }


@require_safe
@viewer
def orders(request: HttpRequest) -> HttpResponse:
    """Show the newest orders live, older ones page by page, or those of one instrument."""
    symbol = request.GET.get("instrument", "")
    rows = ledger.orders().filter(instrument__symbol=symbol) if symbol else ledger.orders()
    live = not symbol and "before" not in request.GET
    page = page_of(ledger.orders()) if live else requested_page(request, rows)
    context = {"page": page, "live_list": live, "symbol": symbol, "symbols": ledger.symbols()}
    return render(request, "dashboard/orders.html", context)


@require_safe
@viewer
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the life of one order."""
    order = Order.objects.select_related("instrument").filter(pk=pk).first()
    if order is None:
        raise Http404("no such order")
    return render(request, "dashboard/order.html", {"order": order})


@require_http_methods(["GET", "HEAD", "POST"])
@trader
@once
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what cancelling will do, then cancel what is left of the order."""
    order = ledger.order_detail(pk)
    if order is None:
        raise Http404("no such order")
    if request.method != "POST":
        return render(request, "dashboard/confirm/cancel.html", {"order": order})
    try:
        done = cancel_order(order=order, by=person(request))
    except CannotCancel as refusal:
        messages.error(request, f"Not cancelled: {refusal}.")
    else:
        messages.success(request, f"Order #{pk}: {done}.")
    return redirect("order", pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@trader
@once
def settle(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the venue once more about an order in review; if it has none, reject it in the person's name."""
    order = ledger.order_detail(pk)
    if order is None:
        raise Http404("no such order")
    if request.method != "POST":
        return render(request, "dashboard/confirm/settle.html", {"order": order})
    if order.state != Order.State.NEEDS_REVIEW:
        messages.info(request, f"Order #{pk} needs no review: it is {order.get_state_display().lower()}.")
        return redirect("order", pk=pk)
    try:
        settled = resolve_by_hand(order=order, by=person(request))
    except VenueUnavailable as trouble:
        messages.error(request, f"Not settled: {trouble}.")
    else:
        messages.success(request, f"Order #{pk} is {settled.get_state_display().lower()}: {settled.reason}.")
    return redirect("order", pk=pk)


urlpatterns = [
    path("orders", orders, name="orders"),
    path("orders/<int:pk>", order, name="order"),
    path("orders/<int:pk>/cancel", cancel, name="order_cancel"),
    path("orders/<int:pk>/settle", settle, name="order_settle"),
]
