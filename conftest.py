"""What every test has: a clean cache, no network but loopback, tables that a flush may empty."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import TransactionTestCase

from conventions import tenancy
from tests.emptying import empty_tables


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    cache.clear()


@pytest.fixture(autouse=True, scope="session")
def _tests_see_everything() -> Iterator[None]:
    """Factories and asserts look at every tenant's rows. Requests do not: each begins with nothing (conventions/tenancy.py),
    and so do the threads of the live server."""
    with tenancy.everything():
        yield


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
def _flush_what_was_filled() -> Iterator[None]:
    """Tests with real transactions empty the tables afterwards; the books refuse that, so their guards are lifted
    around it, and only there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda self: empty_tables())
        yield
