"""The judge finds each kind of wrong parameter and names it as Stripe's `param` would."""

from __future__ import annotations

from urllib.parse import quote_plus, urlencode

import pytest

from tests.contract.stripe_shape import Shape

SHAPE = Shape.load()
GOOD_SESSION = {
    "mode": "payment",
    "success_url": "https://example.org/thanks",
    "expires_at": "1790000000",
    "client_reference_id": "donation_1",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][product_data][name]": "Donation",
    "line_items[0][price_data][unit_amount]": "2500",
    "line_items[0][quantity]": "1",
    "payment_intent_data[metadata][donation]": "donation_1",
    "allow_promotion_codes": "false",
    "expand[]": "payment_intent",
}


def errors_with(changes: dict[str, str], without: str = "") -> list[str]:
    form = {key: value for key, value in {**GOOD_SESSION, **changes}.items() if key != without}
    return SHAPE.request_errors("POST", "/v1/checkout/sessions", urlencode(form).encode())


def test_well_formed_request_has_no_errors() -> None:
    assert errors_with({}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount": "5"}, "amount: unknown parameter"),
        ({"line_items[0][name]": "x"}, "line_items[0][name]: unknown parameter"),
        ({"mode": "gift"}, "mode: 'gift' is not one of payment, setup, subscription"),
        ({"expires_at": "tomorrow"}, "expires_at: 'tomorrow' is not an integer"),
        ({"expires_at": "1.5"}, "expires_at: '1.5' is not an integer"),
        ({"expires_at": ""}, "expires_at: '' is not an integer"),
        ({"line_items[0][quantity]": "1e3"}, "line_items[0][quantity]: '1e3' is not an integer"),
        (
            {"line_items[0][price_data][unit_amount_decimal]": "1,5"},
            "line_items[0][price_data][unit_amount_decimal]: '1,5' is not a number",
        ),
        ({"allow_promotion_codes": "True"}, "allow_promotion_codes: 'True' is neither true nor false"),
        ({"client_reference_id": "x" * 201}, "client_reference_id: longer than 200 characters"),
        ({"success_url": "x" * 5001}, "success_url: longer than 5000 characters"),
        ({"mode[payment]": "x"}, "mode[payment]: given both as a value and as a hash"),
        ({"success_url[": "x"}, "success_url[: malformed parameter name"),
        ({"invoice_creation": "yes"}, "invoice_creation: expected a hash"),
        ({"customer[id]": "cus_1"}, "customer: expected string, got a hash"),
        ({"line_items[1][quantity]": "two"}, "line_items[1][quantity]: 'two' is not an integer"),
        ({"discounts": "SUMMER"}, "discounts: expected a list"),
        ({"discounts[first][coupon]": "SUMMER"}, "discounts: expected a list"),
        ({"metadata[k][deep]": "x"}, "metadata[k]: expected string, got a hash"),
        ({f"metadata[{'k' * 41}]": "x"}, f"metadata[{'k' * 41}]: key longer than 40 characters"),
        ({"metadata[k]": "x" * 501}, "metadata[k]: longer than 500 characters"),
        ({"metadata[k]": "x" * 5001}, "metadata[k]: longer than 5000 characters"),
        ({f"metadata[{n}]": "x" for n in range(51)}, "metadata: more than 50 keys"),
        (
            {"payment_intent_data[metadata][donation]": "x" * 501},
            "payment_intent_data[metadata][donation]: longer than 500 characters",
        ),
    ],
)
def test_one_flaw_in_a_request_is_one_error_at_its_place(changes: dict[str, str], expected: str) -> None:
    assert errors_with(changes) == [expected]


@pytest.mark.parametrize(
    "changes",
    [
        {"client_reference_id": "x" * 200},
        {f"metadata[{n}]": "x" for n in range(50)},
        {f"metadata[{'k' * 40}]": "x" * 500},
        {"discounts": ""},
        {"line_items[0][price_data][unit_amount_decimal]": "1.5"},
        {"line_items[1][price]": "price_1", "line_items[1][quantity]": "2"},
    ],
)
def test_what_is_just_within_the_rules_passes(changes: dict[str, str]) -> None:
    assert errors_with(changes) == []


