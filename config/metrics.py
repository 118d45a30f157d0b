"""/metrics for Prometheus: only for whoever has the token, or asks from a network that is named; else there is no such page."""

from __future__ import annotations

import hmac
import ipaddress

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from conventions import tenancy
from conventions.kept import kept
from conventions.rate_limits import client_address
from payments.measuring import Payments

KEPT_FOR_S = 5  # however many scrape, the tables are read once in so long

registry = CollectorRegistry(auto_describe=False)
registry.register(Payments())


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    if not (_has_token(request) or _is_inside(request)):
        raise Http404
    with tenancy.everything():  # sums over all
        text = kept("metrics", KEPT_FOR_S, lambda: generate_latest(registry))
    return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


def _has_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").encode("utf-8", "replace")
    return bool(settings.METRICS_TOKEN) and hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode())


def _is_inside(request: HttpRequest) -> bool:
    """From one of METRICS_NETWORKS. Behind a proxy that is not declared, every address is the proxy's and proves
    nothing."""
    if not settings.METRICS_NETWORKS or ("X-Forwarded-For" in request.headers and not settings.TRUSTED_PROXIES):
        return False
    try:
        address = ipaddress.ip_address(client_address(request))
    except ValueError:  # a Unix socket has none
        return False
    return any(address in ipaddress.ip_network(network) for network in settings.METRICS_NETWORKS)
