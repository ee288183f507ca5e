"""What happens once in a desk's life: preparing it, and taking the demo away again."""

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from algotrendy.permissions import Role
from brokers.models import Connection
from brokers.selectors import desk
from brokers.services import ensure_default_connection
from dashboard.accounts.sign_in import FIRST_ADMIN
from dashboard.models import Setup
from market.models import Feed
from market.services import assign_feed, ensure_instrument
from mlmodels.training.schedule import ensure_schedule
from webhooks.demo import create_demo_source
from webhooks.models import Source

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT")
SIMULATED_FEED = "simulated"
SIMULATED_TIMEFRAME = 5  # seconds


@transaction.atomic
def prepare_desk(clean: bool = False) -> list[str]:
    """Make what a desk needs and does not have, and return a line for each thing made.

    Safe to run at every start: what a person removed or changed stays as it is.
    """
    desk()
    setup, first = Setup.objects.get_or_create(id=1)
    steps = [_first_admin(), _paper_connection(), _simulated_market(), _retrain_schedule()]
    if first and not clean:
        steps.append(_demo(setup))
    return [step for step in steps if step]


def _first_admin() -> str:
    if User.objects.filter(is_superuser=True, is_active=True).exists():
        return ""
    user, _ = User.objects.get_or_create(username=FIRST_ADMIN)
    user.is_superuser = user.is_staff = user.is_active = True
    user.set_unusable_password()
    user.save()
    user.groups.add(Group.objects.get(name=Role.ADMIN.group))
    return f"Made the first user, {FIRST_ADMIN}: it gets its password by a one-time link"


def _paper_connection() -> str:
    if Connection.objects.exists():
        return ""
    ensure_default_connection()
    return "Opened a paper account"


def _simulated_market() -> str:
    if Feed.objects.exists():
        return ""
    feed = Feed.objects.create(
        name=SIMULATED_FEED, driver=Feed.Driver.SIMULATOR, timeframe=SIMULATED_TIMEFRAME,
        settings={"history": settings.SIMULATED_HISTORY},
    )  # fmt: skip
    assign_feed(feed=feed, instruments=[ensure_instrument(symbol) for symbol in SYMBOLS])
    return f"Started a simulated market of {', '.join(SYMBOLS)}"


def _retrain_schedule() -> str:
    return "Models are trained again each day at 03:10 UTC (change it in the admin)" if ensure_schedule() else ""


def _demo(setup: Setup) -> str:
    """Make the demo on an empty desk: one that has a source already belongs to somebody."""
    if setup.demo_created_at or Source.objects.exists():
        return ""
    create_demo_source()
    setup.demo_created_at = timezone.now()
    setup.save(update_fields=["demo_created_at"])
    return "Added the demo source: an EMA 9/21 cross on the simulated market"
