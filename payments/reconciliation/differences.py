"""What a step of reconcile finds, and what every step can do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conventions.failures import told

logger = logging.getLogger(__name__)

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One line of the review: what differs about `subject` (a Stripe id), and what would mend it ("" if nothing does)."""

    subject: str
    what: str
    remedy: str
    thing: Json  # the object as Stripe showed it, from which it is mended


class Step(Protocol):
    """One of Stripe's lists: `name` for people, `source` in the gateway."""

    name: str
    source: str

    def filters(self) -> dict[str, Any]:
        """What to ask the list for, besides the window."""

    def look(self, page: Sequence[Json]) -> list[Difference]:
        """What differs about the objects of a page; reads our rows only, changes nothing."""

    def mend(self, things: Sequence[Json]) -> dict[str, str]:
        """Bring our rows in line with these objects. Returns why, by id, for each that failed; the others are kept."""


def each_alone(work: Callable[[Sequence[Json]], object], things: Sequence[Json]) -> dict[str, str]:
    """Do it for all together; where that fails, one by one, so that a bad one fails alone. Returns the errors by id."""
    if not things:
        return {}
    try:
        work(things)
    except Exception as error:  # whatever it is, the other objects must be mended
        if len(things) > 1:
            return {key: why for thing in things for key, why in each_alone(work, [thing]).items()}
        logger.exception("%s could not be mended", things[0]["id"])
        return {things[0]["id"]: told(error)}
    return {}
