"""Tests run on a PostgreSQL and a Valkey of their own, in a folder that is removed at the end.

The addresses must be in the environment before Django reads its settings, so they are set when this file is
imported; the servers themselves start with the first test that asks for them. Where DESK_TESTS_SERVICES names a
folder, both run there already: `./mem mutants` starts them once for many runs.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import hypothesis
import pytest
import redis

# Files that take minutes.
LONG = ("tests/mlmodels/test_runs.py", "tests/algotrendy/test_up.py", "tests/e2e/")
# How long an example may take says more of what else the machine does than of the code.
hypothesis.settings.register_profile("desk", deadline=None)
# `./mem mutants`: the same examples each time, few of them, and no search for the smallest one that fails.
hypothesis.settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("desk")
_folder = tempfile.TemporaryDirectory(prefix="desk-tests-", ignore_cleanup_errors=True)
RUNNING = os.environ.get("DESK_TESTS_SERVICES")
DATA = Path(RUNNING or _folder.name).resolve()
for _name in [name for name in os.environ if name.startswith("ALGOTRENDY_")]:
    del os.environ[_name]
os.environ["ALGOTRENDY_DATA"] = str(DATA)
(DATA / "static").mkdir(exist_ok=True)
os.environ["DJANGO_SETTINGS_MODULE"] = "algotrendy.settings"
os.environ.pop("DATABASE_URL", None)
os.environ.pop("REDIS_URL", None)


def pytest_configure() -> None:
    from django.conf import settings

    if settings.DATA_DIR != DATA:
        raise pytest.UsageError(
            "Django's settings were read before tests/conftest.py: unset DJANGO_SETTINGS_MODULE"
        )
    # Hashing that is slow on purpose would be most of what the tests do.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Let each worker of pytest-xdist choose a folder of its own: it must not begin with settings of ours."""
    del os.environ["DJANGO_SETTINGS_MODULE"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker, begin with the files that take minutes: no worker shall wait long for another at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session")
def services() -> Iterator[None]:
    """PostgreSQL and Valkey, running for the rest of the session."""
    from algotrendy.testing import embedded_services

    with contextlib.nullcontext() if RUNNING else embedded_services(DATA):
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(services: None) -> None:
    """Start the services before pytest-django makes the test database."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Make the rows of migrations again whenever a test has emptied all tables: any order of files is good."""
    from django.apps import apps
    from django.db.models.signals import post_migrate

    from tests.support.many_runs import be_patient, delete_instead_of_truncating

    roles = import_module("dashboard.migrations.0002_roles")

    def make_roles(**_: object) -> None:
        roles.make_groups(apps, None)

    post_migrate.connect(make_roles, sender=apps.get_app_config("dashboard"), weak=False)
    delete_instead_of_truncating()
    if RUNNING:
        be_patient()


@pytest.fixture
def valkey(services: None) -> Iterator[redis.Redis]:
    """A client of an empty Valkey."""
    from django.conf import settings

    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    yield client
    client.close()
