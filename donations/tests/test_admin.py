"""Donations in the back office: words can be moderated, money and state cannot be touched."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.tests.factories import PASSWORD
from campaigns.models import Campaign
from conventions.admin_showing import change_url, list_url
from donations.models import Donation, Donor, Receipt, Supporter
from donations.receipts import send_receipt
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments.models import Payment
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


def paid(**fields: Any) -> tuple[Donation, Story]:
    donation = pending_donation(**fields)
    story = Story(payment_of(donation))
    settle_events(story.succeeded(), source="webhook")
    return Donation.objects.get(pk=donation.pk), story


def words(donation: Donation, **fields: str) -> dict[str, str]:
    names = ("display_name", "message", "dedication_kind", "dedication_name")
    return {**{name: getattr(donation, name) for name in names}, **fields}


def test_words_can_be_moderated(root: Client) -> None:
    donation, _ = paid(display_name="Rude", message="Rude words")
    url = change_url(Donation, donation.pk)

    answer = root.post(
        url,
        words(donation, message="", anonymous="on", display_name="Kind", dedication_kind="in_memory", dedication_name="Alan"),
    )

    assert answer.status_code == 302
    after = Donation.objects.get()
    assert (after.display_name, after.message, after.anonymous) == ("Kind", "", True)
    assert (after.dedication_kind, after.dedication_name) == ("in_memory", "Alan")


def test_money_and_state_are_never_editable(root: Client) -> None:
    donation, _ = paid()
    before = Donation.objects.values().get()
    forged = {
        "amount_minor": "1",
        "amount": "1",
        "currency": "eur",
        "state": "refunded",
        "paid_at": "",
        "donor": "",
        "payment": "",
    }

    answer = root.post(change_url(Donation, donation.pk), words(donation, **forged))

    assert answer.status_code == 302
    assert Donation.objects.values().get() == before


def test_moderating_does_not_undo_what_stripe_reported_meanwhile(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    donation, story = paid()
    construct = Donation.full_clean

    def refunded_meanwhile(self: Donation, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        settle_events(story.refunded("a", 2500, at=60, in_all=2500), source="webhook")

    monkeypatch.setattr(Donation, "full_clean", refunded_meanwhile)

    root.post(change_url(Donation, donation.pk), words(donation, message="Edited"))

    after = Donation.objects.get()
    assert (after.message, after.state) == ("Edited", "refunded")


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"dedication_kind": "in_memory"}, {"dedication_name": ["A dedication needs both its kind and a name, or neither."]}),
        ({"dedication_name": "Alan"}, {"dedication_name": ["A dedication needs both its kind and a name, or neither."]}),
        ({"message": "a\x07b"}, {"message": ["Control characters are not allowed."]}),
        ({"message": "x" * 501}, {"message": ["Ensure this value has at most 500 characters (it has 501)."]}),
    ],
)
def test_words_that_the_api_would_refuse_are_refused(root: Client, fields: dict[str, str], errors: dict[str, list[str]]) -> None:
    donation, _ = paid()

    answer = root.post(change_url(Donation, donation.pk), words(donation, **fields))

    assert answer.context["adminform"].errors == errors
    assert Donation.objects.get().message == ""


@pytest.mark.parametrize("model", [Donor, Supporter, Receipt])
def test_people_and_receipts_are_read_only(root: Client, model: Any) -> None:
    donation, _ = paid()
    send_receipt(donation.pk)
    row = model.objects.get()
    before = model.objects.values().get()
    url = change_url(model, row.pk)

    codes = [
        root.post(list_url(model) + "add/").status_code,
        root.post(url, {"email": "x@example.org", "count": "9", "attempts": "0"}).status_code,
        root.post(url.replace("/change/", "/delete/"), {"post": "yes"}).status_code,
    ]

    assert root.get(url).status_code == 200
    assert codes == [403, 403, 403]
    assert model.objects.values().get() == before


def test_donations_are_neither_added_nor_deleted(root: Client) -> None:
    donation, _ = paid()

    added = root.post(list_url(Donation) + "add/")
    deleted = root.post(change_url(Donation, donation.pk).replace("/change/", "/delete/"), {"post": "yes"})
    root.post(list_url(Donation), {"action": "delete_selected", "_selected_action": donation.pk, "post": "yes"})

    assert (added.status_code, deleted.status_code) == (403, 403)
    assert Donation.objects.count() == 1


def test_donations_are_found_by_whole_ids_address_and_name(root: Client) -> None:
    donation, story = paid(display_name="The Analytical Society")
    other, _ = paid()
    Payment.objects.filter(pk=other.payment_id).update(customer_email="grace@example.org")
    grace = Donor.objects.create(email="grace@example.org", name="Grace Hopper")
    Donation.objects.filter(pk=other.pk).update(donor=grace)
    terms = [
        donation.pk,
        donation.payment_id,
        story.intent_id,
        story.session_id,
        story.charge_id,
        donation.campaign_id,
        donation.donor_id,
        "Ada@Example.org",
        "analytical",
        "lovelace",
    ]

    found = {term: [d.pk for d in root.get(list_url(Donation, q=term)).context["cl"].result_list] for term in terms}
    lost = [list(root.get(list_url(Donation, q=term)).context["cl"].result_list) for term in (donation.pk[:-1], "ada@")]

    assert found == {term: [donation.pk] for term in terms}
    assert lost == [[], []]


def test_donations_are_filtered_by_campaign_state_and_donor(root: Client) -> None:
    wells = CampaignFactory(title="Wells")
    donation, _ = paid(campaign=wells)
    pending_donation()

    def shown(**query: str) -> list[str]:
        return [d.pk for d in root.get(list_url(Donation, **query)).context["cl"].result_list]

    assert shown(campaign=wells.pk) == [donation.pk]
    assert shown(state__exact="paid") == [donation.pk]
    assert shown(donor=str(donation.donor_id)) == [donation.pk]
    assert shown(state__exact="disputed") == []


def test_the_campaign_filter_is_bounded_and_keeps_the_chosen_one(root: Client) -> None:
    oldest = CampaignFactory(title="The very first")
    CampaignFactory.create_batch(30)
    donation, _ = paid(campaign=oldest)

    without = root.get(list_url(Donation)).content.decode()
    chosen = root.get(list_url(Donation, campaign=oldest.pk))

    assert "?campaign=" + oldest.pk not in without
    assert without.count("?campaign=campaign_") == 30
    assert [d.pk for d in chosen.context["cl"].result_list] == [donation.pk]
    assert Campaign.objects.count() == 31


def test_a_donor_shows_the_latest_gifts_and_leads_to_all(root: Client, django_assert_num_queries: Any) -> None:
    campaign = CampaignFactory()
    donation, _ = paid(campaign=campaign)
    url = change_url(Donor, str(donation.donor_id))
    root.get(url)  # Django remembers content types after the first page of a process
    with django_assert_num_queries(4):
        few = root.get(url).content.decode()
    for _ in range(54):
        paid(campaign=campaign)
    with django_assert_num_queries(4):
        many = root.get(url).content.decode()

    assert few.count("$25.00</a>") == 1
    assert many.count("$25.00</a>") == 50
    assert f'href="{list_url(Donation, donor=str(donation.donor_id))}"' in many


def test_the_receipt_says_whether_it_was_sent(root: Client, mailoutbox: list[Any]) -> None:
    donation, _ = paid()
    send_receipt(donation.pk)

    page = root.get(change_url(Donation, donation.pk)).content.decode()
    sent = [r.pk for r in root.get(list_url(Receipt, sent="yes")).context["cl"].result_list]
    failed = [r.pk for r in root.get(list_url(Receipt, sent="failed")).context["cl"].result_list]

    assert len(mailoutbox) == 1
    assert f'href="{change_url(Receipt, donation.pk)}">sent ' in page
    assert (sent, failed) == ([donation.pk], [])


def test_supporters_are_found_by_donor_and_campaign(root: Client) -> None:
    donation, _ = paid()

    for term in (str(donation.donor_id), donation.campaign_id, "ada@example.org"):
        assert len(root.get(list_url(Supporter, q=term)).context["cl"].result_list) == 1
    assert len(root.get(list_url(Supporter, q="nobody@example.org")).context["cl"].result_list) == 0


def resend_url(donation: Donation) -> str:
    return reverse("admin:donations_donation_resend", args=[quote(donation.pk)])


def test_a_receipt_is_sent_again_and_that_is_told(root: Client, mailoutbox: list[Any]) -> None:
    donation, _ = paid()
    send_receipt(donation.pk)
    Receipt.objects.update(claimed_at=timezone.now() - timedelta(hours=1))

    answer = root.post(resend_url(donation), follow=True)

    assert [mail.to for mail in mailoutbox] == [["ada@example.org"]] * 2
    assert len({mail.extra_headers["Message-ID"] for mail in mailoutbox}) == 2
    assert "The receipt was sent again." in answer.content.decode()
    receipt = Receipt.objects.get()
    assert (receipt.attempts, receipt.sent_at is not None) == (2, True)
    entry = AuditEntry.objects.get()
    assert (str(entry.actor), entry.action, entry.target_id) == ("root@example.org", "receipt.resent", donation.pk)
    assert (entry.before["attempts"], entry.after["attempts"]) == (1, 2)


def test_a_receipt_that_never_went_is_sent(root: Client, mailoutbox: list[Any]) -> None:
    donation, _ = paid()

    root.post(resend_url(donation))

    assert len(mailoutbox) == 1
    assert Receipt.objects.get().attempts == 1


def test_a_second_click_sends_no_second_mail(root: Client, mailoutbox: list[Any]) -> None:
    donation, _ = paid()
    root.post(resend_url(donation))

    answer = root.post(resend_url(donation), follow=True)

    assert "A receipt of this gift went out a moment ago." in answer.content.decode()
    assert len(mailoutbox) == 1
    assert AuditEntry.objects.count() == 1


def test_what_is_refunded_whole_or_not_paid_has_no_receipt(root: Client, mailoutbox: list[Any]) -> None:
    donation, story = paid(amount_minor=2500)
    settle_events(story.refunded("a", 2500, at=60, in_all=2500), source="webhook")
    pending = pending_donation()

    pages = [root.post(resend_url(gift), follow=True).content.decode() for gift in (donation, pending)]

    assert ["Only a gift that is paid" in page for page in pages] == [True, True]
    assert ["Send the receipt again" in page for page in pages] == [False, False]
    assert mailoutbox == []
    assert not AuditEntry.objects.exists()


def test_a_mail_server_that_refuses_is_told(root: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "nowhere.Backend"
    donation, _ = paid()

    answer = root.post(resend_url(donation), follow=True)

    assert "The mail server did not take the receipt" in answer.content.decode()
    assert "No module named" in Receipt.objects.get().last_error


def test_no_mail_goes_when_it_cannot_be_recorded(root: Client, mailoutbox: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    donation, _ = paid()

    def fail(**fields: Any) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(audit, "record", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        root.post(resend_url(donation))

    assert mailoutbox == []
    assert not Receipt.objects.exists()


def test_moderation_leaves_a_line_without_the_words(root: Client) -> None:
    donation, _ = paid(display_name="Ada", message="Rude words")

    root.post(change_url(Donation, donation.pk), words(donation, message=""))

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.before, entry.after) == ("donation.changed", {"message": "(hidden)"}, {"message": ""})
