"""Keyset pages: every row once, no counting, and no trust in what the address says."""

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from dashboard.paging import before_of, page_of
from tests.support import pages as make
from webhooks.models import Alert


@pytest.mark.django_db
@pytest.mark.parametrize("size", [1, 3, 7, 10, 11])
def test_pages_hold_every_row_once_newest_first(size: int) -> None:
    sender = make.source()
    for _ in range(10):
        make.alert(sender)
    seen: list[int] = []
    page = page_of(Alert.objects.all(), size=size)
    assert page.is_first
    while True:
        seen += [row.pk for row in page.rows]
        if page.older is None:
            break
        page = page_of(Alert.objects.all(), page.older, size)
        assert not page.is_first
    assert seen == sorted(Alert.objects.values_list("pk", flat=True), reverse=True)


@pytest.mark.django_db
def test_a_page_is_one_query_and_counts_nothing() -> None:
    with CaptureQueriesContext(connection) as queries:
        page = page_of(Alert.objects.all())
    assert (page.rows, page.older) == ([], None)
    assert len(queries) == 1
    assert "COUNT" not in queries[0]["sql"].upper()


@pytest.mark.parametrize("text", ["", "-1", "1.5", "abc", "٣", "9" * 30, "1;DROP TABLE"])
def test_a_before_that_is_no_id_is_ignored(text: str) -> None:
    assert before_of(RequestFactory().get("/", {"before": text})) is None


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_an_id_is_read_back(value: int) -> None:
    assert before_of(RequestFactory().get("/", {"before": str(value)})) == value
