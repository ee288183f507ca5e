"""The tasks of the inbox and the demo: what a turn leaves goes on at once, and no second worker posts."""

from unittest.mock import patch

import pytest
from django.utils import timezone

from algotrendy.locks import lock_in_transaction
from tests.support.locks import held_elsewhere
from tests.support.webhooks import make_source
from webhooks import tasks
from webhooks.models import Alert

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("left", [0, 1])
def test_a_turn_that_was_too_short_goes_on_by_a_nudge_and_another_does_not(left: int) -> None:
    source = make_source()
    for number in range(left):
        Alert.objects.create(source=source, body=b"{}", idempotency_key=str(number), received_at=timezone.now())
    with patch("webhooks.tasks.nudge") as nudge, patch("webhooks.tasks.inbox.drain", return_value=3):
        assert tasks.work_inbox() == 3
    assert [call.args for call in nudge.call_args_list] == [("webhooks.work_inbox",)] * left


def test_while_one_worker_lets_the_demo_post_another_does_not() -> None:
    with patch("webhooks.tasks.strategy.post_crosses", return_value=2) as post:
        with held_elsewhere(lambda: lock_in_transaction("webhooks.demo")):
            assert tasks.demo() == 0
        post.assert_not_called()
        assert tasks.demo() == 2
