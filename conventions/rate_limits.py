"""Rate limits per client address and per user, counted by django-ratelimit on the shared cache.

A view names its group (`rate_limit = "checkout"`); the rates are settings (`RATE_LIMITS`). While the cache does not
answer, nothing can be counted: logging in waits, since passwords could be guessed without a limit, and everything else
goes on, since a cache that is down must not turn gifts away.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError
from rest_framework.throttling import BaseThrottle

logger = logging.getLogger(__name__)

CLOSED_WITHOUT_CACHE = frozenset({"login"})
WAIT_WITHOUT_CACHE_S = 30


def client_address(request: HttpRequest) -> str:
    """The client's address, counted from the right of X-Forwarded-For by the number of trusted proxies.

    Anything further left was written by the client itself and proves nothing. An IPv6 client is its /64.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))
    if settings.TRUSTED_PROXIES:
        hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
        if hops:
            address = hops[-min(settings.TRUSTED_PROXIES, len(hops))]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped  # ::ffff:192.0.2.1, how a dual-stack socket shows an IPv4 client
    if parsed.version == 6:
        return str(ipaddress.ip_network(f"{parsed}/64", strict=False).network_address)
    return str(parsed)


def client_fingerprint(request: HttpRequest) -> str:
    """A short digest of the client's address, for keys that are stored."""
    return hashlib.sha256(f"{settings.SECRET_KEY}:{client_address(request)}".encode()).hexdigest()[:24]


def seconds_over_limit(request: HttpRequest, group: str) -> int:
    """0 while within the limits of `group`, else the seconds until the next try may succeed."""
    keys = [f"address:{client_address(request)}"]
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        keys.append(f"user:{user.pk}")
    try:
        return max(_seconds_over(request, group, key) for key in keys)
    except (RedisError, OSError) as error:
        closed = group in CLOSED_WITHOUT_CACHE
        logger.error("rate limit “%s” cannot count (%s), requests are %s", group, error, "refused" if closed else "let in")
        return WAIT_WITHOUT_CACHE_S if closed else 0


def _seconds_over(request: HttpRequest, group: str, key: str) -> int:
    rate = settings.RATE_LIMITS[group]
    usage = get_usage(request, group=group, key=lambda _group, _request: key, rate=rate, increment=True)
    return max(int(usage["time_left"]), 1) if usage is not None and usage["should_limit"] else 0


class RateLimit(BaseThrottle):
    """The default throttle of every API view: `view.rate_limit` names the group, "read" unless told."""

    def __init__(self) -> None:
        self._wait = 0

    def allow_request(self, request: Any, view: Any) -> bool:
        self._wait = seconds_over_limit(request, getattr(view, "rate_limit", "read"))
        return self._wait == 0

    def wait(self) -> float | None:
        return self._wait
