"""The pages of models for every kind of person: who may look, who may act, and who is asked for the password."""

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from dashboard.views import ml_model_actions
from dashboard.views import ml_models as views
from mlmodels.models import ModelVersion, TrainingRun
from tests.support import model_pages as make
from tests.support.pages import confirmed, market, person, signed_in

pytestmark = pytest.mark.django_db
INLINE = re.compile(r"\sstyle=|<style|\son\w+=|hx-on|javascript:|<script(?![^>]*(src=|type=\"application/json\"))")
# name: (role needed to look, whether the password is asked for again)
PAGES = {
    "models": ("viewer", False),
    "model": ("viewer", False),
    "model_run": ("viewer", False),
    "model_proof": ("viewer", False),
    "data_predictions": ("viewer", False),
    "model_train": ("trader", False),
    "model_run_cancel": ("trader", False),
    "model_promote": ("admin", True),
    "model_roll_back": ("admin", True),
    "model_retire": ("admin", True),
}
LOWER = {"viewer": "", "trader": "viewer", "admin": "trader"}
ACTIONS = [name for name, (role, _) in PAGES.items() if role != "viewer"]


@pytest.fixture(autouse=True)
def _forgotten_attempts() -> None:
    cache.clear()


@pytest.fixture
def addresses() -> dict[str, str]:
    """The address of each page, on a desk that has one of everything."""
    champion, _ = make.promoted()
    make.version()
    instrument = market()
    make.predictions(champion, instrument)
    run = make.training()
    make.proof()
    arguments = {
        "model": [champion.name],
        "model_run": [run.pk],
        "model_run_cancel": [run.pk],
        "model_promote": [champion.name],
        "model_roll_back": [make.FAMILY],
        "model_retire": [champion.name],
    }
    found = {name: reverse(name, args=arguments.get(name, [])) for name in PAGES}
    found["data_predictions"] += f"?version={champion.name}&symbol={instrument.symbol}"
    return found


def test_every_page_of_models_is_in_the_table() -> None:
    assert {route.name for module in (views, ml_model_actions) for route in module.urlpatterns} == set(PAGES)


@pytest.mark.parametrize("name", list(PAGES))
def test_a_stranger_is_sent_to_sign_in(addresses: dict[str, str], name: str) -> None:
    assert Client().get(addresses[name])["Location"].startswith("/accounts/login/?next=/")


@pytest.mark.parametrize("name", list(PAGES))
def test_looking_takes_the_role_and_no_more(addresses: dict[str, str], name: str) -> None:
    role = PAGES[name][0]
    answer = confirmed(signed_in(person(role))).get(addresses[name])
    assert answer.status_code == 200, answer.content.decode()
    assert not INLINE.search(answer.content.decode())
    refused = confirmed(signed_in(person(LOWER[role], name="lower"))).get(addresses[name])
    assert refused.status_code == 403
    assert f"This needs the role {role}" in refused.content.decode()


@pytest.mark.parametrize("name", ACTIONS)
def test_acting_with_too_low_a_role_changes_nothing(addresses: dict[str, str], name: str) -> None:
    before = rows()
    answer = confirmed(signed_in(person(LOWER[PAGES[name][0]]))).post(addresses[name], {"reason": "because"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()
    assert rows() == before


@pytest.mark.parametrize("name", [name for name, (_, again) in PAGES.items() if again])
def test_who_speaks_is_changed_only_after_the_password(addresses: dict[str, str], name: str) -> None:
    before = rows()
    answer = signed_in(person("admin")).post(addresses[name], {"reason": "because"})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert rows() == before


def rows() -> list[Any]:
    states = ModelVersion.objects.order_by("pk").values_list("pk", "state")
    return [*states, *TrainingRun.objects.order_by("pk").values_list("pk", "state", "cancel_requested_at")]


@pytest.mark.parametrize("path", ["/models/20200101_000000", "/models/runs/999999"])
def test_what_does_not_exist_is_a_404(path: str) -> None:
    assert signed_in(person("viewer")).get(path).status_code == 404
