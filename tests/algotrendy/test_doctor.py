"""`./mem doctor` says what is wrong, and what to do."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from algotrendy import paths
from algotrendy.monitoring import doctor
from algotrendy.monitoring.doctor import Finding
from market.doctor import feeds
from market.models import Feed, Instrument
from webhooks.doctor import queue


def run(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(paths.BASE_DIR / "manage.py"), "doctor", *arguments]
    environment = os.environ | {"ALGOTRENDY_DATA": str(data)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_works_when_nothing_runs_and_says_how_to_start(tmp_path: Path) -> None:
    answer = run(tmp_path / "var")
    assert answer.returncode == 1
    assert "✗ The desk is not running\n    → ./mem up starts it" in answer.stdout
    assert f"✓ Python {sys.version_info.major}.{sys.version_info.minor}" in answer.stdout
    assert "✓ Python packages are those of requirements.txt" in answer.stdout
    assert "✓ Front-end packages are those of package-lock.json" in answer.stdout
    assert "1 to mend" in answer.stdout


def test_an_open_data_folder_and_readable_secrets_are_found(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_text("{}")
    secrets.chmod(0o644)
    tmp_path.chmod(0o755)
    wrong = [finding for finding in doctor.folder(tmp_path) if not finding.good]
    assert [finding.advice for finding in wrong] == [f"chmod go-rwx {tmp_path}", f"chmod go-rwx {secrets}"]


def test_a_busy_port_is_found() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        finding = doctor.port_free(other.getsockname()[1])
    assert not finding.good
    assert "--port" in finding.advice


def test_a_package_that_differs_from_the_lock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_locked_packages", lambda: iter([("django", "0.1"), ("not-there", "1.0")]))
    [finding] = doctor.python_packages()
    assert not finding.good
    assert "django 0.1, not-there 1.0" in finding.what


def test_a_missing_front_end_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_front_end_version", lambda name: None)
    [finding] = doctor.front_end_packages()
    assert not finding.good
    assert "node_modules/htmx.org" in finding.what


def test_a_disk_that_is_full_or_will_be_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("algotrendy.supervisor.disk.LOW_BYTES", 10**18)
    [finding] = doctor.disk(tmp_path / "not" / "yet")
    assert not finding.good
    assert f"GB free at {tmp_path}" in finding.what
    assert "before it is full" in finding.advice
    monkeypatch.setattr("algotrendy.supervisor.disk.FULL_BYTES", 10**18)
    [finding] = doctor.disk(tmp_path)
    assert "the disk is full" in finding.what
    assert "Nothing that was answered is lost" in finding.advice


@pytest.mark.django_db
def test_database_and_valkey_of_a_healthy_desk_are_good() -> None:
    findings = [doctor.valkey(), *doctor.database(), *queue(), doctor.clock(database_answers=True)]
    assert [finding.what for finding in findings if not finding.good] == []


@pytest.mark.django_db
def test_an_alert_that_waits_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.doctor.queue_age", lambda: 90.0)
    [finding] = queue()
    assert not finding.good
    assert "waits for 90 s" in finding.what


@pytest.mark.django_db
def test_a_clock_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    late = timezone.now() - timedelta(minutes=5)
    monkeypatch.setattr("django.utils.timezone.now", lambda: late)
    finding = doctor.clock(database_answers=True)
    assert not finding.good
    assert "NTP" in finding.advice


@pytest.mark.django_db
def test_a_feed_without_prices_is_found() -> None:
    feed = Feed.objects.create(name="still", driver=Feed.Driver.SIMULATOR, timeframe=5)
    Instrument.objects.create(symbol="BTCUSDT", feed=feed)
    Feed.objects.filter(pk=feed.pk).update(created_at=timezone.now() - timedelta(hours=1))
    [finding] = feeds()
    assert not finding.good
    assert "still" in finding.what


def test_a_finding_that_is_not_good_shows_what_to_do() -> None:
    assert str(Finding(False, "It is broken", "Mend it")) == "✗ It is broken\n    → Mend it"
    assert str(Finding(True, "It is whole")) == "✓ It is whole"
