"""A sandbox, a proxy before it that judges every call, and the official SDK as their client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.contract.recording_proxy import Recording, recording
from tests.sandbox_process import started_sandbox

KEY = "sk_test_" + "x" * 24


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with started_sandbox() as url:
        yield url


@pytest.fixture
def proxy(sandbox_url: str) -> Iterator[Recording]:
    with recording(sandbox_url) as record:
        yield record


@pytest.fixture
def client(proxy: Recording) -> Iterator[stripe.StripeClient]:
    transport = stripe.RequestsClient(timeout=20)
    yield stripe.StripeClient(KEY, base_addresses={"api": proxy.url}, max_network_retries=0, http_client=transport)
    transport.close()  # type: ignore[no-untyped-call]
