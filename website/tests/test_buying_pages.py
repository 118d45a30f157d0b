"""The pages of plans, purchases and hours, as the server makes them; tests/browser/ presses their buttons."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.tests.factories import UserFactory
from payments import stripe_gateway
from payments.errors import StripeUnavailable
from payments.models import Payment
from payments.money import Money
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing.models import HourLot, PlanPrice, PricingPlan, Product
from pricing.tests.factories import make_plan, pending_purchase

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_plan_on_sale() -> None:
    """But for the product, and what the test makes; whatever other tests emptied."""
    PricingPlan.objects.all().delete()
    Product.objects.get_or_create(sku="hero-me-feelings", defaults={"name": "Board", "amount_minor": 200, "currency": "usd"})


def text(response: Any) -> str:
    return str(response.content.decode())


def names(page: str) -> list[str]:
    return re.findall(r"<h3>([^<]+)</h3>", page)


def prices(page: str) -> list[str]:
    return re.findall(r'<strong class="figure">([^<]+)</strong>', page)


def policy(response: Any) -> dict[str, list[str]]:
    parts = [part.split() for part in response.headers["Content-Security-Policy"].split(";")]
    return {part[0]: part[1:] for part in parts}


# -- the plans --------------------------------------------------------------------------------------
def test_plans_on_sale_stand_in_display_order_with_what_an_hour_costs(client, django_assert_num_queries):
    make_plan(name="Last", display_order=30, hundredths=300, price=Money(1000, "eur"))
    make_plan(name="First", display_order=10, hundredths=500, price=Money(7250, "eur"))
    make_plan(name="Best", display_order=20, is_featured=True, hundredths=1000, price=Money(14_000, "eur"))
    make_plan(name="Gone", display_order=1, is_active=False)
    make_plan(name="Monthly", display_order=5, days=None, hundredths=450, price=Money(5600, "eur"))

    with django_assert_num_queries(2):
        page = text(client.get("/pricing"))

    assert names(page) == ["First", "Best", "Last", "Monthly"]
    assert prices(page) == ["€72.50", "€140", "€10", "€56"]
    assert re.findall(r"An hour is</dt><dd>([^<]+)<", page) == ["€14.50", "€14", "€3.33", "€12.44"]
    assert re.findall(r'class="plan featured" data-plan-id="\d+">\s*<p class="ribbon">([^<]+)</p>\s*<h3>([^<]+)', page) == [
        ("Recommended", "Best")
    ]
    assert 'aria-label="Currency"' not in page


def test_prices_are_shown_in_the_currency_that_was_chosen_where_there_is_one(client):
    both = make_plan(name="Both", display_order=1, price=Money(7500, "eur"))
    PlanPrice.objects.create(plan=both, currency="jpy", amount_minor=12_000)
    make_plan(name="One", display_order=2, price=Money(100, "eur"))

    assert prices(text(client.get("/pricing"))) == ["€75", "€1"]
    page = text(client.get("/pricing?currency=JPY"))
    assert prices(page) == ["¥12,000", "€1"]
    assert f'href="/pricing/{both.pk}?currency=jpy"' in page
    assert prices(text(client.get("/pricing?currency=nonsense"))) == ["€75", "€1"]


@pytest.mark.parametrize(
    ("price", "hundredths", "an_hour"),
    [
        (Money(2825, "eur"), 200, "€14.13"),
        (Money(50, "eur"), 20_000, "€0"),
        (Money(8000, "jpy"), 300, "¥2,667"),
        (Money(25_120, "kwd"), 700, "KWD\N{NO-BREAK SPACE}3.590"),
        (Money(150_000, "isk"), 700, "ISK\N{NO-BREAK SPACE}214"),
        (Money(100_000, "ugx"), 300, "UGX\N{NO-BREAK SPACE}333"),
    ],
)
def test_an_hour_costs_the_same_on_the_pages_as_in_the_api(client, price, hundredths, an_hour):
    plan = make_plan(price=price, hundredths=hundredths)

    for path in ("/pricing", f"/pricing/{plan.pk}"):
        assert re.findall(r"An hour is</dt><dd>([^<]+)<", text(client.get(path))) == [an_hour]


def test_nothing_on_sale_is_said(client):
    assert "Nothing is on sale at the moment." in text(client.get("/pricing"))


# -- buying one ------------------------------------------------------------------------------------
def test_plan_that_is_not_on_sale_cannot_be_bought(client):
    gone = make_plan(is_active=False)

    assert client.get(f"/pricing/{gone.pk}").status_code == 404
    assert client.get("/pricing/999999999999999999999").status_code == 404


def test_buying_page_gives_its_script_the_key_for_browsers_and_is_kept_by_nobody(client, settings):
    settings.STRIPE_PUBLISHABLE_KEY, settings.STRIPE_JS_URL = "pk_test_shown", "https://js.stripe.com/v3/"

    response = client.get(f"/pricing/{make_plan().pk}")

    assert 'data-stripe-key="pk_test_shown" data-stripe-js="https://js.stripe.com/v3/"' in text(response)
    assert settings.STRIPE_SECRET_KEY not in text(response)
    assert "no-store" in response.headers["Cache-Control"]


def test_without_a_publishable_key_the_operator_is_told_and_nothing_is_sold(client, settings):
    settings.STRIPE_PUBLISHABLE_KEY = ""

    page = text(client.get(f"/pricing/{make_plan().pk}"))

    assert "STRIPE_PUBLISHABLE_KEY is missing" in page
    assert "buyer-form" not in page
    assert "STRIPE_PUBLISHABLE_KEY is missing" in text(client.get("/hero-me"))


def test_guest_may_buy_a_package_and_must_log_in_to_subscribe(client):
    package, monthly = make_plan(), make_plan(days=None)

    assert 'id="buyer-email"' in text(client.get(f"/pricing/{package.pk}"))
    page = text(client.get(f"/pricing/{monthly.pk}?currency=eur"))
    assert f'href="/login?next=%2Fpricing%2F{monthly.pk}%3Fcurrency%3Deur"' in page
    assert "buyer-form" not in page


@pytest.mark.parametrize("path", ["/pricing", "/pricing/{plan}", "/pricing/{monthly}", "/hero-me", "/account", "/purchase"])
def test_pages_hold_no_inline_script_or_style(client, path):
    package, monthly = make_plan(), make_plan(days=None)
    client.force_login(UserFactory.create())

    page = text(client.get(path.format(plan=package.pk, monthly=monthly.pk)))

    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []


def test_product_is_offered_with_its_price(client):
    Product.objects.update_or_create(
        sku="hero-me-feelings", defaults={"name": "A board", "amount_minor": 250, "currency": "usd", "is_active": True}
    )

    page = text(client.get("/hero-me"))

    assert "<title>A board · Largesse</title>" in page
    assert prices(page) == ["$2.50"]


# -- Stripe's script ---------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/pricing/{plan}", "/hero-me"])
def test_page_that_takes_a_card_lets_in_the_configured_origin_and_no_other(client, settings, path):
    settings.STRIPE_JS_URL = "http://127.0.0.1:12111/v3/"

    allowed = policy(client.get(path.format(plan=make_plan().pk)))

    for directive in ("script-src", "frame-src", "connect-src"):
        assert allowed[directive] == ["'self'", "http://127.0.0.1:12111"]
    assert allowed["default-src"] == ["'self'"]


def test_with_stripe_s_own_script_what_it_calls_and_frames_is_let_in(client, settings):
    settings.STRIPE_JS_URL = "https://js.stripe.com/v3/"

    allowed = policy(client.get(f"/pricing/{make_plan().pk}"))

    both = {"https://js.stripe.com", "https://checkout.stripe.com"}
    link = {"https://link.com", "https://*.link.com"}
    assert set(allowed["script-src"]) == {"'self'", "https://*.js.stripe.com"} | both
    assert set(allowed["frame-src"]) == {"'self'", "https://*.js.stripe.com", "https://hooks.stripe.com"} | both | link
    assert set(allowed["connect-src"]) == {"'self'", "https://api.stripe.com"} | both | link
    assert "'unsafe-inline'" not in allowed["script-src"]


@pytest.mark.parametrize("path", ["/", "/pricing", "/donate", "/purchase", "/login", "/account"])
def test_no_other_page_lets_in_stripe_s_script(client, path):
    client.force_login(UserFactory.create())

    assert {"script-src", "frame-src", "connect-src"} & set(policy(client.get(path))) == set()


# -- what became of it --------------------------------------------------------------------------------
@pytest.fixture
def guest() -> Story:
    """A purchase by a guest, whose intent is open."""
    return story_of(pending_purchase(make_plan(name="Five hours", hundredths=500, days=30)))


def story_of(payment: Payment) -> Story:
    story = Story(payment)
    Payment.objects.filter(pk=payment.pk).update(payment_intent=story.intent_id)
    return story


def stripe_says(monkeypatch: pytest.MonkeyPatch, story: Story, status: str, **more: Any) -> None:
    intent = {**story.intent(status, charge=status == "succeeded", **more), "client_secret": f"{story.intent_id}_secret_ours"}
    monkeypatch.setattr(stripe_gateway, "retrieve_intent", {story.intent_id: intent}.__getitem__)


def come_back(client: Client, story: Story, *, secret: str = "") -> Any:
    held = secret or f"{story.intent_id}_secret_ours"
    return client.get("/purchase", {"payment_intent": story.intent_id, "payment_intent_client_secret": held})


def title(response: Any) -> str:
    return re.findall(r'<h1 id="result-title">([^<]+)</h1>', text(response))[0]


def test_who_comes_back_before_the_webhook_finds_the_hours_there(client, guest, monkeypatch):
    stripe_says(monkeypatch, guest, "succeeded")

    response = come_back(client, guest)

    [lot] = HourLot.objects.all()
    assert (title(response), response.status_code) == ("Thank you!", 200)
    assert '<p class="amount" id="result-hours">5 hours</p>' in text(response)
    assert f'id="result-expiry" datetime="{lot.expires_at.isoformat()}"' in text(response)
    assert "no-store" in response.headers["Cache-Control"]
    settle_events(guest.succeeded(), source="webhook")
    assert [lot.granted_hundredths for lot in HourLot.objects.all()] == [500]


def test_guest_is_not_told_whether_the_address_has_an_account(client, guest, monkeypatch):
    known = UserFactory.create(email="known@example.org", email_proved_at=timezone.now())
    other = story_of(pending_purchase(guest.payment.purchase.plan, email=known.email))
    pages = []
    for story in (guest, other):
        stripe_says(monkeypatch, story, "succeeded")
        shown = text(come_back(client, story))
        pages.append(re.sub(r"purchase_\w+|ch_\d+|datetime=.*?</time>", "…", shown))

    assert pages[0] == pages[1]
    assert [(lot.student, lot.email) for lot in HourLot.objects.order_by("email")] == [
        (None, "ada@example.org"),
        (known, "known@example.org"),
    ]


@pytest.mark.parametrize("secret", ["guess", "pi_secret_ours", "é"])
def test_who_does_not_hold_the_secret_learns_and_settles_nothing(client, guest, monkeypatch, secret):
    stripe_says(monkeypatch, guest, "succeeded")

    assert come_back(client, guest, secret=secret).status_code == 404
    assert HourLot.objects.count() == 0


@pytest.mark.parametrize("intent", ["", "pi_", "pi_unknown", "pi_" + "x" * 300, "cs_test_1", "pi_a\x00"])
def test_intent_that_is_not_ours_is_not_asked_about(client, monkeypatch, intent):
    monkeypatch.delattr(stripe_gateway, "retrieve_intent")

    assert client.get("/purchase", {"payment_intent": intent}).status_code == 404


def test_owner_needs_no_secret_and_a_stranger_s_account_does_not_help(client, monkeypatch):
    ada = UserFactory.create()
    story = story_of(pending_purchase(make_plan(), user=ada))
    stripe_says(monkeypatch, story, "succeeded")

    client.force_login(UserFactory.create())
    assert come_back(client, story, secret="none").status_code == 404
    client.force_login(ada)
    assert title(come_back(client, story, secret="none")) == "Thank you!"


def test_while_stripe_cannot_be_asked_the_owner_sees_our_books_and_a_guest_is_asked_to_wait(client, guest, monkeypatch):
    ada = UserFactory.create()
    own = story_of(pending_purchase(make_plan(), user=ada))

    def down(intent: str) -> Any:
        raise StripeUnavailable("down")

    monkeypatch.setattr(stripe_gateway, "retrieve_intent", down)

    response = come_back(client, guest)
    assert (title(response), response.status_code) == ("No answer yet", 502)
    client.force_login(ada)
    assert title(come_back(client, own)) == "Not paid yet"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("processing", "Your payment is on its way"),
        ("requires_action", "Not paid yet"),
        ("canceled", "Not paid yet"),
    ],
)
def test_payment_that_is_not_made_yet_is_called_so(client, guest, monkeypatch, status, told):
    stripe_says(monkeypatch, guest, status)

    assert title(come_back(client, guest)) == told
    assert HourLot.objects.count() == 0


def test_decline_is_told_in_stripe_s_words_with_a_way_to_try_again(client, guest, monkeypatch):
    error = {"code": "card_declined", "decline_code": "insufficient_funds", "message": "Your card has insufficient funds."}
    stripe_says(monkeypatch, guest, "requires_payment_method", error=error)

    page = come_back(client, guest)

    assert title(page) == "The payment did not work"
    assert "Your card has insufficient funds." in text(page)
    assert re.findall(r'id="result-again" role="button" href="/pricing/\d+\?currency=(\w+)"', text(page)) == ["eur"]


def test_look_ups_of_payments_are_limited(client, guest, monkeypatch, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "session": "1/m"}
    stripe_says(monkeypatch, guest, "succeeded")

    assert come_back(client, guest).status_code == 200
    assert come_back(client, guest).status_code == 429
