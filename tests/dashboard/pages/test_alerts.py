"""The inbox: what came, what became of it, and what to do where it failed."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.live import fragments
from dashboard.selectors import alerts, status
from tests.support.pages import alert, decided, market, person, signed_in, source
from webhooks.models import Alert

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer():
    return signed_in(person("viewer"))


def page(browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_inbox_says_what_will_appear_and_the_next_step(viewer) -> None:
    assert "No alerts yet" in page(viewer, "/alerts")
    assert "/sources/new" in page(viewer, "/alerts")


def test_a_row_tells_what_it_said_and_what_was_decided(viewer) -> None:
    taken = decided(source(), market())
    text = page(viewer, "/alerts")
    for part in ("EMA cross", "BTCUSDT", "▲ Long", "at 100", "▲ BUY", f"/decisions/{taken.decision_id}", " ms"):
        assert part in text


def test_the_newest_alert_stands_first_and_older_ones_are_a_page_away(viewer) -> None:
    sender = source()
    taken = [alert(sender) for _ in range(55)]
    first = page(viewer, "/alerts")
    assert first.index(f"alert-{taken[-1].pk}") < first.index(f"alert-{taken[-2].pk}")
    assert f'id="alert-{taken[0].pk}"' not in first
    assert f"before={taken[5].pk}" in first
    assert f'id="alert-{taken[0].pk}"' in page(viewer, f"/alerts?before={taken[5].pk}")


@pytest.mark.parametrize(
    ("query", "count"),
    [("", 3), ("state=failed", 1), ("source=other", 1), ("instrument=BTCUSDT", 1),
     ("state=failed&source=other", 0), ("instrument=NONE", 0), ("source=nobody", 0), ("state=nonsense", 3),
     ("before=x", 3)],
)  # fmt: skip
def test_filters_narrow_the_list(viewer, query, count) -> None:
    sender = source()
    decided(sender, market())
    alert(sender, state="failed", reason="The message is empty.")
    alert(source("other"))
    assert page(viewer, f"/alerts?{query}").count('<tr id="alert-') == count


def test_a_filter_that_nothing_matches_says_so(viewer) -> None:
    assert "No alert matches" in page(viewer, "/alerts?state=failed")


def test_failed_alerts_stand_out_with_their_reason(viewer) -> None:
    alert(source(), state="failed", reason="The message names no symbol. Send BTCUSDT or {{ticker}}.")
    text = page(viewer, "/alerts")
    assert 'class="attention"' in text
    assert "The message names no symbol" in text


def test_the_detail_shows_the_reason_in_words_and_what_to_do(viewer) -> None:
    taken = alert(source(), b"", state="failed", reason="The message is empty.")
    text = page(viewer, f"/alerts/{taken.pk}")
    assert "Not understood: The message is empty." in text
    assert "set-up page has messages that work" in text
    assert "The body was empty" in text


def test_the_body_is_shown_exactly_and_never_as_markup(viewer) -> None:
    taken = alert(source(), b'{"symbol": "<script>alert(1)</script>", "action": "buy"}')
    text = page(viewer, f"/alerts/{taken.pk}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert(1)" not in text


def test_a_body_that_is_no_text_is_shown_in_hexadecimal_too(viewer) -> None:
    taken = alert(source(), b"BUY\xff\x00\x80", state="failed", reason="The message is not UTF-8 text (byte 4).")
    text = page(viewer, f"/alerts/{taken.pk}")
    assert "BUY\ufffd\ufffd\ufffd" in text
    assert "0000  42 55 59 ff 00 80" in text


def test_readable_text_needs_no_hexadecimal() -> None:
    body = alerts.body_of(Alert(body="naïve ▲\n".encode()))
    assert (body.text, body.binary, body.hex_lines) == ("naïve ▲\n", False, ())


def test_a_late_alert_says_that_it_may_close_but_not_open(viewer) -> None:
    taken = decided(source(), market())
    Alert.objects.filter(pk=taken.pk).update(state="expired", reason="120 s old, limit 60 s")
    text = page(viewer, f"/alerts/{taken.pk}")
    assert "may still close a position, but not open one" in text


def test_repeats_are_told(viewer) -> None:
    taken = alert(source(), duplicates=3)
    assert page(viewer, "/alerts").count(">3<") == 1
    assert "came 3 more times" in page(viewer, f"/alerts/{taken.pk}")


def test_a_replay_asks_first_and_then_takes_the_alert_in_again(client) -> None:
    taken = decided(source(), market())
    client.force_login(person("trader"))
    assert "Replay alert" in page(client, f"/alerts/{taken.pk}/replay")
    assert Alert.objects.count() == 1
    answer = client.post(f"/alerts/{taken.pk}/replay")
    again = Alert.objects.latest("id")
    assert answer["Location"] == f"/alerts/{again.pk}"
    assert (again.replay_of_id, bytes(again.body)) == (taken.pk, bytes(taken.body))
    assert f"#{again.pk}" in page(client, f"/alerts/{taken.pk}")


def test_an_alert_of_a_revoked_source_is_not_replayed(client) -> None:
    taken = alert(source(revoked_at=timezone.now()))
    client.force_login(person("trader"))
    answer = client.post(f"/alerts/{taken.pk}/replay", follow=True)
    assert "is revoked" in answer.content.decode()
    assert Alert.objects.count() == 1


def queries(browser, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as found:
        page(browser, path)
    return len(found)


@pytest.mark.parametrize("path", ["/alerts", "/alerts?source=ema-cross", "/decisions", "/sources", "/health"])
def test_a_page_asks_as_many_queries_for_forty_rows_as_for_two(viewer, path) -> None:
    sender, btc = source(), market()
    for _ in range(2):
        decided(sender, btc)
    page(viewer, path)
    few = queries(viewer, path)
    for number in range(38):
        decided(sender, btc, duplicates=number)
    for number in range(8):
        alert(source(f"other {number}"), state="failed", reason="empty")
    assert queries(viewer, path) == few


def test_a_row_that_was_never_read_is_no_trouble() -> None:
    alert(source(), parsed=None)
    assert "not read yet" in fragments.render("alerts")


def test_an_alert_that_the_desk_failed_on_says_so_and_how_it_is_tried_again(viewer) -> None:
    soon = timezone.now() + timedelta(seconds=16)
    waiting = alert(source(), attempts=3, failures=3, retry_at=soon)
    text = page(viewer, f"/alerts/{waiting.pk}")
    assert f"The desk failed on it 3 times and tries again at {soon:%H:%M:%S} UTC" in text
    gone = alert(source("Other"), state="failed", attempts=6, failures=6, reason="The desk failed 6 times.")
    text = page(viewer, f"/alerts/{gone.pk}")
    assert "The message is not at fault" in text
    assert "Not understood" not in text
    assert f'href="/alerts/{gone.pk}/replay"' in text


def test_an_alert_that_pauses_after_a_failure_is_no_stuck_queue(viewer) -> None:
    past, soon = timezone.now() - timedelta(minutes=2), timezone.now() + timedelta(seconds=60)
    alert(source(), received_at=past, attempts=4, failures=4, retry_at=soon)
    assert not status.queue().is_slow
    assert status.queue().length == 1
    Alert.objects.update(retry_at=past)
    assert status.queue().is_slow
