"""A desk that trains by itself: the first model, the schedule edited in the admin, and a worker that is killed."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from algotrendy.testing import wait_until
from benchmarks._desk import Bench
from tests.support.browser import Visit, not_reloaded

pytestmark = [pytest.mark.browser, pytest.mark.spine]
FAMILY = "reversal-5s-simulated"
TRAINING_SECONDS = 180.0  # on a busy machine; a quiet one takes ten


@pytest.fixture(scope="module")
def desk_environment() -> dict[str, str]:
    return {"ALGOTRENDY_SIMULATED_HISTORY": "11520"}


@pytest.fixture
def visit(admin: Visit) -> Visit:
    return admin


def runs(bench: Bench, *, trigger: str = "", state: str = "") -> list[int]:
    """Return the ids of trainings, oldest first."""
    query = "SELECT id FROM mlmodels_trainingrun WHERE trigger LIKE %s AND state LIKE %s ORDER BY id"
    return [row[0] for row in bench.rows(query, [trigger or "%", state or "%"])]


def test_a_new_desk_trains_its_first_model_by_itself_and_shows_how_far_it_is(bench: Bench, visit: Visit) -> None:
    desk, models = visit.open("/"), visit.open("/models")
    wait_until(lambda: runs(bench, trigger="first"), 60, "the first training")
    wait_until(lambda: runs(bench, trigger="first", state="succeeded"), TRAINING_SECONDS, "the first model")
    verdict = bench.value("SELECT verdict FROM mlmodels_trainingrun WHERE trigger = 'first'")
    expect(models.locator("main")).to_contain_text(verdict[:40])
    expect(models.locator("main")).to_contain_text("SIMULATED")
    assert not_reloaded(models)
    assert not_reloaded(desk)


def every_minute(page: Page, bench: Bench) -> None:
    """Have the desk train every minute, as an admin would: in the admin's form."""
    page.goto(f"{bench.desk.url}/admin/django_celery_beat/intervalschedule/add/")
    page.fill("input[name=every]", "1")
    page.select_option("select[name=period]", "minutes")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{bench.desk.url}/admin/django_celery_beat/periodictask/")
    page.get_by_role("link", name="Retrain models").click()
    page.select_option("select[name=crontab]", "")
    page.select_option("select[name=interval]", label="every minute")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")


def test_a_training_scheduled_in_the_admin_appears_and_ends_live_on_the_page(bench: Bench, visit: Visit) -> None:
    models = visit.open("/models")
    every_minute(visit.context.new_page(), bench)
    wait_until(lambda: runs(bench, trigger="schedule"), 150, "beat")
    number = runs(bench, trigger="schedule")[0]
    expect(models.locator(f"a[href='/models/runs/{number}']").first).to_be_visible()
    expect(models.locator("progress, [role=progressbar]").first).to_be_visible()
    wait_until(lambda: number in runs(bench, state="succeeded"), TRAINING_SECONDS, "the scheduled training")
    verdict = bench.value("SELECT verdict FROM mlmodels_trainingrun WHERE id = %s", [number])
    expect(models.locator("main")).to_contain_text(verdict[:40])
    assert not_reloaded(models)


def test_a_training_worker_that_is_killed_leaves_the_champion_and_starts_anew(bench: Bench) -> None:
    bench.rows("UPDATE django_celery_beat_periodictask SET enabled = false WHERE name = 'Retrain models'")
    champion = bench.rows("SELECT name FROM mlmodels_modelversion WHERE state = 'champion'")
    wait_until(lambda: not runs(bench, state="queued") + runs(bench, state="running"), TRAINING_SECONDS, "quiet")
    code = (
        "from mlmodels.training import runs\nfrom mlmodels.registry.families import FamilyKey\n"
        "print(runs.request(family_key=FamilyKey(5, True), trigger='manual').pk)"
    )
    number = int(bench.desk.manage("shell", "-v", "0", "-c", code).split()[-1])
    wait_until(lambda: number in runs(bench, state="running"), 60, "the training")
    bench.desk.kill("training")
    wait_until(lambda: number in runs(bench, state="failed"), 60, "the dead run to be found")
    assert "was killed" in bench.value("SELECT error FROM mlmodels_trainingrun WHERE id = %s", [number])
    query = "SELECT state FROM mlmodels_trainingrun WHERE follows_id = %s"
    wait_until(lambda: bench.rows(query, [number]) == [("succeeded",)], TRAINING_SECONDS, "the next training")
    assert bench.rows("SELECT name FROM mlmodels_modelversion WHERE state = 'champion'") in (
        champion,
        _newest(bench),
    )
    assert json.loads(
        bench.value("SELECT to_json(log)::text FROM mlmodels_trainingrun WHERE follows_id = %s", [number])
    )


def _newest(bench: Bench) -> list[tuple[Any, ...]]:
    """The version that the last training made: the only one that may have taken the champion's place."""
    return bench.rows("SELECT name FROM mlmodels_modelversion ORDER BY id DESC LIMIT 1")
