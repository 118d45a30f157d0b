"""Events that Stripe made and that never reached us, or that were not applied. Stripe lists those of the last 30 days."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from payments import inbox
from payments.following import handled_types
from payments.inbox import Envelope, State, open_envelope
from payments.models import StripeEvent
from payments.reconciliation.differences import Difference, Json, each_alone
from payments.settlement import settle_events, settle_stored

MOST_TYPES = 20  # that Stripe lets one ask for


class MissedEvents:
    name, source = "events", "events"

    def filters(self) -> dict[str, Any]:
        return {"types": handled_types()} if len(handled_types()) <= MOST_TYPES else {}

    def look(self, page: Sequence[Json]) -> list[Difference]:
        ours = [event for event in page if event["type"] in handled_types()]
        stored = {row.pk: row for row in StripeEvent.objects.filter(pk__in=[e["id"] for e in ours]).defer("payload")}
        found = []
        for event in ours:
            row, about = stored.get(event["id"]), f"{event['type']} of {event['data']['object'].get('id')}"
            if row is None:
                found.append(Difference(subject=event["id"], what=f"{about} never arrived", remedy="apply it", thing=event))
            elif row.state in {State.RECEIVED, State.FAILED, State.DEAD}:
                what = f"{about} is {row.state}: {row.last_error or 'not applied'}"
                found.append(Difference(subject=event["id"], what=what, remedy="apply it again", thing=event))
        return found

    def mend(self, things: Sequence[Json]) -> dict[str, str]:
        """A pulled event that cannot be applied is stored like a delivered one, and tried again by the sweep."""
        stored = set(StripeEvent.objects.filter(pk__in=[event["id"] for event in things]).values_list("pk", flat=True))
        errors = each_alone(self._apply_again, [event for event in things if event["id"] in stored])
        missed = [event for event in reversed(things) if event["id"] not in stored]  # the oldest first
        return errors | each_alone(self._apply, missed)

    def _apply_again(self, events: Sequence[Json]) -> None:
        settle_stored([event["id"] for event in events])

    def _apply(self, events: Sequence[Json]) -> None:
        envelopes = [_envelope(event) for event in events]
        try:
            settle_events(envelopes, source=StripeEvent.Source.PULL)
        except Exception as error:
            if len(envelopes) == 1:
                inbox.record_failure(envelopes[0], error, source=StripeEvent.Source.PULL)
            raise


def _envelope(event: Json) -> Envelope:
    return open_envelope(json.dumps(event))
