"""The pages for people, as a browser without scripts uses them."""

import pytest
import stripe

from sandbox.tests.conftest import Control, donation, payment

FORM = {"email": "ada@example.org", "name": "Ada", "method": "card", "number": "4242 4242 4242 4242", "expiry": "12/40",
        "cvc": "123"}  # fmt: skip


def submit(control: Control, path: str, **fields: str) -> tuple[int, str, str]:
    """Status, where it redirects, and the page."""
    answer = control.http.post(control.url + path, data=FORM | fields, allow_redirects=False, timeout=20)
    return answer.status_code, answer.headers.get("Location", ""), answer.text


def test_page_shows_what_is_bought_and_escapes_it(client: stripe.StripeClient, control: Control) -> None:
    price = {"currency": "kwd", "unit_amount": 5120, "product_data": {"name": "<b>Gift</b>"}}
    session = donation(
        client, line_items=[{"quantity": 2, "price_data": price}], cancel_url="http://127.0.0.1:8000/c",
        customer_email="ada@example.org", submit_type="donate",
    )  # fmt: skip
    page = control.http.get(str(session.url), timeout=20).text
    assert "10.240 KWD" in page
    assert "&lt;b&gt;Gift&lt;/b&gt;" in page
    assert 'value="ada@example.org" type="email" autocomplete="email" readonly' in page
    assert 'href="http://127.0.0.1:8000/c"' in page
    assert "a local stand-in for Stripe" in page


def test_paying_on_the_page_goes_to_the_success_address(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    status, location, _ = submit(control, f"/c/pay/{session.id}")
    assert (status, location) == (303, f"http://127.0.0.1:8000/thanks?session_id={session.id}")
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"number": "4000000000000002"}, "Your card was declined."),
        ({"number": "4242424242424241"}, "Your card number is incorrect."),
        ({"number": "4111111111111111"}, "used a non test card"),
        ({"expiry": "01/20"}, "expiration year is invalid"),
        ({"expiry": "soon"}, "expiration date is incomplete"),
        ({"cvc": "1"}, "security code is invalid"),
        ({"email": "nobody"}, "Invalid email address"),
        ({"name": " "}, "Please enter your name."),
    ],
)
def test_page_says_what_is_wrong_and_stays_open(
    client: stripe.StripeClient, control: Control, fields: dict[str, str], words: str
) -> None:
    session = donation(client)
    status, _, page = submit(control, f"/c/pay/{session.id}", **fields)
    assert status in (400, 402)
    assert words in page
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert submit(control, f"/c/pay/{session.id}")[0] == 303


def test_challenge_page_leads_on_or_back(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    status, challenge, _ = submit(control, f"/c/pay/{session.id}", number="4000002500003155")
    assert (status, challenge[:8]) == (303, "/3ds/pi_")
    refused = submit(control, challenge, outcome="fail")
    assert (refused[0], "unable to authenticate" in refused[2]) == (402, True)
    challenge = submit(control, f"/c/pay/{session.id}", number="4000002500003155")[1]
    status, location, _ = submit(control, challenge, outcome="complete")
    assert (status, location) == (303, f"http://127.0.0.1:8000/thanks?session_id={session.id}")


def test_challenge_of_an_intent_returns_with_its_outcome(client: stripe.StripeClient, control: Control) -> None:
    intent = payment(client, "pm_card_authenticationRequired", return_url="http://127.0.0.1:8000/back?a=b")
    location = submit(control, f"/3ds/{intent.id}", outcome="complete")[1]
    assert location == (
        f"http://127.0.0.1:8000/back?a=b&payment_intent={intent.id}"
        f"&payment_intent_client_secret={intent.client_secret}&redirect_status=succeeded"
    )


def test_account_is_debited_on_the_page(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client, currency="eur")
    assert submit(control, f"/c/pay/{session.id}", method="sepa_debit", iban="AT61 1904 3002 3457 3201")[0] == 303
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"


def test_receipt_shows_the_charge(client: stripe.StripeClient, control: Control) -> None:
    charge = client.v1.charges.retrieve(str(payment(client, description="A gift").latest_charge))
    page = control.http.get(str(charge.receipt_url), timeout=20).text
    assert "$20.00" in page
    assert "A gift" in page


@pytest.mark.parametrize("path", ["/c/pay/cs_test_none", "/3ds/pi_none", "/receipts/ch_none", "/"])
def test_unknown_pages_are_not_found(control: Control, path: str) -> None:
    assert control.http.get(control.url + path, timeout=20).status_code == 404


def test_expired_session_says_so(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    client.v1.checkout.sessions.expire(session.id)
    answer = control.http.get(f"{control.url}/c/pay/{session.id}", timeout=20)
    assert (answer.status_code, "has expired" in answer.text) == (410, True)
