"""Reports of errors to Sentry, only where SENTRY_DSN is set: no personal data, and scrubbed like the logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import sentry_sdk
from sentry_sdk.types import Event, Hint

from conventions.log_context import ids
from conventions.scrubbing import scrubbed_value


def start_reporting(dsn: str, *, environment: str, transport: Callable[[Any], None] | None = None) -> None:
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        # Variables and bodies hold names, addresses and client secrets; a traceback tells where without them.
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=20,
        before_send=_scrub,
        before_breadcrumb=_scrub_breadcrumb,
        transport=transport,
    )


def _scrub(event: Event, hint: Hint) -> Event | None:
    tagged: dict[str, Any] = {**event, "tags": {**_tags(event), **ids()}}
    request = tagged.get("request") or {}
    # Of the request: which page, and nothing that its sender wrote.
    tagged["request"] = {name: request[name] for name in ("method", "url") if name in request}
    tagged.pop("user", None)
    return cast(Event, scrubbed_value(tagged))


def _tags(event: Event) -> dict[str, Any]:
    tags = event.get("tags")
    return dict(tags) if isinstance(tags, dict) else {}


def _scrub_breadcrumb(crumb: dict[str, Any], hint: Hint) -> dict[str, Any] | None:
    """Queries are left out: their parameters are people's data."""
    return None if crumb.get("category") == "query" else cast(dict[str, Any], scrubbed_value(crumb))
