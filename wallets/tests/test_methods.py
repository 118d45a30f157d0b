"""Saved payment methods: what Stripe tells of them, what members see, and what admins do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Organization, Role, User
from accounts.signing_in import issue_tokens
from payments import stripe_gateway
from payments.errors import StripeRefused, StripeUnavailable
from payments.following import handled_types
from payments.models import StripeCall
from wallets import method_facts, refreshing_methods
from wallets.methods import SETUP
from wallets.models import PaymentMethod, SavedMethods
from wallets.tests.card_story import BORN, CardStory, rows, tell
from wallets.tests.factories import join, make_method, make_organization

pytestmark = pytest.mark.django_db
METHODS = "/api/payments/methods"
NOBODY = "method_01jqz0000000000000000000zz"


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def story(organization: Organization) -> CardStory:
    return CardStory(organization)


# -- what Stripe tells ------------------------------------------------------------------------------
def test_every_event_about_saved_methods_is_wanted_from_stripe() -> None:
    kinds = {"attached", "detached", "updated", "automatically_updated"}
    assert {*(f"payment_method.{kind}" for kind in kinds), "customer.updated"} <= set(handled_types())


def test_the_first_method_attached_is_the_default(story: CardStory) -> None:
    tell(story.attached("a", at=5), story.attached("b", at=6))
    assert rows(story) == {"a": "default", "b": "attached"}
    first = PaymentMethod.objects.get(is_default=True)
    assert (first.brand, first.last4, first.exp_month, first.exp_year) == ("visa", "4242", 12, 2034)
    assert first.attached_at == datetime.fromtimestamp(BORN + 5, UTC)


def test_an_earlier_attachment_that_is_told_later_is_still_the_first(story: CardStory) -> None:
    tell(story.attached("b", at=6), story.attached("a", at=5))
    assert rows(story) == {"a": "default", "b": "attached"}


def test_what_is_the_default_elsewhere_is_the_default_here(story: CardStory) -> None:
    tell(story.chosen("b", at=9, instead_of="a"), story.attached("a", at=5), story.attached("b", at=6))
    assert rows(story) == {"a": "attached", "b": "default"}


def test_a_customer_that_changed_in_other_ways_chooses_nothing(story: CardStory) -> None:
    tell(story.attached("a", at=5), story.attached("b", at=6))
    customer = {"id": story.customer, "invoice_settings": {"default_payment_method": story.pm("b")}}
    tell(story.event("customer.updated", customer, at=9, before={"name": "Ada"}))
    assert (rows(story), SavedMethods.objects.get().chosen) == ({"a": "default", "b": "attached"}, "")


def test_where_the_default_is_detached_the_newest_other_one_is_it(story: CardStory) -> None:
    tell(*(story.attached(name, at=at) for at, name in enumerate("abc")))
    tell(story.detached("a", at=9))
    assert rows(story) == {"a": "detached", "b": "attached", "c": "default"}
    tell(story.detached("c", at=10), story.detached("b", at=11), story.attached("d", at=12))
    assert rows(story) == {"a": "detached", "b": "detached", "c": "detached", "d": "default"}


def test_detached_is_never_left(story: CardStory) -> None:
    tell(story.detached("a", at=9), story.attached("a", at=5), story.updated("a", at=20), story.chosen("a", at=7))
    assert rows(story) == {"a": "detached"}
    assert PaymentMethod.objects.get().detached_at == datetime.fromtimestamp(BORN + 9, UTC)


def test_the_latest_word_about_a_card_counts_in_whatever_order_it_comes(story: CardStory) -> None:
    tell(
        story.updated("a", at=9, by_network=True, exp_year=2041), story.attached("a", at=5), story.updated("a", at=7, exp_month=1)
    )
    card = PaymentMethod.objects.get()
    assert (card.exp_month, card.exp_year, card.seen_at) == (12, 2041, datetime.fromtimestamp(BORN + 9, UTC))
    assert card.attached_at == datetime.fromtimestamp(BORN + 5, UTC)


def test_the_same_card_saved_anew_takes_the_place_of_the_default(story: CardStory) -> None:
    tell(story.attached("a", at=5, fingerprint="x"), story.attached("b", at=6))
    tell(story.attached("c", at=7, fingerprint="x", exp_year=2040))
    assert rows(story) == {"a": "attached", "b": "attached", "c": "default"}


@pytest.mark.parametrize("kind", ["attached", "updated", "detached"])
def test_cards_of_other_customers_are_none_of_ours(organization: Organization, kind: str) -> None:
    stranger = CardStory(customer="cus_of_a_user")
    tell(getattr(stranger, kind)("a", at=5), stranger.chosen("a", at=6))
    assert (PaymentMethod.objects.count(), SavedMethods.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "details", "shown"),
    [
        ("sepa_debit", {"last4": "3000", "fingerprint": "x", "country": "DE"}, ("", "3000", None)),
        ("us_bank_account", {"last4": "6789", "bank_name": "STRIPE TEST BANK"}, ("STRIPE TEST BANK", "6789", None)),
        ("link", {"email": "ada@example.org"}, ("", "", None)),
        ("paypal", None, ("", "", None)),
        ("card", {"brand": "b" * 90, "last4": "12345", "exp_month": 13, "exp_year": 2030}, ("b" * 40, "", None)),
    ],
)
def test_no_more_of_a_method_is_kept_than_is_shown(story: CardStory, kind: str, details: Any, shown: Any) -> None:
    theirs = {"id": "pm_x", "object": "payment_method", "type": kind, "created": BORN, "customer": story.customer, kind: details}
    tell(story.event("payment_method.attached", theirs, at=3))
    one = PaymentMethod.objects.get()
    assert (one.type, one.brand, one.last4, one.exp_month) == (kind, *shown)


def test_two_choices_of_one_second_agree_and_stripe_is_asked(story: CardStory) -> None:
    SavedMethods.objects.create(organization=Organization.objects.get(), asked_at=datetime(2026, 1, 1, tzinfo=UTC))
    tell(story.attached("a", at=1), story.attached("b", at=2), story.chosen("b", at=9), story.chosen("a", at=9))
    assert (rows(story), SavedMethods.objects.get().asked_at) == ({"a": "attached", "b": "default"}, None)


def test_what_stripe_answered_us_stands_until_a_later_choice_is_told(story: CardStory) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2), story.chosen("b", at=5))
    book = SavedMethods.objects.get()
    method_facts.choose_now(book, PaymentMethod.objects.get(stripe_id=story.pm("a")))
    method_facts.settle_default(book)
    tell(story.chosen("b", at=4))
    assert rows(story) == {"a": "default", "b": "attached"}
    tell(story.chosen("a", at=8, instead_of="b"), story.chosen("b", at=9, instead_of="a"))
    assert rows(story) == {"a": "attached", "b": "default"}


# -- the API ----------------------------------------------------------------------------------------
def as_user(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=user).access}")
    return client


@pytest.fixture
def admin(organization: Organization) -> APIClient:
    return as_user(join(organization, role=Role.ADMIN))


@pytest.fixture
def member(organization: Organization) -> APIClient:
    return as_user(join(organization))


@pytest.fixture
def stranger() -> APIClient:
    return as_user(join(make_organization(), role=Role.OWNER))


class FakeStripe:
    """What was asked of the gateway, and what `refuse` says about it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refuse: dict[str, Exception] = {}
        self.customers: dict[str, str | None] = {}

    def does(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.asked.append((name, *arguments, *named.values()))
            if name in self.refuse:
                raise self.refuse[name]
            return {"customer": self.customers.get(arguments[-1])} if name == "retrieve" else {}

        return call


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> FakeStripe:
    fake = FakeStripe()
    for name in ("create", "retrieve", "detach_method", "set_default_method", "list_methods", "retrieve_setup_intent"):
        monkeypatch.setattr(stripe_gateway, name, fake.does(name))
    return fake


def listed(client: APIClient, organization: Organization) -> Any:
    return client.get(METHODS, {"organization_id": organization.pk})


def told(answer: Any) -> tuple[int, str]:
    body = answer.json()
    assert body["success"] is False
    return answer.status_code, body["code"]


def test_members_see_what_is_attached_the_default_first_and_each_card_once(
    story: CardStory, organization: Organization, member: APIClient
) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2, fingerprint="x"), story.attached("c", at=3, fingerprint="x"))
    tell(story.attached("gone", at=4), story.detached("gone", at=5))
    make_method(make_organization())
    answer = listed(member, organization)
    assert answer.status_code == 200
    shown = [(one["id"], one["is_default"]) for one in answer.json()["payment_methods"]]
    ids = dict(PaymentMethod.objects.values_list("stripe_id", "pk"))
    assert shown == [(ids[story.pm("a")], True), (ids[story.pm("c")], False)]


