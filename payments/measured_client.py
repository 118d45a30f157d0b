"""The HTTP client below Stripe's SDK, which counts and times every try, retries included."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
import stripe

from payments.running import count_call


class MeasuredClient(stripe.RequestsClient):
    def request(  # type: ignore[override]  # as the SDK's own RequestsClient, which leaves out what it does not use
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        started = time.perf_counter()
        outcome = "unreachable"
        try:
            answer = super().request(method, url, headers, post_data)
            outcome = _outcome(answer[1])
        except stripe.APIConnectionError as error:
            # The SDK raises within its handler of what really happened.
            if isinstance(error.__cause__ or error.__context__, requests.exceptions.Timeout):
                outcome = "timeout"
            raise
        finally:
            count_call(method, url, outcome, time.perf_counter() - started)
        return answer


def _outcome(status: int) -> str:
    named = {402: "declined", 429: "busy"}
    if status in named:
        return named[status]
    if status < 400:
        return "ok"
    return "refused" if status < 500 else "failed"
