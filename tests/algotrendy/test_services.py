"""The servers that tests and small desks run on."""

import pytest
import redis
from django.conf import settings
from django.db import connection


@pytest.mark.django_db
def test_the_database_is_postgresql_18_without_a_tcp_port() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('listen_addresses')")
        version, addresses = cursor.fetchone()
    assert version >= 180000
    assert addresses == ""


def test_valkey_keeps_an_append_only_file_and_evicts_nothing(valkey: redis.Redis) -> None:
    assert valkey.config_get("appendonly") == {"appendonly": "yes"}
    assert valkey.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert valkey.config_get("port") == {"port": "0"}


def test_sockets_lie_in_a_folder_only_the_owner_can_enter(services: None) -> None:
    folder = settings.DATA_DIR / "run"
    assert folder.stat().st_mode & 0o777 == 0o700
