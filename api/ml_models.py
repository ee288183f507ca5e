"""Models by API: versions with their evidence, and predictions with what became of them. Reading only."""

from typing import Annotated

from django.db.models import Prefetch
from django.http import HttpRequest
from ninja import Query, Router

from api import ml_model_schemas, schemas
from api.paging import Before, Limit, Name, Text, page, require, upper
from mlmodels.models import ModelVersion, Prediction, Promotion

router = Router(tags=["models"])
HEAVY = ("version__report", "version__recipe", "version__verdict", "version__claimed")
Timeframe = Annotated[int | None, Query(ge=1, description="Seconds of one bar.")]


@router.get("/models", response=list[ml_model_schemas.ModelOut])
def models(
    request: HttpRequest,
    before: Before = None,
    limit: Limit = 50,
    family: Text = None,
    state: Text = None,
) -> list[ModelVersion]:
    """Return versions, optionally of one family or state."""
    rows = ModelVersion.objects.defer("report", "recipe", "claimed")
    return page(rows, before, limit, family=family, state=state)


@router.get("/models/{name}", response={200: ml_model_schemas.ModelDetail, 404: schemas.Problem})
def model(request: HttpRequest, name: Name) -> ModelVersion:
    """Return one version with its report, the gate's verdict and its promotions."""
    promotions = Prefetch("promotions", Promotion.objects.select_related("by"))
    rows = ModelVersion.objects.prefetch_related(promotions)
    return require(rows.filter(name=name).first(), "model")


@router.get("/predictions", response=list[ml_model_schemas.PredictionOut])
def predictions(
    request: HttpRequest,
    before: Before = None,
    limit: Limit = 50,
    symbol: Text = None,
    version: Text = None,
    timeframe: Timeframe = None,
) -> list[Prediction]:
    """Return predictions, optionally of one symbol, version (its name) or timeframe (seconds)."""
    rows = Prediction.objects.select_related("instrument", "version").defer("features", *HEAVY)
    chosen = {"instrument__symbol": upper(symbol), "version__name": version, "timeframe": timeframe}
    return page(rows, before, limit, **chosen)
