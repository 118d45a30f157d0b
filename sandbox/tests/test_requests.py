"""How requests are refused, remembered, and made to fail on request."""

import threading
import time
from typing import Any

import pytest
import requests
import stripe

from sandbox.parameters import known_calls
from sandbox.routes import ROUTES
from sandbox.tests.conftest import KEY, Control, donation, payment

INTENT = {"amount": "2000", "currency": "usd"}


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        ({"currency": "usd"}, "parameter_missing", "amount"),
        ({"amount": "2000"}, "parameter_missing", "currency"),
        ({**INTENT, "amount": "many"}, "parameter_invalid_integer", "amount"),
        ({**INTENT, "amount": "49"}, "amount_too_small", "amount"),
        ({**INTENT, "amount": "100000000"}, "amount_too_large", "amount"),
        ({**INTENT, "currency": "zzz"}, None, "currency"),
        ({"amount": "10050", "currency": "isk"}, "invalid_charge_amount_no_decimal_compatible", "amount"),
        ({"amount": "5124", "currency": "kwd"}, None, "amount"),
        ({**INTENT, "colour": "red"}, "parameter_unknown", "colour"),
        ({**INTENT, "shipping[address][planet]": "x"}, "parameter_unknown", "shipping[address][planet]"),
        ({**INTENT, "confirm": "perhaps"}, None, "confirm"),
        ({**INTENT, "capture_method": "never"}, None, "capture_method"),
        ({**INTENT, "customer": "cus_none"}, "resource_missing", "customer"),
        ({**INTENT, "metadata[k]": "v" * 501}, None, "metadata[k]"),
        ({**INTENT, "metadata[" + "k" * 41 + "]": "v"}, None, "metadata"),
        ({**INTENT} | {f"metadata[k{n}]": "v" for n in range(51)}, None, "metadata"),
        ({**INTENT, "statement_descriptor_suffix": "x" * 23}, None, "statement_descriptor_suffix"),
        ({**INTENT, "application_fee_amount": "5"}, "sandbox_unsupported", "application_fee_amount"),
    ],
)
def test_wrong_parameters_are_refused_by_name(control: Control, data: Any, code: str | None, param: str) -> None:
    answer = control.api("POST", "/v1/payment_intents", data)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error.get("code"), error["param"]) == (code, param)
    assert answer.headers["request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk_live_" + "a" * 24, "refuses the live key"),
        ("rk_live_" + "a" * 24, "refuses the live key"),
        ("sk_test_", "Invalid API Key"),
        ("hello", "Invalid API Key"),
        ("pk_test_" + "a" * 24, "publishable"),
    ],
)
def test_keys_must_be_secret_test_keys(control: Control, key: str, words: str) -> None:
    answer = control.api("GET", "/v1/charges", Authorization=f"Bearer {key}")
    assert answer.status_code == 401
    assert words in answer.json()["error"]["message"]
    assert key not in answer.text


def test_any_test_key_opens_the_account(control: Control) -> None:
    assert control.api("GET", "/v1/account", Authorization="Bearer rk_test_" + "b" * 24).status_code == 200
    basic = requests.get(f"{control.url}/v1/account", auth=(KEY, ""), timeout=20)
    assert basic.json()["id"] == "acct_1SandboxStandIn0001"
    basic.close()


def test_version_is_told_and_a_malformed_one_refused(control: Control) -> None:
    assert control.api("GET", "/v1/account").headers["stripe-version"] == "2026-08-26.dahlia"
    assert control.api("GET", "/v1/account", Stripe_Version="yesterday").status_code == 400


def test_same_key_and_parameters_replay_the_first_answer(control: Control) -> None:
    first = control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k")
    again = control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k")
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert control.api("GET", "/v1/customers").json()["data"] == [first.json()]


def test_same_key_with_other_parameters_is_refused(control: Control) -> None:
    control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k")
    answer = control.api("POST", "/v1/customers", {"name": "Bob"}, Idempotency_Key="k")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")


def test_decline_is_replayed_and_charged_once(control: Control) -> None:
    data = INTENT | {"confirm": "true", "payment_method": "pm_card_chargeDeclined", "payment_method_types[0]": "card"}
    first = control.api("POST", "/v1/payment_intents", data, Idempotency_Key="k")
    again = control.api("POST", "/v1/payment_intents", data, Idempotency_Key="k")
    assert (first.status_code, again.status_code, again.text) == (402, 402, first.text)
    assert len(control.api("GET", "/v1/charges").json()["data"]) == 1


def test_refused_parameters_leave_the_key_free(control: Control) -> None:
    assert control.api("POST", "/v1/customers", {"nam": "Ada"}, Idempotency_Key="k").status_code == 400
    assert control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").status_code == 200


def test_key_is_forgotten_after_a_day(control: Control) -> None:
    first = control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").json()
    control.post("clock/advance", seconds=86_401)
    assert control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").json()["id"] != first["id"]


def test_key_in_use_is_a_conflict(control: Control) -> None:
    control.post("faults", status="delay", seconds=1)
    slow = threading.Thread(target=control.api, args=("POST", "/v1/customers", {"name": "Ada"}), kwargs={"Idempotency_Key": "k"})
    slow.start()
    time.sleep(0.3)
    with requests.Session() as other:
        answer = Control(control.url, other).api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k")
    slow.join()
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert len(control.api("GET", "/v1/customers").json()["data"]) == 1