def test_a_method_is_shown_with_exactly_these_fields(story: CardStory, organization: Organization, member: APIClient) -> None:
    tell(story.attached("a", at=1))
    shown = {"type": "card", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "is_default": True}
    assert listed(member, organization).json() == {"payment_methods": [{"id": PaymentMethod.objects.get().pk, **shown}]}


def test_strangers_and_visitors_see_nothing(organization: Organization, stranger: APIClient) -> None:
    assert told(listed(stranger, organization)) == (404, "not_found")
    assert told(listed(APIClient(), organization))[0] == 401
    assert told(stranger.get(METHODS)) == (400, "required")


def test_a_method_of_http_that_is_not_served_is_refused_whoever_asks(organization: Organization, stranger: APIClient) -> None:
    for path in (f"{METHODS}?organization_id={organization.pk}", f"{METHODS}/{make_method(organization).pk}"):
        assert stranger.put(path).status_code == 405


@pytest.mark.parametrize(("verb", "path"), [("post", "/set-default"), ("delete", "")])
def test_only_admins_change_methods_and_strangers_do_not_learn_of_them(
    organization: Organization, member: APIClient, stranger: APIClient, stripe: FakeStripe, verb: str, path: str
) -> None:
    method = make_method(organization)
    ours, none = f"{METHODS}/{method.pk}{path}", f"{METHODS}/{NOBODY}{path}"
    assert told(getattr(member, verb)(ours)) == (403, "not_an_admin")
    assert getattr(stranger, verb)(ours).json() == getattr(stranger, verb)(none).json()
    assert told(getattr(stranger, verb)(ours)) == told(getattr(member, verb)(none)) == (404, "not_found")
    assert told(getattr(APIClient(), verb)(ours))[0] == 401
    method.refresh_from_db()
    assert (method.is_default, method.detached_at, stripe.asked) == (True, None, [])


