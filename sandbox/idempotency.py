"""Idempotency keys: the first status and body under a key are replayed for 24 hours, whatever they were.

Source: docs.stripe.com/api/idempotent_requests.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from sandbox.clock import DAY
from sandbox.keeper import Keeper
from sandbox.problems import Problem

KEPT = 100_000  # the oldest are forgotten beyond this
MAX_LENGTH = 255


@dataclass
class Answered:
    fingerprint: str
    created: int
    status: int
    body: str


class Idempotency:
    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.answered: dict[str, Answered] = {}
        self.in_use: set[str] = set()
        for key, row in keeper.rows("idempotency"):
            self.answered[key] = Answered(*row)

    def begin(self, key: str, fingerprint: str, *, now: int) -> Answered | None:
        """The earlier answer, if there is one; else the key is in use until `end`."""
        if len(key) > MAX_LENGTH:
            raise Problem(f"Idempotency keys may only be up to {MAX_LENGTH} characters.", code="idempotency_key_too_long")
        earlier = self.answered.get(key)
        if earlier is not None and earlier.created <= now - DAY:
            self.forget(key)
            earlier = None
        if earlier is not None and earlier.fingerprint != fingerprint:
            raise Problem(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        if earlier is None and key in self.in_use:
            raise Problem(
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                f"submitted twice, and the other request is still going through): {key}. Please try again later.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        if earlier is None:
            self.in_use.add(key)
        return earlier

    def end(self, key: str, fingerprint: str, *, now: int, answer: tuple[int, str] | None) -> None:
        """`answer` is None where the request was refused before any work was done."""
        self.in_use.discard(key)
        if answer is None:
            return
        row = Answered(fingerprint, now, *answer)
        self.answered[key] = row
        self.keeper.keep("idempotency", key, [fingerprint, now, *answer])
        if len(self.answered) > KEPT:
            self.forget(next(iter(self.answered)))

    def forget(self, key: str) -> None:
        del self.answered[key]
        self.keeper.keep("idempotency", key, None)


def fingerprint_of(method: str, path: str, params: dict[str, Any]) -> str:
    return hashlib.sha256(repr((method, path, params)).encode()).hexdigest()
