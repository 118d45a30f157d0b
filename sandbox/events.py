"""Events: what happened, with the object as it was at that moment, written as JSON once."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sandbox.keeper import Keeper

KEPT = 100_000  # the oldest are forgotten beyond this, as Stripe forgets after 30 days
VERSION = "2026-08-26.dahlia"


@dataclass(frozen=True)
class Cause:
    """The request that an event came from; both None for what the dashboard, the page or time did."""

    request: str | None = None
    idempotency_key: str | None = None


@dataclass(kw_only=True)
class Event:
    id: str
    type: str
    created: int
    data: str  # the JSON of `data`
    cause: Cause
    undelivered: set[str] = field(default_factory=set)  # endpoints that have not answered 2xx yet
    subject: str = ""  # the object's id

    def text(self) -> str:
        """The event as Stripe shows it, at this moment: pending_webhooks falls as endpoints answer."""
        request = json.dumps({"id": self.cause.request, "idempotency_key": self.cause.idempotency_key})
        return (
            f'{{"id": "{self.id}", "object": "event", "api_version": "{VERSION}", "created": {self.created}, '
            f'"data": {self.data}, "livemode": false, "pending_webhooks": {len(self.undelivered)}, '
            f'"request": {request}, "type": "{self.type}"}}'
        )


class Events:
    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.by_id: dict[str, Event] = {}
        self.order: list[str] = []
        self.position: dict[str, int] = {}
        for key, (kind, created, data, cause, undelivered, subject) in keeper.rows("event"):
            self.add(
                Event(
                    id=key,
                    type=kind,
                    created=created,
                    data=data,
                    cause=Cause(*cause),
                    undelivered=set(undelivered),
                    subject=subject,
                )
            )

    def add(self, event: Event) -> Event:
        self.by_id[event.id] = event
        self.position[event.id] = len(self.order)
        self.order.append(event.id)
        if len(self.by_id) > KEPT:
            self.forget_oldest(KEPT // 10)
        return event

    def forget_oldest(self, count: int) -> None:
        for key in self.order[:count]:
            del self.by_id[key]
            self.keeper.keep("event", key, None)
        del self.order[:count]
        self.position = {key: place for place, key in enumerate(self.order)}

    def record(
        self,
        *,
        key: str,
        kind: str,
        created: int,
        thing: dict[str, Any],
        previous: dict[str, Any] | None,
        cause: Cause,
        endpoints: Collection[str],
    ) -> Event:
        data = {"object": thing, "previous_attributes": previous} if previous is not None else {"object": thing}
        event = Event(
            id=key,
            type=kind,
            created=created,
            data=json.dumps(data),
            cause=cause,
            undelivered=set(endpoints),
            subject=str(thing["id"]),
        )
        self.keep(event)
        return self.add(event)

    def keep(self, event: Event) -> None:
        cause = [event.cause.request, event.cause.idempotency_key]
        row = [event.type, event.created, event.data, cause, sorted(event.undelivered), event.subject]
        self.keeper.keep("event", event.id, row)

    def delivered(self, event: Event, endpoint: str) -> None:
        event.undelivered.discard(endpoint)
        self.keep(event)
