"""From the form to the total: what a donor does and sees."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from donations.models import Donation
from payments.models import Payment
from tests.browser.steps import (
    ASKS_FOR_3D_SECURE,
    DECLINED,
    arrived,
    at_checkout,
    open_campaign,
    pay,
    sessions,
    shows,
    wall_shows,
)
from tests.live import Live, a_campaign

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_gift_by_card_changes_the_campaign_and_its_proof(tab: Page, live: Live) -> None:
    campaign = a_campaign(title="Clean water", slug="clean-water", goal_minor=10_000)
    live.give_and_pay(campaign_id=campaign, amount=10, donor_name="Grace", email="grace@example.org")
    open_campaign(tab, "clean-water", raised="$10.00", goal="$100.00", percent="10", donors="1", donations="1")
    wall_shows(tab, ["Grace $10.00"])

    tab.locator("#amount").fill("25")
    tab.locator("#donor-name").fill("Ada")
    tab.locator("#give").click()
    session = at_checkout(tab, live, "$25.00")
    pay(tab, "$25.00", email="ada@example.org")

    arrived(tab, live, "$25.00")
    assert tab.url == f"{live.url}/success?session_id={session}"
    shows(tab, **{"result-status": "Completed", "result-email": "ada@example.org"})
    gift = Donation.objects.get(payment__checkout_session=session)
    shows(tab, **{"result-reference": gift.pk, "result-sentence": "Your gift to “Clean water” has arrived."})

    live.flush()
    with tab.expect_response(lambda answer: "/api/donations?" in answer.url):
        tab.get_by_role("button", name="Back to the campaign").click()
    shows(tab, raised="$35.00", goal="$100.00", percent="35", donors="2", donations="2")
    wall_shows(tab, ["Ada $25.00"], ["Grace $10.00"])
    expect(tab.locator("#wall li").first).to_have_attribute("data-donation-id", gift.pk)

    tab.locator("#prove").click()
    shows(tab, **{"proof-gross": "$35.00", "proof-refunds": "$0.00", "proof-net": "$35.00", "proof-shown": "$35.00"})
    shows(tab, **{"proof-verdict": "Proved. Both are the same, to the smallest unit."})


def test_open_campaign_page_follows_a_gift_of_somebody_else(tab: Page, live: Live) -> None:
    campaign = a_campaign(goal_minor=5_000)
    tab.clock.install()
    live.give_and_pay(campaign_id=campaign, amount=20, donor_name="Ada")
    open_campaign(tab, campaign, raised="$20.00", percent="40", donors="1")
    wall_shows(tab, ["Ada $20.00"])

    live.give_and_pay(campaign_id=campaign, amount=80, donor_name="Grace", email="grace@example.org")
    tab.clock.run_for(5_000)

    shows(tab, raised="$100.00", percent="200", donors="2", donations="2")
    shows(tab, **{"totals-status": "$100.00 raised by 2 donors."})
    wall_shows(tab, ["Grace $80.00"], ["Ada $20.00"])


def test_decline_is_told_and_another_card_makes_one_gift(tab: Page, live: Live) -> None:
    campaign = a_campaign()
    open_campaign(tab, campaign)
    tab.get_by_text("$50", exact=True).click()
    expect(tab.locator("#preset-50")).to_be_checked()
    expect(tab.locator("#give")).to_have_text("Donate $50")
    tab.locator("#give").click()
    session = at_checkout(tab, live, "$50.00")

    pay(tab, "$50.00", card=DECLINED)
    expect(tab.get_by_role("alert")).to_have_text("Your card was declined.")
    live.flush()
    assert live.total(campaign) == ("0.00", 0, 0)
    pay(tab, "$50.00")

    arrived(tab, live, "$50.00")
    live.flush()
    assert live.total(campaign) == ("50.00", 1, 1)
    assert [(gift.state, gift.payment.checkout_session) for gift in Donation.objects.all()] == [("paid", session)]
    assert sessions(live) == [(5000, "usd", "complete")]
    assert len(live.receipts()) == 1


def test_gift_given_up_at_checkout_counts_nothing_and_can_be_tried_again(tab: Page, live: Live) -> None:
    campaign = a_campaign(slug="night-school")
    open_campaign(tab, "night-school")
    expect(tab.locator("#wall-empty")).to_have_text("No gift yet. Yours can be the first.")
    tab.locator("#give").click()
    at_checkout(tab, live, "$20.00")

    tab.get_by_role("link", name="Cancel").click()

    tab.wait_for_url(f"{live.url}/cancel")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Nothing was charged")
    live.flush()
    assert live.total(campaign) == ("0.00", 0, 0)
    assert live.wall(campaign) == []
    tab.locator("#try-again").click()
    tab.wait_for_url(f"{live.url}/campaigns/night-school")
    tab.locator("#give").click()
    at_checkout(tab, live, "$20.00")
    pay(tab, "$20.00")
    arrived(tab, live, "$20.00")
    live.flush()
    assert live.total(campaign) == ("20.00", 1, 1)


def test_3d_secure_that_fails_is_told_and_then_passes(tab: Page, live: Live) -> None:
    campaign = a_campaign()
    open_campaign(tab, campaign)
    tab.locator("#give").click()
    at_checkout(tab, live, "$20.00")

    pay(tab, "$20.00", card=ASKS_FOR_3D_SECURE)
    tab.get_by_role("button", name="Fail authentication").click()
    expect(tab.get_by_role("alert")).to_contain_text("unable to authenticate your payment method")
    assert live.total(campaign) == ("0.00", 0, 0)
    pay(tab, "$20.00", card=ASKS_FOR_3D_SECURE)
    tab.get_by_role("button", name="Complete authentication").click()

    arrived(tab, live, "$20.00")
    live.flush()
    assert live.total(campaign) == ("20.00", 1, 1)
    assert Payment.objects.get().status == "paid"


@pytest.mark.parametrize("twice", ["pressed twice", "sent twice at once"])
def test_donating_twice_at_once_opens_one_checkout(tab: Page, live: Live, twice: str) -> None:
    campaign = a_campaign()
    open_campaign(tab, campaign)

    if twice == "pressed twice":
        tab.locator("#give").dblclick()
    else:
        tab.locator("#giving-form").evaluate("form => { form.requestSubmit(); form.requestSubmit(); }")

    at_checkout(tab, live, "$20.00")
    assert sessions(live) == [(2000, "usd", "open")]
    assert Donation.objects.count() == 1


def test_answer_that_was_lost_is_asked_for_again_not_made_again(tab: Page, live: Live) -> None:
    campaign = a_campaign()
    open_campaign(tab, campaign)

    def lose(route: Route) -> None:
        assert route.fetch().status == 200
        route.abort()

    tab.route("**/api/donations/create-checkout-session/", lose, times=1)
    tab.locator("#give").click()
    expect(tab.locator("#giving-error")).to_have_text("We could not reach the server. Check your connection and try again.")
    assert sessions(live) == [(2000, "usd", "open")]

    tab.locator("#give").click()

    at_checkout(tab, live, "$20.00")
    assert sessions(live) == [(2000, "usd", "open")]
    assert Donation.objects.count() == 1
