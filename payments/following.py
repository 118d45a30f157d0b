"""Stripe's objects that are no payments but a product's own: subscriptions, saved payment methods.

`settings.STRIPE_FOLLOWERS` maps an event type to the module that follows it; a system check proves that each has
`follow`. Followers run inside the transaction that stores the event, after its payments were settled: they never call out,
and must end in the same rows whatever the order or number of events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol, cast

from django.conf import settings

from payments.facts import EVENTS


class Happened(Protocol):
    """An event as the inbox opened it; `created_at` is Stripe's time."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def event(self) -> Mapping[str, Any]: ...


class Follower(Protocol):
    def follow(self, happened: Sequence[Happened]) -> None:
        """Bring the product's rows in line with what happened. What it does not know is none of its business."""


def is_followed(event_type: str) -> bool:
    return event_type in settings.STRIPE_FOLLOWERS


def is_handled(event_type: str) -> bool:
    return event_type in EVENTS or is_followed(event_type)


def handled_types() -> list[str]:
    """Every event type that this system wants from Stripe."""
    return sorted({*EVENTS, *settings.STRIPE_FOLLOWERS})


def follow(happened: Sequence[Happened]) -> None:
    """Hand each event to its follower, in Stripe's order of time."""
    by_module: dict[str, list[Happened]] = {}
    for one in sorted(happened, key=lambda one: (one.created_at, one.id)):
        if is_followed(one.type):
            by_module.setdefault(settings.STRIPE_FOLLOWERS[one.type], []).append(one)
    for path in sorted(by_module):
        cast(Follower, import_module(path)).follow(by_module[path])
