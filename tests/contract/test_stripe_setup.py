"""`stripe_setup` against the sandbox, every call judged by Stripe's published shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from payments import stripe_gateway, webhook_endpoint
from payments.following import handled_types
from payments.models import StripeEvent
from payments.webhook_endpoint import retire_by
from tests.contract.recording_proxy import Recording, recording
from tests.live import WEBHOOK_SECRET, Live

URL = "https://give.example.org/api/payments/stripe/webhook"
SECRET = "whsec_the_one_we_had"


@pytest.fixture
def calls(live: Live, settings: Any) -> Iterator[Recording]:
    """What passes between the command and Stripe; endpoints that a test made are gone afterwards."""
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    settings.STRIPE_WEBHOOK_SECRETS = (SECRET,)
    before = {endpoint["id"] for endpoint in live.sandbox.objects("webhook_endpoint")}
    settings.FRONTEND_URL = "https://give.example.org"
    with recording(live.sandbox.url) as record:
        settings.STRIPE_API_BASE = record.url
        yield record
    settings.STRIPE_API_BASE = live.sandbox.url
    for endpoint in live.sandbox.objects("webhook_endpoint"):
        if endpoint["id"] not in before:
            stripe_gateway.delete_webhook_endpoint(endpoint["id"])
    assert record.violations == []


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("stripe_setup", *arguments, stdout=out)
    except SystemExit as stopped:
        return int(stopped.code or 0), out.getvalue()
    return 0, out.getvalue()


def told(*arguments: str) -> tuple[int, Any]:
    status, text = run(*arguments, "--json")
    return status, json.loads(text)


def at(live: Live, url: str = URL) -> list[Any]:
    """The endpoints at Stripe with this address, the oldest first."""
    return [endpoint for endpoint in live.sandbox.objects("webhook_endpoint") if endpoint["url"] == url]


def asked(calls: Recording) -> list[str]:
    return [f"{call.method} {call.path.split('/we_')[0]}" for call in calls.calls]


# -- checking and making -------------------------------------------------------------------------------
def test_without_an_endpoint_the_check_fails_and_changes_nothing(live: Live, calls: Recording) -> None:
    status, text = run("--check")
    assert (status, text) == (1, f"  ✗ Stripe has no webhook endpoint for {URL}. stripe_setup --apply makes it.\n")
    assert (asked(calls), at(live)) == (["GET /v1/webhook_endpoints"], [])


def test_apply_makes_it_with_exactly_our_events_and_shows_its_secret_once(live: Live, calls: Recording, settings: Any) -> None:
    status, text = run("--apply")
    [endpoint] = at(live)
    assert status == 0
    assert (endpoint["enabled_events"], endpoint["api_version"]) == (handled_types(), settings.STRIPE_API_VERSION)
    assert text.count("whsec_") == 1
    assert "\n    STRIPE_WEBHOOK_SECRET=whsec_" in text
    assert text.endswith(f"{endpoint['id']} is as it must be: {URL}\n")
    status, again = run("--apply")
    assert (status, again) == (0, f"{endpoint['id']} is as it must be: {URL}\n")
    assert asked(calls).count("POST /v1/webhook_endpoints") == 1
    assert run("--check")[0] == 0


def test_another_address_may_be_named(live: Live, calls: Recording) -> None:
    other = "https://api.example.org/api/payments/stripe/webhook"
    assert told("--apply", "--url", other)[0] == 0
    assert (len(at(live, other)), at(live)) == (1, [])


def test_each_drift_is_named_and_what_can_be_mended_in_place_is(live: Live, calls: Recording) -> None:
    run("--apply")
    [endpoint] = at(live)
    wrong = sorted({*handled_types(), "customer.created"} - {"refund.failed"})
    stripe_gateway.update_webhook_endpoint(endpoint["id"], {"enabled_events": wrong, "disabled": True})
    status, text = run()
    assert status == 1
    assert text == (
        f"  ✗ {endpoint['id']} is disabled: Stripe delivers nothing to it. stripe_setup --apply mends it.\n"
        f"  ✗ {endpoint['id']} lacks refund.failed. stripe_setup --apply mends it.\n"
        f"  ✗ {endpoint['id']} sends what nobody reads: customer.created. stripe_setup --apply mends it.\n"
    )
    status, done = told("--apply")
    assert (status, done["done"], done["drift"]) == (0, [f"mended {endpoint['id']}"], [])
    assert "secret" not in done
    [mended] = at(live)
    assert (mended["enabled_events"], mended["status"]) == (handled_types(), "enabled")


def test_an_endpoint_of_another_version_needs_another_one(live: Live, calls: Recording, settings: Any) -> None:
    params = {"url": URL, "enabled_events": handled_types()}
    endpoint = stripe_gateway.create_webhook_endpoint(params)
    status, done = told("--apply")
    assert (status, [drift["mended_by"] for drift in done["drift"]]) == (1, ["rotate"])
    assert f"{endpoint['id']} speaks the account's default API version, not 2026-08-26.dahlia" in done["drift"][0]["what"]


# -- rotating ------------------------------------------------------------------------------------------
def test_rotation_without_apply_only_says_what_it_would_do(live: Live, calls: Recording) -> None:
    run("--apply")
    status, text = run("--rotate")
    assert (status, len(at(live))) == (0, 1)
    assert "would make a second endpoint" in text


def test_rotation_makes_a_second_endpoint_beside_the_first_and_tells_what_to_do(live: Live, calls: Recording) -> None:
    run("--apply")
    [old] = at(live)
    status, done = told("--rotate", "--apply")
    new = next(endpoint for endpoint in at(live) if endpoint["id"] != old["id"])
    assert (status, done["done"]) == (0, [f"made {new['id']}"])
    assert done["STRIPE_WEBHOOK_SECRET"] == f"{done['secret']},{SECRET}"
    assert [e["status"] for e in at(live)] == ["enabled", "enabled"]
    with pytest.raises(CommandError, match="A rotation is under way") as refused:
        run("--rotate", "--apply")
    assert (refused.value.returncode, len(at(live))) == (2, 2)
    status, checked = told("--check")
    assert (status, checked["drift"]) == (0, [])
    assert f"A rotation is under way: {old['id']} delivers beside {new['id']} until" in checked["notes"][0]
    assert f"  … {checked['notes'][0]}\n" in run("--check")[1]


def test_a_rotation_that_is_not_ended_in_its_time_is_drift(live: Live, calls: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    run("--apply")
    [old] = at(live)
    run("--rotate", "--apply")
    monkeypatch.setattr(webhook_endpoint, "ROTATION_TAKES", timedelta(days=-1000))  # the sandbox's clock may be ahead
    status, checked = told("--check")
    assert (status, checked["notes"]) == (1, [])
    assert [(drift["mended_by"], drift["endpoint"]) for drift in checked["drift"]] == [("retire", old["id"])]


def test_a_rotation_may_take_a_week_and_no_more_than_two_endpoints() -> None:
    now = timezone.now()

    def endpoints(age: timedelta, count: int) -> list[Any]:
        return [{"id": f"we_{n}", "created": int((now - age).timestamp()) - n} for n in range(count)]

    week = timedelta(days=7)
    assert retire_by(endpoints(week - timedelta(minutes=1), 2)) is not None
    assert retire_by(endpoints(week + timedelta(minutes=1), 2)) is None
    assert retire_by(endpoints(timedelta(0), 1)) is None
    assert retire_by(endpoints(timedelta(0), 3)) is None


def test_the_older_endpoint_is_not_retired_before_an_event_proves_the_new_one(live: Live, calls: Recording) -> None:
    run("--apply")
    run("--rotate", "--apply")
    with pytest.raises(CommandError, match="nothing proves that its secret works"):
        run("--retire", "--apply")
    assert len(at(live)) == 2
    live.sandbox.advance(5)
    live.give_and_pay()  # no such host: the events do not reach https://give.example.org
    with pytest.raises(CommandError, match="have not reached every endpoint yet"):
        run("--retire", "--apply")
    assert len(at(live)) == 2
    status, text = run("--retire")
    assert (status, len(at(live))) == (0, 2)
    assert "--retire --apply would delete we_" in text
    status, done = told("--retire", "--apply", "--force")
    assert (status, len(done["done"]), len(at(live))) == (0, 1, 1)


@pytest.fixture
def real_address(live: Live) -> Iterator[str]:
    """Where webhooks arrive in truth; afterwards one endpoint is there, with the secret that all tests know."""
    url = f"{live.url}/api/payments/stripe/webhook"
    yield url
    for endpoint in at(live, url):
        stripe_gateway.delete_webhook_endpoint(endpoint["id"])
    live.sandbox.post("webhook_endpoints", url=url, secret=WEBHOOK_SECRET)


def test_a_secret_is_rotated_while_gifts_come_and_nothing_is_lost(live: Live, real_address: str, settings: Any) -> None:
    """Two endpoints deliver, each event is applied once, then the older one goes."""
    url = real_address
    [old] = at(live, url)
    live.sandbox.advance(5)
    status, done = told("--rotate", "--apply", "--url", url)
    assert status == 0
    settings.STRIPE_WEBHOOK_SECRETS = tuple(done["STRIPE_WEBHOOK_SECRET"].split(","))
    live.sandbox.advance(5)
    live.give_and_pay()
    ours = StripeEvent.objects.filter(type__in=handled_types())
    assert set(ours.values_list("state", "deliveries")) == {("applied", 2)}
    assert webhook_endpoint.endpoints_at(url)[1]["id"] == old["id"]
    status, retired = told("--retire", "--apply", "--url", url)
    assert (status, retired["done"]) == (0, [f"deleted {old['id']}"])
    settings.STRIPE_WEBHOOK_SECRETS = (done["secret"],)
    live.give_and_pay()
    assert StripeEvent.objects.filter(type="checkout.session.completed", deliveries=1).count() == 1
    assert set(ours.values_list("state", flat=True)) == {"applied"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rotate", "--apply"], "no webhook endpoint"),
        (["--retire", "--apply"], "There is no older endpoint"),
        (["--check", "--apply"], "--check changes nothing"),
        (["--apply", "--force"], "--force goes with --retire only"),
    ],
)
def test_what_does_not_fit_is_said_and_exits_with_two(live: Live, calls: Recording, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        run(*arguments)
    assert refused.value.returncode == 2
    assert not [call for call in asked(calls) if call.startswith(("POST", "DELETE"))]


@pytest.mark.django_db
def test_when_stripe_cannot_be_asked_it_exits_with_two(settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    with pytest.raises(CommandError, match="cannot be reached") as refused:
        run("--check")
    assert refused.value.returncode == 2
