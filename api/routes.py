"""The JSON API at /api/v1/: what scripts read and the little they may change. OpenAPI at /api/v1/openapi.json."""

from ninja import NinjaAPI

from api.auth import read
from api.desk import router as desk
from api.ml_models import router as models
from api.records import router as records

api = NinjaAPI(
    title="AlgoTrendy",
    version="1",
    description=(
        "Alerts, decisions, orders, fills, positions, trades, models, predictions and the state of the desk. "
        "Send a key as `Authorization: Bearer …`. Money is text, times are UTC, lists run newest first: ask for "
        "the next page with `before` = the last id you saw."
    ),
    auth=read,
)
api.add_router("", records)
api.add_router("", desk)
api.add_router("", models)
