"""Every page's address. Each views module lists its own routes; importing this module registers all fragments.

Names: desk, theme, desk_halt, desk_resume, desk_reduce, position_close · trades, trade · orders, order,
order_cancel · brokers, broker · data_candles, data_markers, data_equity · alerts, alert · decisions, decision ·
sources, source, source_setup · health · settings · welcome.
"""

from importlib import import_module
from importlib.util import find_spec

from django.urls import URLPattern

MODULES = (
    "desk",
    "actions",
    "data",
    "trades",
    "orders",
    "brokers",
    "alerts",
    "decisions",
    "sources",
    "health",
    "settings",
    "accounts",
)

urlpatterns: list[URLPattern] = []
for _name in MODULES:
    if find_spec(f"dashboard.views.{_name}"):
        urlpatterns += import_module(f"dashboard.views.{_name}").urlpatterns
