"""What strangers may send: forged webhooks, oversized and malformed bodies, other origins, wrong methods and paths."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time

import pytest

from payments.models import Payment, StripeEvent
from pricing.tests.factories import make_plan
from tests.flows.test_privacy import routes
from tests.live import ALLOWED_ORIGIN, WEBHOOK_SECRET, Live, a_campaign, bearer

GIVE = "/api/donations/create-checkout-session/"
HOOKS = ["/api/payments/stripe/webhook", "/api/payments/webhook", "/api/finances/webhooks/stripe/", "/webhook"]
EVENT = {
    "id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": 1_700_000_000, "livemode": False,
    "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
}  # fmt: skip


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: int | None = None) -> str:
    stamp = str(int(time.time()) if at is None else at)
    return f"t={stamp},v1=" + hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def knock(live: Live, body: bytes, signature: str | None, *, path: str = HOOKS[0]) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"} | ({"Stripe-Signature": signature} if signature is not None else {})
    answer = live.ask("POST", path, data=body, headers=headers)
    return answer.status_code, answer.text


@pytest.mark.parametrize("path", [*HOOKS, *(hook.rstrip("/") + "/" for hook in HOOKS)])
def test_every_address_of_the_webhook_takes_a_genuine_event(live: Live, path: str) -> None:
    body = json.dumps(EVENT | {"type": "customer.created"}).encode()
    assert knock(live, body, signed(body), path=path) == (200, '{"received": true}')
    assert StripeEvent.objects.get().state == "ignored"


def test_forged_and_stale_signatures_store_nothing(live: Live) -> None:
    body = json.dumps(EVENT).encode()
    genuine = signed(body)
    forged = {
        "none": None,
        "empty": "",
        "no stamp": genuine.split(",")[1],
        "no signature": genuine.split(",")[0],
        "another secret": signed(body, secret="whsec_other"),
        "no secret": signed(body, secret=""),
        "another body": signed(body + b" "),
        "stale": signed(body, at=int(time.time()) - 301),
        "another scheme": genuine.replace("v1=", "v0="),
        "another stamp": re.sub(r"t=\d+", f"t={int(time.time()) + 1}", genuine),
        "two stamps": f"t=1,{genuine}",
        "not ascii": "t=\u0661,v1=0",
        "upper case": genuine.split("v1=")[0] + "v1=" + genuine.split("v1=")[1].upper(),
    }
    for name, signature in forged.items():
        encoded = signature if signature is None else signature.encode().decode("latin-1")
        status, text = knock(live, body, encoded)
        assert (status, text.startswith("Webhook Error: ")) == (400, True), name
        assert WEBHOOK_SECRET not in text
    assert StripeEvent.objects.count() == 0


def test_one_genuine_signature_among_others_serves(live: Live) -> None:
    body = json.dumps(EVENT | {"type": "customer.created"}).encode()
    assert knock(live, body, signed(body).replace(",", ",v1=00ff,v0=abc,"))[0] == 200


def test_genuine_event_of_live_mode_is_refused_in_test_mode(live: Live) -> None:
    body = json.dumps(EVENT | {"livemode": True}).encode()
    assert knock(live, body, signed(body))[0] == 400
    assert StripeEvent.objects.count() == 0


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'"event"', b"\xff\xfe", b"{}", b'{"object": "event", "data": []}',
                                  b"[" * 20_000, b'{"object": "event", "id": 1, "data": {"object": {}}}'])  # fmt: skip
def test_signed_body_that_is_no_event_is_refused(live: Live, body: bytes) -> None:
    assert knock(live, body, signed(body))[0] == 400
    assert StripeEvent.objects.count() == 0


def test_oversized_webhook_is_refused_unread(live: Live) -> None:
    body = json.dumps(EVENT | {"padding": "x" * 256_000}).encode()
    assert knock(live, body, signed(body))[0] == 413
    assert StripeEvent.objects.count() == 0


def test_oversized_gift_is_refused(live: Live) -> None:
    answer = live.ask("POST", GIVE, data=b'{"amount": 25, "message": "' + b"x" * 3_000_000 + b'"}',
                      headers={"Content-Type": "application/json"})  # fmt: skip
    assert answer.status_code in {400, 413}
    assert answer.json()["success"] is False
    assert Payment.objects.count() == 0


REFUSED_BODIES = [
    ({"amount": 25, "amout": 30}, "unknown_field", ["amout"]),
    ({"amount": 25, "payment_status": "paid"}, "unknown_field", ["payment_status"]),
    ({"amount": 25, "dedication": {"kind": "in_honour", "name": "Rosa", "x": 1}}, "unknown_field", ["dedication.x"]),
    ({"amount": 25, "dedication": {"kind": "for_fun", "name": "Rosa"}}, "invalid_choice", ["dedication.kind"]),
    ({"amount": 25, "dedication": {"kind": "in_honour"}}, "required", ["dedication.name"]),
    ({"amount": 25, "message": "x" * 501}, "max_length", ["message"]),
    ({"amount": 25, "message": "a\u0000b"}, "null_characters_not_allowed", ["message"]),
    ({"amount": 25, "donor_name": "a\u001bb"}, "control_characters", ["donor_name"]),
    ({"amount": 25, "donor_name": "a\u202eb"}, "control_characters", ["donor_name"]),
    ({"amount": 25, "email": "nobody"}, "invalid", ["email"]),
    ({"amount": 25, "email": "a@b.org\nBcc: eve@example.org"}, "invalid", ["email"]),
    ({"amount": 25, "campaign_id": "campaign_" + "0" * 26}, "unknown_campaign", ["campaign_id"]),
    ({"amount": [25]}, "invalid", ["amount"]),
    ({}, "required", ["amount"]),
    ([], "invalid", ["non_field_errors"]),
]


@pytest.mark.parametrize(("body", "code", "fields"), REFUSED_BODIES)
def test_wrong_body_is_refused_by_name(live: Live, body: object, code: str, fields: list[str]) -> None:
    refused = live.post(GIVE, 400, body)
    assert (refused["success"], refused["code"], list(refused["fields"])) == (False, code, fields)
    assert (Payment.objects.count(), live.sandbox.objects("checkout.session")) == (0, [])


@pytest.mark.parametrize("body", [b"{", b"NaN", b'{"amount": NaN}', b'{"amount": Infinity}', b"\xff", b"[" * 100_000])
def test_body_that_is_not_json_is_a_400(live: Live, body: bytes) -> None:
    answer = live.ask("POST", GIVE, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_form_is_not_taken_for_json(live: Live) -> None:
    answer = live.ask("POST", GIVE, data={"amount": "25"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


WRONG = [
    *[("GET", GIVE, 405), ("PUT", GIVE, 405), ("POST", "/api/donations/mine", 405), ("GET", "/api/auth/login", 405)],
    *[("PUT", "/api/auth/me", 405), ("PATCH", "/api/donations", 405), ("POST", "/api/payments/stripe/session/cs_test_a", 405)],
    *[("GET", "/api/nothing", 404), ("POST", "/api/nothing/", 404), ("GET", "/api/campaigns/nothing", 404)],
    *[("GET", "/api/campaigns/a/b/c", 404), ("GET", "/api/donations/donation_nothing", 404), ("POST", "/webhook/nothing", 404)],
]


@pytest.mark.parametrize(("method", "path", "status"), WRONG)
def test_wrong_methods_and_paths_answer_in_the_shape_of_errors(live: Live, method: str, path: str, status: int) -> None:
    answer = live.ask(method, path, headers=bearer(live.register("ada@example.org")))
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")
    body = answer.json()
    assert (body["success"], set(body)) == (False, {"success", "error", "code"})
    assert body["error"].endswith(".")


def test_webhook_answers_a_wrong_method_in_the_shape_of_errors(live: Live) -> None:
    answer = live.ask("GET", HOOKS[0])
    assert answer.status_code == 405
    assert answer.json()["success"] is False


def test_every_route_answers_with_and_without_its_trailing_slash(live: Live) -> None:
    campaign = a_campaign(slug="clean-water")
    started = live.give(campaign_id=campaign)
    values = {"campaign": "clean-water", "donation_id": started["donation_id"], "session_id": started["session_id"]}
    values["uuid"] = "8f7cb1a2-3a0e-4a53-9f43-2b6f0a0e6f11"
    values["plan"] = str(make_plan().pk)
    ours = {route.rstrip("/") for route in routes() if not route.startswith("admin/")} - {"", "favicon.ico"}
    assert len(ours) > 30
    for route in sorted(ours):
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found.group(1), f"{found.group(1)}_unknown"), route)
        for method in ("GET", "POST"):
            statuses = {live.ask(method, form).status_code for form in (path, f"{path}/")}
            assert (len(statuses), 301 in statuses) == (1, False), (method, path, statuses)


def test_only_allowed_origins_may_call(live: Live) -> None:
    for path in (GIVE, "/api/campaigns", "/webhook"):
        for origin, allowed in ((ALLOWED_ORIGIN, ALLOWED_ORIGIN), ("https://evil.example", None), ("null", None),
                                (ALLOWED_ORIGIN + ".evil.example", None), ("http://give.example.org", None)):  # fmt: skip
            asks = {"Origin": origin, "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "content-type,idempotency-key,authorization"}  # fmt: skip
            answer = live.ask("OPTIONS", path, headers=asks)
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed, (path, origin)
            assert "Access-Control-Allow-Credentials" not in answer.headers
    preflight = live.ask("OPTIONS", GIVE, headers={"Origin": ALLOWED_ORIGIN, "Access-Control-Request-Method": "POST"})
    methods = {name.strip() for name in preflight.headers["Access-Control-Allow-Methods"].split(",")}
    headers = {name.strip() for name in preflight.headers["Access-Control-Allow-Headers"].split(",")}
    assert methods == {"GET", "POST", "OPTIONS", "PATCH", "DELETE"}
    assert headers == {"content-type", "authorization", "idempotency-key"}


def test_sessions_are_limited_per_client_address(live: Live, settings) -> None:
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"checkout": "3/m"}
    statuses = [live.ask("POST", GIVE, json={"amount": 25}, headers={"X-Forwarded-For": f"10.0.0.{n}"}) for n in range(5)]
    assert [answer.status_code for answer in statuses] == [200, 200, 200, 429, 429]
    refused = statuses[-1].json()
    assert (refused["success"], refused["code"]) == (False, "rate_limited")
    assert 0 < int(statuses[-1].headers["Retry-After"]) <= 60
    assert len(live.sandbox.objects("checkout.session")) == 3
    assert live.get("/api/campaigns")["results"] != []
