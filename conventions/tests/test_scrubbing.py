"""What must not be in a log line is not in it, wherever it came from."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from conventions.log_context import about, ids, note
from conventions.log_lines import JsonLines, PlainLines
from conventions.scrubbing import LONGEST, scrubbed, scrubbed_value

KEY = "sk_live_" + "a1B2" * 8
SECRETS: dict[str, tuple[str, str]] = {
    "secret key": (f"bad key {KEY}.", "bad key sk_live_***."),
    "restricted key": ("rk_test_abc123DEF", "rk_test_***"),
    "key that Stripe has shortened": ("Invalid API Key provided: sk_test_****aaaa", "Invalid API Key provided: sk_test_***"),
    "webhook secret": ("whsec_9f8e7d", "whsec_***"),
    "bearer token": ("Authorization failed for Bearer abc.def-123", "Authorization failed for Bearer ***"),
    "header": ("{'Authorization': 'Token abc123', 'x': 1}", "{'Authorization': ***"),
    "token of a log-in": ("got eyJhbGciOi.eyJzdWIiOi.c2lnbmF0 there", "got *** there"),
    "client secret": ("pi_3Abc_secret_Xyz789 of it", "pi_3Abc_secret_*** of it"),
    "client secret of a session": ("cs_test_a1B2_secret_fid9", "cs_test_a1B2_secret_***"),
    "client secret by name": ('{"client_secret": "whatever", "id": 1}', '{"client_secret": "***", "id": 1}'),
    "password": ("password='hunter22', user=1", "password='***', user=1"),
    "database address": ("postgres://app:hunter22@db:5432/x", "postgres://app:***@db:5432/x"),
    "link of a mail": ("GET /verify-email?token=abc-1.2&x=1", "GET /verify-email?token=***&x=1"),
    "card": ("card 4242424242424242 declined", "card ****4242 declined"),
    "card in groups": ("card 4242 4242 4242 4242, exp", "card ****4242, exp"),
    "card with dashes": ("3782-822463-10005", "****0005"),
    "address": ("mail to ada.lovelace+x@example.org failed", "mail to a***@example.org failed"),
    "address of one letter": ("<a@example.org>", "<a***@example.org>"),
    "address in other letters": ("élodie@exemple.fr", "é***@exemple.fr"),
    "card before its expiry": ("card 4242424242424242 12/29 123", "card ****4242 12/29 123"),
    "card after a number": ("id 7 4242424242424242", "id 7 ****4242"),
    "card after a date": ("2026-11-21 4242 4242 4242 4242", "2026-11-21 ****4242"),
    "card with dots": ("4242.4242.4242.4242", "****4242"),
    "card that sticks to words": ("card4242424242424242_x", "card****4242_x"),
    "card within digits": ("0004000056655665556001", "000****5556001"),
    "two cards": ("4242424242424242 5555555555554444", "****4242 ****4444"),
    "key of an organization": ("sk_org_live_abcdef", "sk_org_live_***"),
    "webhook secret of base64": ("whsec_ab+c/d=, x", "whsec_***, x"),
    "token for the next one": ("refresh_token=abc.def-1", "refresh_token=***"),
    "password of several words": ('{"password": "correct horse, battery", "id": 1}', '{"password": "***", "id": 1}'),
    "password with a quote": (r'"password": "a\"b c", x', '"password": "***", x'),
    "password in a text within a text": (r'"{\"password\": \"hunter 22\", \"id\": 1}"', r'"{\"password\": \"***\", \"id\": 1}"'),
    "token of a dictionary": ("{'token': 'abc 123', 'n': 1}", "{'token': '***', 'n': 1}"),
    "key of a header": ("X-Api-Key: abc", "X-Api-Key: ***"),
    "signature": ("Stripe-Signature: t=1,v1=abc", "Stripe-Signature: ***"),
    "client secret in an address": ("?client_secret=pi_1_secret_abc&x=1", "?client_secret=***&x=1"),
    "address with an apostrophe": ("o'brien@example.org", "o***@example.org"),
    "row that PostgreSQL refused": (
        "DETAIL:  Failing row contains (pay_1, Ada\nLovelace (x), 5).",
        "DETAIL:  Failing row contains (***).",
    ),
    "token of a bot": ("POST /bot123456789:AAF-x_Yz" + "0aB" * 10 + "/getMe", "POST /bot123456789:***/getMe"),
    "several": (f"{KEY} b@x.org 4242424242424242", "sk_live_*** b***@x.org ****4242"),
}


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_secrets_cards_and_addresses_are_taken_out(name: str) -> None:
    text, left = SECRETS[name]
    assert scrubbed(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "pay_01jq5v2x3y4z5a6b7c8d9e0f1g is paid",
        "evt_1PqRsT2eZvKYlo2C pi_3PqRsT2eZvKYlo2C1234567890123456 cs_test_a1b2c3",
        "1790000000123456 microseconds",  # no card: its digits do not pass the check
        "2026-11-21 07:06:51 in 12 ms",
        "amount_minor 2500 of 99999999",
        "the client secret is not kept",
        "2026-11-21 07:06:51.123456 4242 of 5555 4111, 12.50",
        "01935c3e-8f42-7000-8000-424242424242",
    ],
)
def test_what_an_operator_needs_stays(text: str) -> None:
    assert scrubbed(text) == text


def test_a_long_text_is_cut_and_costs_little() -> None:
    started = time.perf_counter()
    for text in (
        "a" * 1_000_000,
        "a." * 500_000,
        "1 " * 500_000,
        "?key=" * 200_000,
        "password" * 100_000,
        "pi_" * 300_000,
        "4" * 500_000,
        "4 " * 500_000,
        "token='" * 100_000,
        "Failing row contains (" * 90_000,
        "password" + "\\" * 99_999,
    ):
        assert len(scrubbed(text)) < LONGEST + 100
    assert time.perf_counter() - started < 5


def test_values_are_taken_out_at_any_depth_and_by_their_names() -> None:
    value = {
        "a": [{"to": ("ada@example.org",), "n": 3, "ok": True, "none": None}],
        "api_key": KEY,
        "Cookie": "x=y",
        "o": KeyError(KEY),
        "number": 4242424242424242,
        "nanoseconds": 1_795_000_000_000_000_000,
        "huge": 10**5000,
    }
    assert scrubbed_value(value) == {
        "a": [{"to": ["a***@example.org"], "n": 3, "ok": True, "none": None}],
        "api_key": "***",
        "Cookie": "***",
        "o": "'sk_live_***'",
        "number": "****4242",
        "nanoseconds": 1_795_000_000_000_000_000,
        "huge": "***",
    }


def test_a_value_without_end_ends() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert "again" in scrubbed_value(endless)


def lines(formatter: logging.Formatter, write: Callable[[logging.Logger], None]) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("payments.test")
    logger.addHandler(handler)
    write(logger)
    return stream.getvalue()


def fail(logger: logging.Logger) -> None:
    address, card = "ada@example.org", "4242424242424242"
    try:
        raise ValueError(f"{address} paid with {card} and {KEY}")
    except ValueError:
        logger.exception(
            "%s by %s", "pi_1_secret_2", address, extra={"payer": address, "client_secret": "x1", "status_code": 500}
        )


@pytest.mark.parametrize("formatter", [JsonLines(), PlainLines()])
def test_message_arguments_extras_and_traceback_are_scrubbed(formatter: logging.Formatter) -> None:
    line = lines(formatter, fail)
    for kept_out in ("ada@", "4242424242424242", KEY, "_secret_2", "x1"):
        assert kept_out not in line
    for kept in ("a***@example.org", "****4242", "sk_live_***", "Traceback", "ValueError"):
        assert kept in line


def test_a_line_is_one_json_object_with_its_ids() -> None:
    def write(logger: logging.Logger) -> None:
        with about(request_id="r1"), about(event_id="evt_1"):
            note(payment_id="pay_1")
            logger.warning("two\nlines and a \ud800", extra={"status_code": 404})

    line = lines(JsonLines(), write)
    assert line.count("\n") == 1
    found = json.loads(line)
    assert found.pop("at")[10] == "T"
    assert found == {
        "level": "WARNING",
        "logger": "payments.test",
        "message": "two\nlines and a \ud800",
        "status_code": 404,
        "request_id": "r1",
        "event_id": "evt_1",
        "payment_id": "pay_1",
    }


def test_a_plain_line_tells_its_ids_too() -> None:
    def write(logger: logging.Logger) -> None:
        with about(event_id="evt_1"):
            logger.error("no")

    assert lines(PlainLines(), write).endswith("ERROR payments.test no [event_id=evt_1]\n")


def test_an_id_ends_with_its_scope() -> None:
    with about(event_id="evt_1"):
        with about(event_id="evt_2"):
            note(payment_id="pay_2")
            assert ids() == {"event_id": "evt_2", "payment_id": "pay_2"}
        assert ids() == {"event_id": "evt_1"}
    note(payment_id="lost")
    assert ids() == {}


def learn_and_fail() -> None:
    note(payment_id="pay_1")
    raise ValueError


def test_a_scope_that_ends_by_an_error_leaves_its_ids_to_whoever_tells_of_it() -> None:
    with about(request_id="r1"):
        with pytest.raises(ValueError), about(event_id="evt_1"):
            learn_and_fail()
        assert ids() == {"request_id": "r1", "event_id": "evt_1", "payment_id": "pay_1"}
    assert ids() == {}
