"""Stripe as the tests of payments meet it: each answer is registered beforehand, and every one of them must be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import responses


@pytest.fixture
def stripe(settings: Any) -> Iterator[responses.RequestsMock]:
    """Called once per call: the SDK tries nothing again by itself."""
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    with responses.RequestsMock(assert_all_requests_are_fired=True) as mock:
        yield mock
