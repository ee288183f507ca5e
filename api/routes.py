"""The JSON API at /api/v1/: what scripts read and the little they may change. OpenAPI at /api/v1/openapi.json."""

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from api.auth import read
from api.desk import router as desk
from api.ml_models import router as models
from api.paging import known_only
from api.records import router as records

PROBLEM = {
    "type": "object",
    "title": "Problem",
    "properties": {"detail": {"type": "string"}},
    "required": ["detail"],
}
PROBLEMS = {
    "title": "Problems",
    "type": "object",
    "properties": {
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"},
                },
                "required": ["type", "loc", "msg"],
            },
        }
    },
    "required": ["detail"],
}
#: What any operation may answer, whatever it does: these come before it, or instead of it.
COMMON = {
    "400": ("The request can't be read: no JSON, or a character that can't be stored.", PROBLEM),
    "401": ("No key, or one that is revoked or unknown.", PROBLEM),
    "405": ("The address has no such method; `Allow` names those it has.", None),
    "422": ("A parameter or a field is not what it must be.", PROBLEMS),
}


class DeskAPI(NinjaAPI):
    """An API whose OpenAPI says all that its operations answer."""

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, object] | None = None
    ) -> OpenAPISchema:
        """Return the document, the answers that all operations share in each of them."""
        schema = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, (text, body) in COMMON.items():
                    content = {"content": {"application/json": {"schema": body}}} if body else {}
                    operation["responses"].setdefault(int(status), {"description": text, **content})
        return schema


api = DeskAPI(
    title="AlgoTrendy",
    version="1",
    description=(
        "Alerts, decisions, orders, fills, positions, trades, models, predictions and the state of the desk. "
        "Send a key as `Authorization: Bearer …`. Money is text, times are UTC, lists run newest first: ask for "
        "the next page with `before` = the last id you saw."
    ),
    auth=read,
)
api.add_decorator(known_only, mode="operation")
api.add_router("", records)
api.add_router("", desk)
api.add_router("", models)
