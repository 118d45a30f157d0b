"""The judge finds each kind of violation, names its place, and finds nothing where nothing is wrong."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.examples import example
from tests.contract.stripe_shape import Shape

SHAPE = Shape.load()
NAMES = sorted(SHAPE.schemas)

REFUND: dict[str, Any] = {
    "id": "re_1",
    "object": "refund",
    "amount": 500,
    "balance_transaction": "txn_1",
    "charge": "ch_1",
    "created": 1790000000,
    "currency": "usd",
    "customer": None,
    "customer_account": None,
    "destination_details": {"type": "card", "card": {"reference_status": "pending", "type": "refund"}},
    "metadata": {"order": "7"},
    "payment_intent": "pi_1",
    "payment_method": "pm_1",
    "reason": "duplicate",
    "receipt_number": None,
    "source_transfer_reversal": None,
    "status": "succeeded",
    "transfer_reversal": None,
}
REFUNDS: dict[str, Any] = {"object": "list", "data": [REFUND], "has_more": False, "url": "/v1/refunds"}
DELETED_CUSTOMER: dict[str, Any] = {"id": "cus_1", "object": "customer", "deleted": True}
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "api_version": "2026-08-26.dahlia",
    "created": 1790000000,
    "data": {"object": REFUND, "previous_attributes": {"status": "pending"}},
    "livemode": False,
    "pending_webhooks": 1,
    "request": {"id": "req_1", "idempotency_key": None},
    "type": "refund.updated",
}
ERROR: dict[str, Any] = {"error": {"type": "card_error", "code": "card_declined", "decline_code": "lost_card"}}
ABSENT = object()


def changed(good: dict[str, Any], place: list[str | int], value: object) -> dict[str, Any]:
    """A copy with one value put in, or taken out where it is ABSENT."""
    copy = deepcopy(good)
    node: Any = copy
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    if value is ABSENT:
        del node[place[-1]]
    return copy


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/v1/refunds", REFUNDS),
        ("/v1/refunds/re_1", REFUND),
        ("/v1/customers/cus_1", DELETED_CUSTOMER),
        ("/v1/events/evt_1", EVENT),
    ],
)
def test_well_formed_answer_has_no_errors(path: str, good: dict[str, Any]) -> None:
    assert SHAPE.response_errors("GET", path, 200, good) == []


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (["amount"], ABSENT, "data[0].amount: required, but left out"),
        (["amount"], None, "data[0].amount: must not be null"),
        (["amount"], "500", "data[0].amount: expected integer, got string"),
        (["amount"], 500.0, "data[0].amount: expected integer, got number"),
        (["amount"], True, "data[0].amount: expected integer, got boolean"),
        (["reason"], ABSENT, "data[0].reason: left out, though Stripe always sends it, null if empty"),
        (
            ["reason"],
            "regret",
            "data[0].reason: 'regret' is not one of duplicate, expired_uncaptured_charge, fraudulent, "
            "requested_by_customer",
        ),
        (["note"], "x", "data[0].note: unknown field"),
        (["charge"], 5, "data[0].charge: expected string, got integer"),
        (["customer"], {**DELETED_CUSTOMER, "email": "x"}, "data[0].customer.email: unknown field"),
        (["metadata", "order"], 7, "data[0].metadata.order: expected string, got integer"),
        (["metadata", "order"], None, "data[0].metadata.order: must not be null"),
        (["metadata"], [], "data[0].metadata: expected object, got array"),
        (["destination_details", "type"], ABSENT, "data[0].destination_details.type: required, but left out"),
        (["destination_details", "card", "type"], "x", "data[0].destination_details.card.type: 'x' is not one of "
         "pending, refund, reversal"),
        (["destination_details", "eps"], {"iban": "x"}, "data[0].destination_details.eps.iban: unknown field"),
    ],
)  # fmt: skip
def test_one_flaw_in_an_answer_is_one_error_at_its_place(place: list[str | int], value: object, expected: str) -> None:
    assert SHAPE.response_errors("GET", "/v1/refunds", 200, changed(REFUNDS, ["data", 0, *place], value)) == [expected]


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (None, "(root): must not be null"),
        ([], "(root): expected object, got array"),
        (changed(REFUNDS, ["object"], "search_result"), "object: 'search_result' is not one of list"),
        (changed(REFUNDS, ["data"], None), "data: must not be null"),
        (changed(REFUNDS, ["has_more"], ABSENT), "has_more: required, but left out"),
        (changed(REFUNDS, ["data"], [REFUND, "re_2"]), "data[1]: expected object, got string"),
    ],
)
def test_flawed_list_is_one_error(obj: object, expected: str) -> None:
    assert SHAPE.response_errors("GET", "/v1/refunds", 200, obj) == [expected]


def test_decimal_answer_must_be_a_number() -> None:
    price = example(SHAPE, "price", Random(1))
    assert SHAPE.object_errors("price", price | {"unit_amount_decimal": "12.5"}) == []
    assert SHAPE.object_errors("price", price | {"unit_amount_decimal": "12,5"}) == [
        "unit_amount_decimal: '12,5' is not a decimal number"
    ]


def test_expanded_object_is_judged_as_what_it_says_it_is() -> None:
    charge = example(SHAPE, "charge", Random(1))
    assert SHAPE.object_errors("refund", changed(REFUND, ["charge"], charge)) == []
    assert SHAPE.object_errors("refund", changed(REFUND, ["charge"], charge | {"paid": None})) == [
        "charge.paid: must not be null"
    ]


def test_poor_customer_is_not_taken_for_a_deleted_one() -> None:
    errors = SHAPE.object_errors("refund", changed(REFUND, ["customer"], {"id": "cus_1", "object": "customer"}))
    assert errors[:2] == ["customer.created: required, but left out", "customer.livemode: required, but left out"]


def test_whole_number_may_stand_for_a_fraction() -> None:
    rate = example(SHAPE, "tax_rate", Random(1))
    assert SHAPE.object_errors("tax_rate", rate | {"percentage": 19}) == []
    assert SHAPE.object_errors("tax_rate", rate | {"percentage": "19"}) == ["percentage: expected number, got string"]


def test_deleted_customer_passes_only_where_one_may_stand() -> None:
    assert SHAPE.response_errors("GET", "/v1/customers/cus_1", 200, DELETED_CUSTOMER) == []
    errors = SHAPE.response_errors("POST", "/v1/customers", 200, DELETED_CUSTOMER)
    assert errors[:2] == ["created: required, but left out", "livemode: required, but left out"]
    assert errors[-1] == "deleted: unknown field"


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (["data", "object", "amount"], None, "data.object.amount: must not be null"),
        (["data", "object", "object"], "refundling", "data.object: no object named 'refundling' is published"),
        (["data", "previous_attributes"], {"sum": 1}, "data.previous_attributes.sum: unknown field"),
        (["data", "object"], ABSENT, "data.object: required, but left out"),
        (["data", "object"], "re_1", "data.object: expected object, got string"),
        (["data"], None, "data: must not be null"),
        (["request"], ABSENT, "request: left out, though Stripe always sends it, null if empty"),
    ],
)
def test_flaw_in_an_event_or_what_it_carries_is_one_error(
    place: list[str | int], value: object, expected: str
) -> None:  # fmt: skip
    assert SHAPE.object_errors("event", changed(EVENT, place, value)) == [expected]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 424, 429, 500, 503])
def test_error_statuses_carry_an_error(status: int) -> None:
    assert SHAPE.response_errors("POST", "/v1/payment_intents", status, ERROR) == []
    assert SHAPE.response_errors("POST", "/v1/payment_intents", status, {}) == ["error: required, but left out"]


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (["error", "type"], ABSENT, "error.type: required, but left out"),
        (
            ["error", "type"],
            "my_error",
            "error.type: 'my_error' is not one of api_error, card_error, idempotency_error, invalid_request_error",
        ),
        (["error", "param"], None, "error.param: must not be null"),
        (["error", "reason"], "x", "error.reason: unknown field"),
        (["message"], "x", "message: unknown field"),
    ],
)
def test_flawed_error_is_one_error(place: list[str | int], value: object, expected: str) -> None:
    assert SHAPE.response_errors("POST", "/v1/refunds", 400, changed(ERROR, place, value)) == [expected]


@pytest.mark.parametrize("status", [201, 204, 302, 418])
def test_status_that_stripe_does_not_use_is_an_error(status: int) -> None:
    assert SHAPE.response_errors("GET", "/v1/refunds", status, REFUNDS) == [f"(root): Stripe answers with no status {status}"]


def test_answer_from_an_unpublished_path_must_be_an_error() -> None:
    assert SHAPE.response_errors("GET", "/v1/nothing", 404, ERROR) == []
    assert SHAPE.response_errors("GET", "/v1/nothing", 200, {}) == ["GET /v1/nothing: no such method or path, yet answered 200"]


def test_object_with_an_unpublished_name_is_an_error() -> None:
    assert SHAPE.object_errors("refundling", {}) == ["(root): no object named 'refundling' is published"]


@given(st.sampled_from(NAMES), st.randoms(use_true_random=False))
def test_every_published_object_passes(name: str, random: Random) -> None:
    assert SHAPE.object_errors(name, example(SHAPE, name, random)) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_field_that_stripe_always_sends_is_missed(name: str) -> None:
    schema = SHAPE.schemas[name]
    good = example(SHAPE, name, Random(name))
    always = [*schema.get("required", []), *schema.get("x-expected", [])]
    assert always
    found = [SHAPE.object_errors(name, changed(good, [field], ABSENT)) for field in always]
    assert [(len(errors), errors[0].partition(":")[0]) for errors in found] == [(1, field) for field in always]


@pytest.mark.parametrize("name", NAMES)
def test_every_object_refuses_a_field_it_does_not_know(name: str) -> None:
    good = example(SHAPE, name, Random(name))
    assert SHAPE.object_errors(name, good | {"unheard_of": 1}) == ["unheard_of: unknown field"]