@pytest.mark.parametrize(("should_retry", "header"), [(True, "true"), (False, "false"), (None, None)])
def test_rate_limit_says_whether_to_retry(control: Control, should_retry: bool | None, header: str | None) -> None:
    control.post("faults", status=429, should_retry=should_retry)
    answer = control.api("GET", "/v1/charges")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit")
    assert answer.headers.get("stripe-should-retry") == header
    assert control.api("GET", "/v1/charges").status_code == 200


def test_failure_before_the_work_leaves_nothing(control: Control) -> None:
    control.post("faults", status=500, method="POST", path="/v1/customers$")
    assert control.api("GET", "/v1/customers").status_code == 200
    assert control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").status_code == 500
    assert control.api("GET", "/v1/customers").json()["data"] == []
    assert control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").status_code == 200


def test_failure_after_the_work_is_replayed(control: Control) -> None:
    control.post("faults", status=500, stage="after")
    assert control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").status_code == 500
    assert control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").status_code == 500
    assert len(control.api("GET", "/v1/customers").json()["data"]) == 1


def test_dropped_response_has_done_its_work(control: Control) -> None:
    control.post("faults", status="drop_response")
    with pytest.raises(requests.ConnectionError):
        control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k")
    again = control.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k")
    assert again.headers["idempotent-replayed"] == "true"
    assert len(control.api("GET", "/v1/customers").json()["data"]) == 1


def test_hung_request_does_nothing_and_closes(control: Control) -> None:
    control.post("faults", status="hang", seconds=0.2)
    with pytest.raises(requests.ConnectionError):
        control.api("POST", "/v1/customers", {"name": "Ada"})
    assert control.api("GET", "/v1/customers").json()["data"] == []


def test_faults_end_by_count_and_by_request(control: Control) -> None:
    control.post("faults", status=503, count=2)
    assert [control.api("GET", "/v1/balance").status_code for _ in range(3)] == [503, 503, 200]
    control.post("faults", status=503, share=1.0)
    assert control.api("GET", "/v1/balance").status_code == 503
    assert control.get("faults")["data"][0]["struck"] == 1
    assert control.http.delete(f"{control.url}/_sandbox/faults", timeout=20).json()["data"] == []
    assert control.api("GET", "/v1/balance").status_code == 200


def test_lists_page_newest_first(client: stripe.StripeClient) -> None:
    made = [client.v1.customers.create({"name": str(n)}).id for n in range(5)]
    first = client.v1.customers.list({"limit": 2})
    second = client.v1.customers.list({"limit": 2, "starting_after": first.data[-1].id})
    back = client.v1.customers.list({"limit": 2, "ending_before": second.data[0].id})
    assert [[c.id for c in page.data] for page in (first, second)] == [[made[4], made[3]], [made[2], made[1]]]
    assert ([c.id for c in back.data], first.has_more, back.has_more) == ([made[4], made[3]], True, False)
    assert [c.id for c in client.v1.customers.list({"limit": 2}).auto_paging_iter()] == made[::-1]


def test_lists_are_bounded_and_filtered_by_age(client: stripe.StripeClient, control: Control) -> None:
    old = payment(client)
    control.post("clock/advance", seconds=1000)
    new = payment(client)
    since = client.v1.charges.list({"created": {"gte": new.created}})
    before = client.v1.charges.list({"created": {"lt": new.created}})
    assert [charge.payment_intent for charge in since.data] == [new.id]
    assert [charge.payment_intent for charge in before.data] == [old.id]
    assert control.api("GET", "/v1/charges?limit=101").json()["error"]["param"] == "limit"
    assert control.api("GET", "/v1/charges?limit=0").json()["error"]["param"] == "limit"
    assert control.api("GET", "/v1/charges?starting_after=ch_none").json()["error"]["code"] == "resource_missing"


def test_expansion_reaches_through_lists_and_refuses_what_is_no_relation(client: stripe.StripeClient, control: Control) -> None:
    control.pay(donation(client))
    session = client.v1.checkout.sessions.list({"expand": ["data.payment_intent.latest_charge", "data.line_items"]}).data[0]
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert isinstance(session.payment_intent.latest_charge, stripe.Charge)
    assert session.line_items is not None
    assert session.line_items.data[0].description == "Gift"
    refused = control.api("GET", f"/v1/checkout/sessions/{session.id}?expand[]=status").json()["error"]
    assert refused["message"] == "This property cannot be expanded (status)."


def test_wrong_expansion_is_refused_before_the_work(control: Control) -> None:
    answer = control.api("POST", "/v1/customers", {"name": "Ada", "expand[]": "colour"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "expand")
    assert control.api("GET", "/v1/customers").json()["data"] == []


def test_unknown_ids_and_addresses_are_not_found(control: Control) -> None:
    assert control.api("GET", "/v1/refunds/re_none").json()["error"]["code"] == "resource_missing"
    assert control.api("GET", "/v1/unheard_of").status_code == 404
    assert control.http.get(f"{control.url}/_sandbox/unheard_of", timeout=20).status_code == 404


def test_every_route_has_its_published_parameters() -> None:
    assert set(ROUTES) - known_calls() == set()
