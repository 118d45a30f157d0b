"""What every test has: a clean cache, no network but loopback, tables that a flush may empty."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    cache.clear()


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """A test that would call out of this machine fails at once, and says where to."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to connect to {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


@pytest.fixture(autouse=True, scope="session")
def _flush_lifts_triggers() -> Iterator[None]:
    """Tests with real transactions empty the tables afterwards; the books refuse that, so their guards are lifted
    around the flush, and only there."""
    flush = TransactionTestCase._fixture_teardown

    def guarded_flush(self: TransactionTestCase) -> None:
        lifted = _lift_triggers()
        try:
            flush(self)
        finally:
            _restore_triggers(lifted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", guarded_flush)
        yield


def _lift_triggers() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = list(cursor.fetchall())
            for name, _ in triggers:
                cursor.execute(f"DROP TRIGGER {name}")
            return triggers
        cursor.execute(
            "SELECT DISTINCT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgname LIKE %s",
            ["%_no_%"],
        )
        triggers = list(cursor.fetchall())
        for table, name in triggers:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
        return triggers


def _restore_triggers(lifted: list[tuple[str, str]]) -> None:
    with connection.cursor() as cursor:
        for first, second in lifted:
            cursor.execute(second if connection.vendor == "sqlite" else f"ALTER TABLE {first} ENABLE TRIGGER {second}")
