"""What comes in: JSON without floats, no unknown fields, no control characters."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from rest_framework import serializers
from rest_framework.exceptions import ParseError

from conventions.errors import render_exception
from conventions.parsers import ExactJSONParser
from conventions.public_ids import is_public_id, new_public_id
from conventions.serializers import PersonsTextField, StrictSerializer


def parse(raw: str | bytes) -> Any:
    return ExactJSONParser().parse(io.BytesIO(raw.encode() if isinstance(raw, str) else raw))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ('{"a": 25.10}', {"a": Decimal("25.10")}),
        ('{"a": 0.1}', {"a": Decimal("0.1")}),
        ('{"a": 25}', {"a": 25}),
        ('{"a": 1e2}', {"a": Decimal("1E+2")}),
        ('{"a": 12345678901234567890.123456789}', {"a": Decimal("12345678901234567890.123456789")}),
        ('{"a": "25.10"}', {"a": "25.10"}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ("", {}),
        (" \n", {}),
        ("[]", []),
        ("null", None),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_numbers_stay_exactly_what_was_written(raw: str, value: Any) -> None:
    parsed = parse(raw)
    assert (parsed, str(parsed)) == (value, str(value))


BROKEN: dict[str, bytes] = {
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "unfinished": b'{"a": ',
    "two values": b"{} {}",
    "single quotes": b"{'a': 1}",
    "trailing comma": b'{"a": 1,}',
    "not UTF-8": b'{"a": "\xff"}',
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "integer of 5000 digits": b'{"a": ' + b"1" * 5000 + b"}",
    "fraction beyond arithmetic": b'{"a": 1e99999999999999999999}',
    "tiny beyond arithmetic": b'{"a": 1e-99999999999999999999}',
    "raw control character": b'{"a": "\x00"}',
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_what_is_not_json_or_cannot_be_held_is_a_400(name: str) -> None:
    with pytest.raises(ParseError, match="The body is not valid JSON"):
        parse(BROKEN[name])


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["deep", "fraction beyond arithmetic", "integer of 5000 digits", "NaN"])
def test_a_broken_body_is_a_400_over_http(name: str) -> None:
    client = Client(raise_request_exception=False)
    answer = client.post("/api/auth/login", BROKEN[name], content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"\\ud800": 1}', ["?"]),
        (b'{"email": "\\ud800", "password": "x"}', ["email"]),
    ],
)
def test_half_of_a_character_is_refused_by_its_field(body: bytes, fields: list[str]) -> None:
    answer = Client(raise_request_exception=False).post("/api/auth/login", body, content_type="application/json")
    assert (answer.status_code, sorted(answer.json()["fields"])) == (400, fields)


@pytest.mark.django_db
def test_a_body_of_megabytes_is_refused_before_it_is_read() -> None:
    raw = b'{"email": "' + b"x" * 3_000_000 + b'"}'
    answer = Client(raise_request_exception=False).post("/api/auth/login", raw, content_type="application/json")
    assert answer.status_code == 413


class Inner(StrictSerializer):
    name = PersonsTextField(max_length=5, allow_blank=False)


class Outer(StrictSerializer):
    text = PersonsTextField(max_length=10, required=False, paragraphs=True)
    inner = Inner(required=False)


def problems(data: Any) -> dict[str, Any]:
    """Codes by field, as the API names fields."""
    try:
        Outer(data=data).is_valid(raise_exception=True)
    except serializers.ValidationError as error:
        told = render_exception(serializers.ValidationError(error.get_codes()), {})
        assert told is not None
        return dict(told.data["fields"])
    return {}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, {}),
        ({"text": "a\nb\tc"}, {}),
        ({"text": "👋 žluť"}, {}),
        ({"txt": 1, "aaa": 2}, {"txt": ["unknown_field"], "aaa": ["unknown_field"]}),
        ({"inner": {"name": "a", "x": 1}}, {"inner.x": ["unknown_field"]}),
        ({"inner": {"name": ""}}, {"inner.name": ["blank"]}),
        ({"text": "x" * 11}, {"text": ["max_length"]}),
        ({"text": 7}, {"text": ["invalid"]}),
        ({"text": True}, {"text": ["invalid"]}),
        ({"text": ["a"]}, {"text": ["invalid"]}),
        ({"text": None}, {"text": ["null"]}),
        ({"text": "a\x07"}, {"text": ["control_characters"]}),
        ({"text": "a\x85b"}, {"text": ["control_characters"]}),
        ({"text": "a\ue000b"}, {"text": ["control_characters"]}),
        ({"text": "a\u2066b"}, {"text": ["control_characters"]}),
        ({"text": "a\u202eb"}, {"text": ["control_characters"]}),
    ],
)
def test_unknown_fields_and_unfit_text_are_refused_by_name(data: Any, expected: dict[str, Any]) -> None:
    assert problems(data) == expected


@pytest.mark.parametrize("data", [[], "x", 1, None, [{}]])
def test_a_body_that_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(serializers.ValidationError):
        Outer(data=data).is_valid(raise_exception=True)


def test_text_is_trimmed() -> None:
    serializer = Outer(data={"text": "  a b \n"})
    assert serializer.is_valid()
    assert serializer.validated_data == {"text": "a b"}


def test_public_ids_are_unique_sorted_by_time_and_say_what_they_are() -> None:
    ids = [new_public_id("donation") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(is_public_id(i, "donation") and not is_public_id(i, "campaign") for i in ids)
    assert ids[0][:17] <= ids[-1][:17]


@pytest.mark.parametrize(
    "value", ["", "donation_", "donation_x", "donation_8" + "0" * 25, "donation_" + "0" * 27, "Donation_" + "0" * 26]
)
def test_what_has_not_the_form_of_an_id_is_none(value: str) -> None:
    assert is_public_id(value, "donation") is False
