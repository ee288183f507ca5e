"""The admin pages of the webhooks: everything but secrets, and alerts that nobody edits."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.support.webhooks import TOKEN, make_source
from webhooks import keys
from webhooks.models import Alert, ApiKey
from webhooks.services import create_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(admin_client: Client) -> Any:
    def fetch(name: str, *args: Any) -> str:
        answer = admin_client.get(reverse(f"admin:webhooks_{name}", args=args))
        assert answer.status_code == 200
        return answer.content.decode()

    return fetch


def test_a_source_shows_its_settings_and_no_hashes(page: Any) -> None:
    source = make_source(body_secret_hash=keys.digest("hunter2"), previous_token_hash=keys.digest("before"))
    shown = page("source_changelist") + page("source_change", source.pk)
    assert "strategy" in shown
    assert TOKEN[-4:] in shown
    for secret in ("hunter2", "before", TOKEN):
        assert keys.digest(secret) not in shown


def test_an_alert_is_shown_as_it_came_and_cannot_be_edited(page: Any, admin_client: Client) -> None:
    alert = Alert.objects.create(
        source=make_source(), idempotency_key="1", body=b"<b>buy</b>\xff", received_at=timezone.now()
    )
    assert f"#{alert.pk}" not in page("alert_changelist")
    shown = page("alert_change", alert.pk)
    assert "&lt;b&gt;buy&lt;/b&gt;\ufffd" in shown
    assert 'name="_save"' not in shown
    for name in ("alert_add", "source_add", "apikey_add"):
        assert admin_client.get(reverse(f"admin:webhooks_{name}")).status_code == 403
    admin_client.post(reverse("admin:webhooks_alert_delete", args=[alert.pk]), {"post": "yes"})
    assert Alert.objects.filter(pk=alert.pk).exists()


def test_a_key_shows_its_scope_and_no_hash(page: Any) -> None:
    key, text = create_key(name="script", scope=ApiKey.Scope.TRADE)
    shown = page("apikey_changelist") + page("apikey_change", key.pk)
    assert text[-4:] in shown
    assert key.key_hash not in shown
