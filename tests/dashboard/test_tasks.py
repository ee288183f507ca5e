"""What beat has done for the pages: a comparison goes on by itself, open pages learn of it, beats are timed."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest

from brokers.ledger import reconcile as books
from brokers.models import Connection
from dashboard import tasks
from dashboard.live import topics
from dashboard.models import HEARTBEAT_SECONDS, Reconciliation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("complete", [False, True])
def test_a_comparison_that_is_not_at_its_end_goes_on_by_a_nudge(complete: bool) -> None:
    account = Connection.objects.create(name="paper")
    progress = books.Progress(complete=complete)
    with patch("dashboard.tasks.nudge") as nudge, patch.object(books, "advance", return_value=progress):
        tasks.reconcile()
    assert [call.args for call in nudge.call_args_list] == ([] if complete else [(tasks.RECONCILE, account.pk)])
    assert Reconciliation.objects.exists() is complete


def test_the_open_page_health_learns_of_a_comparison() -> None:
    Connection.objects.create(name="paper")
    with patch("dashboard.receivers.send") as send:
        tasks.reconcile()
    assert (topics.HEALTH,) in [call.args for call in send.call_args_list]


def test_how_long_a_beat_was_on_its_way_is_known_only_where_it_says_when_it_was_sent() -> None:
    sent = datetime(2026, 3, 3, 12, tzinfo=UTC)
    expires = sent + timedelta(seconds=HEARTBEAT_SECONDS)
    assert tasks.waited(expires, sent + timedelta(seconds=2)) == 2
    assert tasks.waited(expires.isoformat(), sent + timedelta(seconds=2)) == 2
    assert tasks.waited(None, sent) is None