def test_required_parameter_is_missed_at_every_depth() -> None:
    assert errors_with({}, without="line_items[0][price_data][currency]") == [
        "line_items[0][price_data][currency]: required, but left out"
    ]
    assert SHAPE.request_errors("POST", "/v1/prices", b"unit_amount=500") == ["currency: required, but left out"]


def test_required_query_parameter_is_missed() -> None:
    assert SHAPE.request_errors("GET", "/v1/subscription_items", query="subscription=sub_1") == []
    assert SHAPE.request_errors("GET", "/v1/subscription_items") == ["subscription: required, but left out"]


def test_enum_that_stripe_does_not_insist_on_lets_anything_pass() -> None:
    assert SHAPE.request_errors("GET", "/v1/invoices", query="status=past_due") == []


def test_fixed_path_is_preferred_to_one_with_a_variable() -> None:
    def operation(parameter: str) -> dict[str, object]:
        return {"get": {"parameters": [{"name": parameter, "in": "query", "required": True, "schema": {}}]}}

    paths = {"/v1/charges/{charge}": operation("of_charge"), "/v1/charges/search": operation("of_search")}
    shape = Shape({"components": {"schemas": {}}, "paths": paths})
    assert shape.request_errors("GET", "/v1/charges/search") == ["of_search: required, but left out"]
    assert shape.request_errors("GET", "/v1/charges/ch_1") == ["of_charge: required, but left out"]


def test_parameter_given_twice_is_an_error() -> None:
    assert SHAPE.request_errors("POST", "/v1/refunds", b"charge=ch_1&charge=ch_2") == ["charge: given twice"]
    assert SHAPE.request_errors("POST", "/v1/refunds", b"charge=ch_1", "charge=ch_2") == ["charge: given twice"]


def test_hash_or_value_alternatives_are_judged_by_the_nearest() -> None:
    charges = "/v1/charges"
    assert SHAPE.request_errors("GET", charges, query="created=1790000000") == []
    assert SHAPE.request_errors("GET", charges, query=quote_plus("created[gte]", safe="") + "=1790000000") == []
    assert SHAPE.request_errors("GET", charges, query="created[from]=1") == ["created[from]: unknown parameter"]
    assert SHAPE.request_errors("GET", charges, query="created=today") == ["created: 'today' is not an integer"]


def test_empty_string_unsets_only_what_can_be_unset() -> None:
    assert SHAPE.request_errors("POST", "/v1/customers/cus_1", b"shipping=") == []
    assert SHAPE.request_errors("POST", "/v1/customers/cus_1", b"shipping=none") == ["shipping: expected a hash"]
    assert SHAPE.request_errors("POST", "/v1/refunds", b"charge=ch_1&reason=") == [
        "reason: '' is not one of duplicate, fraudulent, requested_by_customer"
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", []),
        ("limit=1", []),
        ("limit=100&starting_after=re_1", []),
        ("limit=0", ["limit: must be between 1 and 100"]),
        ("limit=101", ["limit: must be between 1 and 100"]),
        ("limit=all", ["limit: 'all' is not an integer"]),
        ("page=2", ["page: unknown parameter"]),
    ],
)
def test_list_parameters_are_judged(query: str, expected: list[str]) -> None:
    assert SHAPE.request_errors("GET", "/v1/refunds", query=query) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/refunds"), ("GET", "/v1/refund"), ("GET", "/v1/refunds/re_1/more"), ("DELETE", "/v1/refunds/re_1")],
)
def test_unpublished_method_or_path_is_an_error(method: str, path: str) -> None:
    assert SHAPE.request_errors(method, path) == [f"{method} {path}: no such method or path"]
