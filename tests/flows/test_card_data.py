"""Of cards nothing is kept but brand, last four digits and expiry month: every row of every table is read after people have
paid, and so is every form and page that takes money."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db.models import Model

from payments.models import StripeEvent
from pricing.tests.factories import make_plan
from tests.live import Live, a_campaign
from wallets.models import PaymentMethod

ROOT = Path(__file__).parent.parent.parent
CARDS = ("4242424242424242", "4000000000000341")  # the first pays; the second is attached, and then declined
DIGITS = re.compile(r"(?<![0-9A-Za-z_.-])[2-6]\d{12,18}(?![0-9A-Za-z_.-])")
# Names under which card data would come, as columns or in documents. (`cvc_check` says pass or fail, and is no number.)
FORBIDDEN = frozenset({"number", "card_number", "pan", "cvc", "cvv", "cvc2", "cvv2", "track_data", "pin", "pin_block"})
OF_DOCUMENTS = frozenset({"djstripe", "payments"})  # whose rows hold what Stripe sent


def is_luhn(digits: str) -> bool:
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


def all_rows() -> Iterator[tuple[type[Model], dict[str, Any]]]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            for row in model._default_manager.values():
                yield model, row


def names_in(value: Any) -> Iterator[str]:
    """Every key of a document, of documents within texts too."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def test_no_row_of_any_table_holds_a_card_number_or_code(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign, amount=25, card=CARDS[0])
    started = live.give(campaign_id=campaign, amount=10)
    live.pay(started, 402, card=CARDS[1], email="gus@example.org", flush=False)
    bought = live.post(
        "/api/finances/api/purchase/initiate/",
        201,
        {"plan_id": make_plan().pk, "student_info": {"name": "Ada", "email": "ada@example.org"}},
    )
    how = {"payment_method": "pm_card_visa", "return_url": live.url}
    live.sandbox.stripe("POST", f"/v1/payment_intents/{bought['payment_intent_id']}/confirm", **how)
    live.flush()
    live.sweep()

    found, read = [], 0
    for model, row in all_rows():
        text = json.dumps(row, default=str)
        read += 1
        found += [f"{model._meta.label}: {digits}" for digits in DIGITS.findall(text) if is_luhn(digits)]
        found += [f"{model._meta.label}: {card}" for card in CARDS if card in text]
        if model._meta.app_label in OF_DOCUMENTS:
            found += [f"{model._meta.label}: {name}" for name in names_in(list(row.values())) if name in FORBIDDEN]

    assert found == []
    assert read > 50
    assert StripeEvent.objects.filter(payload__contains="4242").exists()  # the last four are there: cards did pay


def test_no_column_could_take_a_card_number() -> None:
    columns = {f"{model._meta.label}.{f.name}" for model in apps.get_models() for f in model._meta.concrete_fields}

    assert {
        column for column in columns if column.rpartition(".")[2] in FORBIDDEN and not column.startswith("djstripe.")
    } == set()
    of_cards = {field.name for field in PaymentMethod._meta.concrete_fields}
    assert of_cards >= {"brand", "last4", "exp_month", "exp_year"}
    assert PaymentMethod._meta.get_field("last4").max_length == 4


@pytest.mark.parametrize(
    "kind", ["templates/**/*.html", "static/js/*.js", "*/serializers.py", "*/serializers/*.py", "*/forms.py"]
)
def test_no_form_or_body_asks_for_a_card(kind: str) -> None:
    asked = re.compile(
        r"""<input[^>]+(name|id|autocomplete)=["'](cc-|card|cvc|cvv|pan["'])|card_?number|\bcvc\b *[:=]|\bcvv\b *[:=]""", re.I
    )
    read = list(ROOT.glob(kind))

    assert [str(path) for path in read if asked.search(path.read_text())] == []
    assert read != []