def test_who_may_start_saving_a_method(
    organization: Organization, member: APIClient, stranger: APIClient, stripe: FakeStripe
) -> None:
    path, body = f"{METHODS}/setup-intent", {"organization_id": organization.pk}
    assert told(member.post(path, body)) == (403, "not_an_admin")
    assert told(stranger.post(path, body)) == (404, "not_found")
    assert told(APIClient().post(path, body))[0] == 401
    assert (stripe.asked, StripeCall.objects.count()) == ([], 0)


@pytest.mark.parametrize(
    ("body", "code"), [({}, "required"), ({"organization_id": 1}, "required"), ({"customer": "x"}, "unknown_field")]
)
def test_an_odd_body_starts_nothing(
    organization: Organization, admin: APIClient, stripe: FakeStripe, body: Any, code: str
) -> None:
    whole = body if body.get("organization_id") or not body else {"organization_id": organization.pk, **body}
    assert told(admin.post(f"{METHODS}/setup-intent", whole)) == (400, code)
    assert (stripe.asked, StripeCall.objects.count()) == ([], 0)


def test_a_key_of_another_organization_starts_nothing(story: CardStory, organization: Organization, stripe: FakeStripe) -> None:
    other = make_organization()
    CardStory(other)
    both = as_user(join(other, join(organization, role=Role.ADMIN), role=Role.ADMIN))
    stripe.refuse["create"] = StripeUnavailable("Stripe is down.")
    path = f"{METHODS}/setup-intent"
    assert told(both.post(path, {"organization_id": organization.pk}, headers={"Idempotency-Key": "k"})) == (
        502,
        "stripe_unavailable",
    )
    answer = both.post(path, {"organization_id": other.pk}, headers={"Idempotency-Key": "k"})
    assert told(answer) == (422, "idempotency_key_reused")
    [call] = StripeCall.objects.all()
    assert (call.operation, call.params["customer"], call.params["usage"]) == (SETUP, story.customer, "off_session")


def test_a_default_is_chosen_at_stripe_and_written_to_the_history(story: CardStory, admin: APIClient, stripe: FakeStripe) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    chosen = PaymentMethod.objects.get(stripe_id=story.pm("b"))
    answer = admin.post(f"{METHODS}/{chosen.pk}/set-default")
    assert (answer.status_code, answer.json()["payment_method"]["id"]) == (200, chosen.pk)
    assert stripe.asked == [("set_default_method", story.pm("b"), story.customer)]
    assert rows(story) == {"a": "attached", "b": "default"}
    assert AuditEntry.objects.get().action == "payment_method.made_default"
    admin.post(f"{METHODS}/{chosen.pk}/set-default")
    assert AuditEntry.objects.count() == 1


def test_a_choice_that_stripe_did_not_take_changes_nothing(story: CardStory, admin: APIClient, stripe: FakeStripe) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    stripe.refuse["set_default_method"] = StripeUnavailable("Stripe is down.")
    chosen = PaymentMethod.objects.get(stripe_id=story.pm("b"))
    assert told(admin.post(f"{METHODS}/{chosen.pk}/set-default")) == (502, "stripe_unavailable")
    assert (rows(story), AuditEntry.objects.count()) == ({"a": "default", "b": "attached"}, 0)


