"""Rate limits: counted per address and per user, and not to be talked away."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.signing_in import issue_tokens
from accounts.tests.factories import UserFactory
from conventions.rate_limits import client_address, client_fingerprint

pytestmark = pytest.mark.django_db
PATH = "/api/campaigns"


@pytest.fixture
def three_reads(settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "read": "3/m"}


def codes(client: Any, times: int, **extra: Any) -> list[int]:
    return [client.get(PATH, **extra).status_code for _ in range(times)]


@pytest.mark.usefixtures("three_reads")
def test_over_the_limit_the_answer_is_429_and_says_when_to_come_back(client: Client) -> None:
    assert codes(client, 3) == [200, 200, 200]
    answer = client.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(answer["Retry-After"]) <= 60


@pytest.mark.usefixtures("three_reads")
def test_another_address_has_its_own_limit(client: Client) -> None:
    assert codes(client, 4, REMOTE_ADDR="192.0.2.1") == [200, 200, 200, 429]
    assert codes(client, 1, REMOTE_ADDR="192.0.2.2") == [200]


@pytest.mark.usefixtures("three_reads")
def test_a_user_is_limited_at_every_address() -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=UserFactory()).access}")
    assert [client.get(PATH, REMOTE_ADDR=f"192.0.2.{n}").status_code for n in range(5)] == [200, 200, 200, 429, 429]


@pytest.mark.usefixtures("three_reads")
def test_without_a_trusted_proxy_a_forwarded_address_is_ignored(client: Client) -> None:
    told = [client.get(PATH, headers={"X-Forwarded-For": f"198.51.100.{n}"}).status_code for n in range(5)]
    assert told == [200, 200, 200, 429, 429]


@pytest.mark.usefixtures("three_reads")
def test_behind_a_proxy_what_the_client_wrote_itself_is_ignored(client: Client, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    told = [client.get(PATH, headers={"X-Forwarded-For": f"198.51.100.{n}, 192.0.2.7"}).status_code for n in range(5)]
    assert told == [200, 200, 200, 429, 429]


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        (0, "192.0.2.1", "", "192.0.2.1"),
        (0, "192.0.2.1", "198.51.100.1", "192.0.2.1"),
        (1, "10.0.0.1", "198.51.100.1", "198.51.100.1"),
        (1, "10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        (2, "10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        (2, "10.0.0.1", "198.51.100.1", "198.51.100.1"),
        (1, "10.0.0.1", "", "10.0.0.1"),
        (1, "10.0.0.1", " , ,", "10.0.0.1"),
        (1, "10.0.0.1", "unknown", "unknown"),
        (1, "10.0.0.1", "' OR 1=1", "unknown"),
        (0, "", "", "unknown"),
        (0, "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"),
        (0, "2001:db8:1:2::1", "", "2001:db8:1:2::"),
        (0, "::ffff:192.0.2.1", "", "192.0.2.1"),
        (0, "fe80::1%eth0", "", "fe80::"),
    ],
)
def test_the_clients_address(proxies: int, peer: str, forwarded: str, address: str, settings: Any) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client_address(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)) == address


def test_the_fingerprint_of_an_address_does_not_tell_it(settings: Any) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    mark = client_fingerprint(request)
    assert (len(mark), "192" in mark) == (24, False)
    settings.SECRET_KEY = "another" * 8
    assert client_fingerprint(request) != mark


def test_counting_costs_no_query(client: Client) -> None:
    with CaptureQueriesContext(connection) as context:
        client.get("/api/campaigns/unknown")
    assert len(context.captured_queries) == 1


@pytest.mark.parametrize(
    ("group", "path", "method"),
    [
        ("checkout", "/api/donations/create-checkout-session/", "post"),
        ("session", "/api/payments/stripe/session/cs_test_1", "get"),
        ("login", "/api/auth/login", "post"),
        ("login", "/api/auth/register", "post"),
        ("read", "/api/donations?campaign_id=x", "get"),
    ],
)
def test_each_route_has_its_own_limit(group: str, path: str, method: str, client: Client, settings: Any) -> None:
    settings.RATE_LIMITS = {**dict.fromkeys(settings.RATE_LIMITS, "100/m"), group: "1/m"}
    first, second = (getattr(client, method)(path, content_type="application/json").status_code for _ in range(2))
    assert (first != 429, second) == (True, 429)
    assert client.get(PATH).status_code == {"read": 429}.get(group, 200)
