"""Models in the admin: everything can be looked at, nothing edited, and no model file is read."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.templatetags.admin_list import results
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from mlmodels.models import Artefact
from tests.support import model_pages as make
from tests.support.pages import market, person, signed_in

pytestmark = pytest.mark.django_db
MODELS = list(apps.get_app_config("mlmodels").get_models())


@pytest.fixture
def request_of_root() -> Any:
    request = RequestFactory().get("/admin/")
    request.user = User.objects.create_superuser("root")
    return request


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_table_is_listed_without_a_query_per_row(
    model: Any, request_of_root: Any, django_assert_max_num_queries: Any
) -> None:
    champion, _ = make.promoted()
    make.predictions(champion, market(), 9)
    for _ in range(3):
        make.training("failed")
        make.proof()
        make.version()
    page = admin.site.get_model_admin(model)
    with django_assert_max_num_queries(8):
        assert list(results(page.changelist_view(request_of_root).context_data["cl"]))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_models_can_only_be_looked_at(model: Any, request_of_root: Any) -> None:
    page = admin.site.get_model_admin(model)
    assert page.has_view_permission(request_of_root)
    assert not page.has_add_permission(request_of_root)
    assert not page.has_change_permission(request_of_root)
    assert not page.has_delete_permission(request_of_root)


def test_an_artefact_is_shown_by_size_and_digest_and_never_read() -> None:
    version = make.version("champion")
    browser = signed_in(person("admin", is_staff=True))
    with CaptureQueriesContext(connection) as asked:
        listed = browser.get("/admin/mlmodels/artefact/").content.decode()
        shown = browser.get(f"/admin/mlmodels/artefact/{version.pk}/change/").content.decode()
    size = f"{len(bytes(Artefact.objects.get(pk=version.pk).data)):,}"
    assert size in listed
    assert size in shown
    assert "0f0f0f0f0f0f…" in shown
    assert "never parsed" not in shown
    read = [query["sql"] for query in asked.captured_queries if "mlmodels_artefact" in query["sql"]]
    assert read
    assert not any('"data"' in sql.replace('LENGTH("mlmodels_artefact"."data")', "") for sql in read)