def test_a_method_that_stripe_knows_as_nobodys_is_not_chosen_but_forgotten(
    story: CardStory, admin: APIClient, stripe: FakeStripe
) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    stripe.refuse["set_default_method"] = StripeRefused("It must be attached.")
    gone = PaymentMethod.objects.get(stripe_id=story.pm("b"))
    assert told(admin.post(f"{METHODS}/{gone.pk}/set-default")) == (404, "not_found")
    assert rows(story) == {"a": "default", "b": "detached"}
    assert told(admin.post(f"{METHODS}/{gone.pk}/set-default")) == (404, "not_found")


def test_a_refusal_for_another_reason_is_told_and_forgets_nothing(story: CardStory, admin: APIClient, stripe: FakeStripe) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    stripe.refuse |= dict.fromkeys(("set_default_method", "detach_method"), StripeRefused("No."))
    stripe.customers[story.pm("b")] = story.customer
    kept = PaymentMethod.objects.get(stripe_id=story.pm("b"))
    assert told(admin.post(f"{METHODS}/{kept.pk}/set-default")) == (400, "stripe_refused")
    assert told(admin.delete(f"{METHODS}/{kept.pk}")) == (400, "stripe_refused")
    assert rows(story) == {"a": "default", "b": "attached"}


def test_removing_the_default_makes_the_newest_other_one_it_at_stripe_too(
    story: CardStory, admin: APIClient, stripe: FakeStripe
) -> None:
    tell(*(story.attached(name, at=at) for at, name in enumerate("abc")))
    removed = PaymentMethod.objects.get(is_default=True)
    assert admin.delete(f"{METHODS}/{removed.pk}").status_code == 204
    assert rows(story) == {"a": "detached", "b": "attached", "c": "default"}
    assert stripe.asked == [("detach_method", story.pm("a")), ("set_default_method", story.pm("c"), story.customer)]
    assert AuditEntry.objects.get().action == "payment_method.removed"
    tell(story.detached("a", at=9), story.chosen("c", at=10))
    assert rows(story) == {"a": "detached", "b": "attached", "c": "default"}


def test_removing_another_one_leaves_the_default_alone(story: CardStory, admin: APIClient, stripe: FakeStripe) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    assert admin.delete(f"{METHODS}/{PaymentMethod.objects.get(is_default=False).pk}").status_code == 204
    assert (rows(story), stripe.asked) == ({"a": "default", "b": "detached"}, [("detach_method", story.pm("b"))])


def test_removing_a_card_removes_every_saving_of_it(story: CardStory, admin: APIClient, stripe: FakeStripe) -> None:
    tell(*(story.attached(name, at=at, fingerprint="x") for at, name in enumerate("abc")), story.attached("d", at=5))
    shown = PaymentMethod.objects.get(stripe_id=story.pm("c"))
    assert admin.delete(f"{METHODS}/{shown.pk}").status_code == 204
    assert rows(story) == {"a": "detached", "b": "detached", "c": "detached", "d": "default"}
    assert stripe.asked[2] == ("detach_method", story.pm("c"))  # the one that is shown is the last


def test_a_removal_whose_answer_was_lost_is_finished_by_the_next_try(
    story: CardStory, admin: APIClient, stripe: FakeStripe
) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    method = PaymentMethod.objects.get(is_default=True)
    stripe.refuse["detach_method"] = StripeUnavailable("No answer.")
    assert told(admin.delete(f"{METHODS}/{method.pk}")) == (502, "stripe_unavailable")
    assert rows(story) == {"a": "default", "b": "attached"}
    stripe.refuse["detach_method"] = StripeRefused("It is not attached to a customer.")
    assert admin.delete(f"{METHODS}/{method.pk}").status_code == 204
    assert rows(story) == {"a": "detached", "b": "default"}
    before = len(stripe.asked)
    assert admin.delete(f"{METHODS}/{method.pk}").status_code == 204
    assert len(stripe.asked) == before


def test_a_removal_holds_though_stripe_was_not_told_the_new_default(
    story: CardStory, organization: Organization, admin: APIClient, stripe: FakeStripe
) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    SavedMethods.objects.update(asked_at=datetime.now(UTC))
    stripe.refuse["set_default_method"] = StripeUnavailable("Stripe is down.")
    assert admin.delete(f"{METHODS}/{PaymentMethod.objects.get(is_default=True).pk}").status_code == 204
    assert rows(story) == {"a": "detached", "b": "default"}
    assert refreshing_methods.due() == [organization]
