"""Trades: round trips from flat to flat, with what they made."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

from algotrendy.permissions import viewer
from brokers.models import Trade
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
from dashboard.live.topics import id_of
from dashboard.paging import Page, page_of, requested_page
from dashboard.selectors import ledger, status

FILTERS = ("instrument", "side", "result")


def with_decisions(page: Page[Trade]) -> Context:
    """Return the context of a table of trades: each with the decision that opened it."""
    opened_by = ledger.decisions_of_trades(page)
    rows = [(row, opened_by.get(row.pk)) for row in page.rows]
    return {"rows": rows, "page": page, "usual_market": status.usual_market()}


@fragment(topics.TRADES, "fragments/trades.html")
def trades_region(key: str) -> Context:
    """The newest trades."""
    return {**with_decisions(page_of(ledger.trades())), "record": ledger.record()}


@fragment(topics.TRADE, "fragments/trade.html")
def trade_region(key: str) -> Context | None:
    """One round trip: figures, fills, orders."""
    pk = id_of(key)
    trade = ledger.trade_detail(pk) if pk else None
    if trade is None:
        return None
    fills = sorted(trade.fills.all(), key=lambda fill: fill.pk)
    order_ids = list(dict.fromkeys(fill.order_id for fill in fills))
    return {"trade": trade, "fills": fills, "decision_ids": ledger.decision_ids_of_orders(order_ids)}


@require_safe
@viewer
def trades(request: HttpRequest) -> HttpResponse:
    """Show the newest trades live, or those that a filter or an older page asks for."""
    chosen = {name: request.GET.get(name, "") for name in FILTERS}
    live = not any(chosen.values()) and "before" not in request.GET
    context: Context = {"live_list": live, "chosen": chosen, "symbols": ledger.symbols()}
    rows = ledger.trades(symbol=chosen["instrument"], side=chosen["side"], result=chosen["result"])
    if live:
        context["page"] = page_of(rows)
    else:
        context |= with_decisions(requested_page(request, rows))
    return render(request, "dashboard/trades.html", context)


@require_safe
@viewer
def trade(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one round trip."""
    trade = Trade.objects.select_related("instrument").filter(pk=pk).first()
    if trade is None:
        raise Http404("no such trade")
    return render(request, "dashboard/trade.html", {"trade": trade})


urlpatterns = [
    path("trades", trades, name="trades"),
    path("trades/<int:pk>", trade, name="trade"),
]
