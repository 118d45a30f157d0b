"""Receipts, donor profiles, and gifts of people who have an account."""

from __future__ import annotations

from donations.models import Donation, Donor
from tests.live import Live, a_campaign, mailed_token


def test_receipt_is_sent_once_in_html_and_text(live: Live) -> None:
    campaign = a_campaign(title="Clean water")
    live.sandbox.post("misbehaviour", act="duplicate", share=1)
    started = live.give_and_pay(campaign_id=campaign, donor_name="Ada", email="ada@example.org")
    live.session(started)
    live.sweep()
    live.run_tasks()
    [receipt] = live.receipts()
    html = receipt.alternatives[0]
    assert (receipt.to, receipt.cc, receipt.bcc) == (["ada@example.org"], [], [])
    assert receipt.subject == "Your gift of $25.00 to Clean water"
    assert html.mimetype == "text/html"
    for text in (receipt.body, html.content):
        assert "$25.00" in text
        assert "Ada" in text
        assert started["donation_id"] in text
        assert live.sandbox.objects("charge")[0]["receipt_url"] in text


def test_donor_is_made_by_the_first_gift_and_kept_by_the_next(live: Live) -> None:
    live.give_and_pay(email="ada@example.org")
    assert list(Donor.objects.values_list("email", "name", "user")) == [("ada@example.org", "", None)]
    live.give_and_pay(email="Ada@Example.org", donor_name="Ada Lovelace")
    live.give_and_pay(email="ada@example.org", donor_name="Somebody Else")
    assert list(Donor.objects.values_list("email", "name")) == [("ada@example.org", "Ada Lovelace")]
    assert Donation.objects.filter(donor=Donor.objects.get()).count() == 3


def test_donor_who_writes_the_address_only_at_stripe_is_known_by_it(live: Live) -> None:
    started = live.give()
    live.pay(started, email="grace@example.org", name="Grace")
    assert list(Donor.objects.values_list("email", "name")) == [("grace@example.org", "Grace")]
    assert [receipt.to for receipt in live.receipts()] == [["grace@example.org"]]


def test_signed_in_donor_sees_the_gift_in_the_history(live: Live) -> None:
    campaign = a_campaign(title="Clean water")
    token = live.register("ada@example.org")
    started = live.give(campaign_id=campaign, token=token, message="Hello")
    live.pay(started, email="ada@example.org")
    [gift] = live.get("/api/donations/mine", token=token)["results"]
    assert (gift["id"], gift["state"], gift["amount"], gift["currency"]) == (started["donation_id"], "paid", "25.00", "USD")
    assert (gift["campaign_id"], gift["campaign_title"], gift["message"]) == (campaign, "Clean water", "Hello")
    assert gift["receipt_url"] == live.sandbox.objects("charge")[0]["receipt_url"]
    assert live.get(f"/api/donations/{started['donation_id']}", token=token) == gift


def test_guests_gifts_belong_to_a_user_only_after_the_address_is_proved(live: Live) -> None:
    started = live.give_and_pay(email="ada@example.org")
    token = live.register("ada@example.org", prove=False)
    assert live.get("/api/donations/mine", token=token)["results"] == []
    assert live.get(f"/api/donations/{started['donation_id']}", 404, token=token)["code"] == "not_found"
    assert live.get("/api/donors/me", 404, token=token)["code"] == "not_found"
    live.post("/api/auth/verify-email", 200, {"token": mailed_token("ada@example.org")})
    assert [gift["id"] for gift in live.get("/api/donations/mine", token=token)["results"]] == [started["donation_id"]]
    assert live.get("/api/donors/me", token=token)["email"] == "ada@example.org"


def test_address_written_by_a_stranger_gives_no_look_at_its_owners_gifts(live: Live) -> None:
    """Eve gives with Ada's address: Ada sees that gift once she proves her address, Eve sees nothing of Ada's."""
    eve = live.register("eve@example.org")
    own = live.give_and_pay(email="ada@example.org")
    by_eve = live.give(token=eve, email="ada@example.org")
    live.pay(by_eve, email="ada@example.org")
    seen = [gift["id"] for gift in live.get("/api/donations/mine", token=eve)["results"]]
    assert seen == [by_eve["donation_id"]]
    assert live.get("/api/donors/me", 404, token=eve)["code"] == "not_found"
    live.get(f"/api/donations/{own['donation_id']}", 404, token=eve)


def test_donor_changes_the_profile_and_the_habit_decides_the_next_gift(live: Live) -> None:
    campaign = a_campaign()
    token = live.register("ada@example.org")
    live.pay(live.give(campaign_id=campaign, token=token, donor_name="Ada"), email="ada@example.org")
    body = {"name": "Ada L.", "anonymous_by_default": True}
    changed = live.ask("PATCH", "/api/donors/me", json=body, headers={"Authorization": f"Bearer {token}"}).json()
    assert (changed["name"], changed["anonymous_by_default"], changed["email"]) == ("Ada L.", True, "ada@example.org")
    live.pay(live.give(campaign_id=campaign, token=token, donor_name="Ada"), email="ada@example.org")
    live.pay(live.give(campaign_id=campaign, token=token, donor_name="Ada", anonymous=False), email="ada@example.org")
    assert [gift["display_name"] for gift in live.wall(campaign)] == ["Ada", "Anonymous", "Ada"]


def test_email_of_a_profile_cannot_be_changed(live: Live) -> None:
    token = live.register("ada@example.org")
    live.pay(live.give(token=token), email="ada@example.org")
    headers = {"Authorization": f"Bearer {token}"}
    live.ask("PATCH", "/api/donors/me", json={"email": "eve@example.org"}, headers=headers)
    assert list(Donor.objects.values_list("email", flat=True)) == ["ada@example.org"]


def test_erased_person_leaves_the_total_and_no_name(live: Live) -> None:
    campaign = a_campaign()
    token = live.register("ada@example.org", name="Ada Lovelace")
    live.pay(live.give(campaign_id=campaign, token=token, message="From Ada"), email="ada@example.org")
    gone = live.ask(
        "DELETE", "/api/auth/me", json={"password": "correct horse battery"}, headers={"Authorization": f"Bearer {token}"}
    )
    assert gone.status_code == 204
    assert live.total(campaign) == ("25.00", 1, 1)
    [gift] = live.wall(campaign)
    assert (gift["display_name"], gift["message"]) == ("Anonymous", "")
    page = live.ask("GET", f"/campaigns/{live.campaign(campaign)['slug']}").text + live.ask("GET", "/sponsors").text
    assert "Ada" not in page
