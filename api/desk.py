"""The desk's state by API: anyone with a key reads it, `trade` may stop it, only `admin` may start it again."""

from django.db import transaction
from django.http import HttpRequest
from ninja import Router
from ninja.errors import HttpError

from api import schemas
from api.auth import trade
from brokers import selectors as brokers
from brokers.models import Desk
from brokers.services import set_desk_state
from market.selectors import market_kinds
from webhooks.models import Alert, ApiKey

router = Router(tags=["desk"])


@router.get("/desk", response=schemas.DeskOut)
def desk(request: HttpRequest) -> dict[str, object]:
    """Return the state of the desk."""
    return _shown(brokers.desk())


@router.post(
    "/desk",
    auth=trade,
    response={200: schemas.DeskOut, 403: schemas.Problem, 409: schemas.Problem},
)
def change_desk(request: HttpRequest, wanted: schemas.DeskIn) -> dict[str, object]:
    """Halt the desk or let it only reduce (scope trade); make it active again (scope admin).

    A halted desk goes to reducing with scope admin, or with scope trade and `allow_exits`; 409 without.
    """
    key = request.auth  # type: ignore[attr-defined]
    reason = wanted.reason or f"by API key {key.name}"
    state = Desk.State(wanted.state)
    with transaction.atomic():
        current = brokers.effective_state(Desk.objects.select_for_update().get(pk=brokers.desk().pk))
        if _strictness(state) < _strictness(current) and key.scope != ApiKey.Scope.ADMIN:
            _require_permission(current, state, allow_exits=wanted.allow_exits)
        row = set_desk_state(state=state, by=None, reason=reason, who=f"API key {key.name}")
    return _shown(row)  # after the commit, when a halt has waited for what was on its way


def _require_permission(current: str, state: str, *, allow_exits: bool) -> None:
    """Refuse a key of scope trade to loosen the desk, but for exits that it asks for by name."""
    if state == Desk.State.ACTIVE:
        raise HttpError(403, f"From {current} to {state} needs a key of scope admin.")
    if not allow_exits:
        raise HttpError(409, 'The desk is halted. To let exits leave again send "allow_exits": true as well.')


def _strictness(state: str) -> int:
    return [Desk.State.ACTIVE, Desk.State.REDUCING, Desk.State.HALTED].index(Desk.State(state))


def _shown(row: Desk) -> dict[str, object]:
    return {
        "state": brokers.effective_state(row),
        "reason": row.reason,
        "until": row.until,
        "changed_at": row.changed_at,
        "markets": sorted(market_kinds()),
        "open_positions": brokers.open_positions().count(),
        "waiting_alerts": Alert.objects.filter(state=Alert.State.RECEIVED).count(),
    }
