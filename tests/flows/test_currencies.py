"""One amount, exact from the form over Stripe to the total, the wall, the proof and the mail."""

from __future__ import annotations

import pytest

from payments.models import Payment
from tests.live import Live, a_campaign

# currency, as written, at Stripe, as shown, as mailed
EXACT = [
    ("jpy", "500", 500, "500", "¥500"),
    ("kwd", "5.12", 5120, "5.120", "KWD5.120"),
    ("kwd", "5.120", 5120, "5.120", "KWD5.120"),
    ("isk", "1500", 150_000, "1500", "ISK1,500"),
    ("huf", "2000.50", 200_050, "2000.50", "HUF2,000.50"),
    ("eur", 0.5, 50, "0.50", "€0.50"),
    ("usd", "999999.99", 99_999_999, "999999.99", "$999,999.99"),
]
REFUSED = [
    ("jpy", "500.5", "amount_too_precise"),
    ("kwd", "5.123", "amount_too_precise"),
    ("isk", "1500.50", "amount_too_precise"),
    ("usd", "10.001", "amount_too_precise"),
    ("huf", "174.99", "amount_too_small"),
    ("usd", "0.49", "amount_too_small"),
    ("usd", "-5", "amount_too_small"),
    ("usd", "1000000.00", "amount_too_large"),
    ("usd", "1e400", "amount_too_large"),
    ("usd", "٢٥", "invalid_amount"),
    ("usd", "25,00", "invalid_amount"),
    ("usd", True, "invalid"),
    ("usd", None, "null"),
]


@pytest.mark.parametrize(("currency", "written", "at_stripe", "shown", "mailed"), EXACT)
def test_amount_is_exact_everywhere(live: Live, currency: str, written: object, at_stripe: int, shown: str, mailed: str) -> None:
    campaign = a_campaign(currency=currency, goal_minor=None)
    started = live.give(campaign_id=campaign, amount=written, currency=currency.upper(), email="ada@example.org")
    [price] = live.sandbox.objects("price")
    assert (price["unit_amount"], price["currency"]) == (at_stripe, currency)
    live.pay(started)
    assert live.sandbox.objects("charge")[0]["amount"] == at_stripe
    session = live.session(started)
    assert (session["amount"], session["currency"]) == (shown, currency.upper())
    assert live.campaign(campaign)["current_amount"] == shown
    assert [(gift["amount"], gift["currency"]) for gift in live.wall(campaign)] == [(shown, currency.upper())]
    assert live.get(f"/api/campaigns/{campaign}/proof")["net"] == shown
    [receipt] = live.receipts()
    page = live.ask("GET", f"/campaigns/{live.campaign(campaign)['slug']}").text
    for text in (receipt.subject, receipt.body, receipt.alternatives[0].content, page):
        assert mailed in text.replace("\xa0", "").replace("&nbsp;", "")


def test_code_of_a_currency_without_a_sign_stands_apart_from_the_number(live: Live) -> None:
    live.give_and_pay(campaign_id=a_campaign(currency="kwd"), amount="5.12")
    [receipt] = live.receipts()
    assert "KWD\xa05.120" in receipt.subject


@pytest.mark.parametrize(("currency", "written", "code"), REFUSED)
def test_amount_that_stripe_would_not_charge_is_refused_and_never_rounded(
    live: Live, currency: str, written: object, code: str
) -> None:
    refused = live.give(400, campaign_id=a_campaign(currency=currency), amount=written)
    assert (refused["success"], refused["code"], list(refused["fields"])) == (False, code, ["amount"])
    assert (Payment.objects.count(), live.sandbox.objects("checkout.session")) == (0, [])


def test_gift_in_another_currency_than_the_campaign_is_refused_by_name(live: Live) -> None:
    refused = live.give(400, campaign_id=a_campaign(currency="eur"), currency="usd")
    assert (refused["code"], list(refused["fields"])) == ("other_currency", ["currency"])
    assert "EUR" in refused["error"]


def test_unknown_currency_is_refused_by_name(live: Live) -> None:
    assert live.give(400, campaign_id=a_campaign(), currency="xxx")["code"] == "unknown_currency"
