"""What a gift shows of its giver, and what it does not."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from donations.models import Donation
from tests.browser.steps import arrived, at_checkout, open_campaign, pay, wall_shows
from tests.live import Live, a_campaign

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def give(tab: Page, live: Live, campaign: str, **typed: str) -> None:
    """A gift of $20 with a message or a dedication."""
    open_campaign(tab, campaign)
    tab.get_by_text("Add a message or a dedication").click()
    kind = typed.pop("dedication-kind", "")
    if kind:
        tab.locator("#dedication-kind").select_option(label=kind)
    if typed.pop("anonymous", ""):
        tab.locator("#anonymous").check()
    for field, text in typed.items():
        tab.locator(f"#{field}").fill(text)
    tab.locator("#give").click()
    at_checkout(tab, live, "$20.00")
    pay(tab, "$20.00")
    arrived(tab, live, "$20.00")
    live.flush()


def test_anonymous_gift_shows_neither_name_nor_message(tab: Page, live: Live) -> None:
    campaign = a_campaign()
    give(tab, live, campaign, **{"donor-name": "Ada", "anonymous": "yes", "message": "For the wells", "email": "ada@example.org"})

    open_campaign(tab, campaign, donors="1")
    wall_shows(tab, ["Anonymous $20.00"])
    assert not {"Ada", "For the wells", "ada@example.org"} & set(tab.content().split('"'))
    assert "For the wells" not in tab.content()
    assert "For the wells" not in str(live.wall(campaign))
    gift = Donation.objects.get()
    assert (gift.message, gift.anonymous) == ("For the wells", True)


@pytest.mark.parametrize(("kind", "told"), [("In memory of", "In memory of Alan"), ("In honour of", "In honour of Alan")])
def test_named_gift_shows_its_message_and_dedication(tab: Page, live: Live, kind: str, told: str) -> None:
    campaign = a_campaign()
    typed = {"donor-name": "Ada", "message": "For the wells", "dedication-kind": kind, "dedication-name": "Alan"}
    give(tab, live, campaign, **typed)

    open_campaign(tab, campaign, donors="1")
    wall_shows(tab, ["Ada $20.00", told, "For the wells"])


def test_markup_in_a_name_and_a_message_is_only_text(tab: Page, live: Live) -> None:
    campaign = a_campaign()
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    give(tab, live, campaign, **{"donor-name": markup, "message": markup})

    open_campaign(tab, campaign, donors="1")
    wall_shows(tab, [f"{markup} $20.00", markup])
    assert tab.locator("#wall img, #wall b").count() == 0


def test_half_a_dedication_is_told_beside_the_missing_half(tab: Page, live: Live) -> None:
    open_campaign(tab, a_campaign())
    tab.get_by_text("Add a message or a dedication").click()
    tab.locator("#dedication-kind").select_option(label="In memory of")
    tab.locator("#give").click()
    expect(tab.locator("#dedication-name + .field-error")).to_have_text("Write whose name it is for.")
    tab.locator("#dedication-kind").select_option(label="None")
    tab.locator("#dedication-name").fill("Alan")
    tab.locator("#give").click()
    expect(tab.locator("#dedication-kind + .field-error")).to_have_text("Choose what kind of dedication it is.")
    assert live.sandbox.objects("checkout.session") == []


def test_wall_loads_older_gifts_until_there_are_none(tab: Page, live: Live) -> None:
    campaign = a_campaign()
    started = [live.give(campaign_id=campaign, amount=number, donor_name=f"Donor {number}") for number in range(1, 15)]
    for one in started:
        live.pay(one, flush=False)
    live.flush()

    open_campaign(tab, campaign, raised="$105.00", donations="14")
    expect(tab.locator("#wall li[data-donation-id]")).to_have_count(12)
    tab.locator("#wall-more").click()
    expect(tab.locator("#wall li[data-donation-id]")).to_have_count(14)
    expect(tab.locator("#wall-more")).to_be_hidden()
    shown = tab.locator("#wall li[data-donation-id]").evaluate_all("gifts => gifts.map(gift => gift.dataset.donationId)")
    assert sorted(shown) == sorted(one["donation_id"] for one in started)
