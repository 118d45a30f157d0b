"""What each role of the staff may open and do in the admin: every page of every model, every act, by GET and by POST.

The tables below say it a second time, on their own: nothing here is derived from backoffice/roles.py. A model, page or
act that is added to the admin and not to these tables fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django_tasks_db.models import DBTaskResult

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.tests.factories import OrganizationFactory, UserFactory
from backoffice.models import Export
from backoffice.roles import ROLES
from donations.models import Donation, Donor, Receipt, Supporter
from donations.tests.factories import CampaignFactory, pending_donation
from payments import checkout
from payments.models import Dispute, LedgerAccount, Payment, Refund, StripeCall, StripeEvent, Transfer
from payments.money import Money
from payments.settlement import settle_events, settle_stored
from payments.tests.stripe_objects import Story
from payments.tests.stripes_books import rows_of_stripes_books
from pricing.hours import consume
from pricing.models import HourLot, Product, PurchaseTransaction, Student, Subscription
from pricing.tests.factories import make_plan, pending_purchase
from wallets import holding, spending
from wallets.adjusting import propose
from wallets.models import Notice, TopUp, WalletAdjustment
from wallets.tests.factories import make_method, make_wallet

pytestmark = pytest.mark.django_db

PEOPLE = {"accounts.user", "accounts.organization"}
GIFTS = {"campaigns.campaign", "donations.donation", "donations.donor", "donations.supporter", "donations.receipt"}
PAYMENTS = {"payments.payment", "payments.refund", "payments.dispute"}
SOLD = {"pricing.pricingplan", "pricing.product"}
HOURS = {
    "pricing.purchasetransaction",
    "pricing.subscription",
    "pricing.hourlot",
    "pricing.hourconsumption",
    "pricing.student",
}
WALLETS = {
    "wallets.wallet",
    "wallets.topup",
    "wallets.walletspend",
    "wallets.spendreversal",
    "wallets.wallethold",
    "wallets.walletadjustment",
    "wallets.paymentmethod",
    "wallets.notice",
}
STRIPES_BOOKS = {"payments.balancetransaction", "payments.payout", "payments.alert", "payments.reconciliation"}
BOOKS = {
    "payments.transfer",
    "payments.ledgeraccount",
    "payments.stripeevent",
    "payments.stripecall",
    "accounts.auditentry",
    "backoffice.export",
}
ONLY_ROOT = {"auth.group", "django_tasks_database.dbtaskresult"}

SEES = {
    "root": PEOPLE | GIFTS | PAYMENTS | SOLD | HOURS | WALLETS | STRIPES_BOOKS | BOOKS | ONLY_ROOT,
    "support": PEOPLE | GIFTS | PAYMENTS | SOLD | HOURS | WALLETS | STRIPES_BOOKS,
    "finance": PEOPLE | GIFTS | PAYMENTS | SOLD | HOURS | WALLETS | STRIPES_BOOKS | BOOKS,
    "campaign manager": GIFTS,
    "no role": set(),
}
CHANGES = {
    "root": {"accounts.user", "accounts.organization", "auth.group", "campaigns.campaign", "donations.donation"} | SOLD,
    "finance": SOLD,
    "campaign manager": {"campaigns.campaign", "donations.donation"},
}
ADDS = {
    "root": {"accounts.user", "accounts.organization", "auth.group", "campaigns.campaign", "backoffice.export"} | SOLD,
    "finance": {"backoffice.export"} | SOLD,
    "campaign manager": {"campaigns.campaign"},
}
DELETES = {
    "root": {"accounts.organization", "auth.group", "campaigns.campaign"} | SOLD,
    "finance": SOLD,
    "campaign manager": {"campaigns.campaign"},
}
# Acts by the name of their address: who may, and what GET and POST then answer. To all others both are 403.
ACTS: dict[str, tuple[set[str], int, int]] = {
    "payments_payment_refund": ({"root", "finance"}, 200, 200),
    "payments_payment_send_refund": ({"root", "finance"}, 405, 302),
    "payments_payment_assign": ({"root", "finance"}, 200, 200),
    "payments_stripeevent_replay": ({"root", "finance"}, 200, 302),
    "donations_donation_resend": ({"root", "finance", "support"}, 405, 302),
    "pricing_student_adjust": ({"root", "finance"}, 200, 200),
    "pricing_hourconsumption_reverse": ({"root", "finance"}, 200, 200),
    "pricing_hourlot_settle": ({"root", "finance"}, 200, 200),
    "wallets_wallet_adjust": ({"root", "finance"}, 200, 200),
    "wallets_wallet_block": ({"root", "finance"}, 200, 200),
    "wallets_wallet_unblock": ({"root", "finance"}, 302, 302),
    "wallets_walletspend_reverse": ({"root", "finance"}, 200, 200),
    "wallets_wallethold_release": ({"root", "finance"}, 200, 200),
    "wallets_walletadjustment_reject": ({"root", "finance"}, 200, 200),
    "wallets_walletadjustment_approve": ({"root", "finance"}, 200, 302),
    "backoffice_export_download": ({"root", "finance"}, 404, 404),
    "backoffice_export_progress": ({"root", "finance"}, 200, 200),
    "auth_user_password_change": ({"root"}, 200, 200),
}
# A form in which nothing is required takes an empty one; all others show what is missing.
ALL_OPTIONAL = {"donations.donation"}
Rows = dict[str, Model]


@pytest.fixture
def rows(client: Client) -> Rows:
    """One row of each model that the admin shows."""
    donation = pending_donation(display_name="Ada")
    checkout.plan_call(donation.payment_id, "checkout.sessions.create", {})
    story = Story(donation.payment)
    settle_events([*story.succeeded(), *story.refunded("a", 700, at=100, in_all=700), *story.disputed("won")], source="webhook")
    user = UserFactory.create()
    found: list[Model] = [
        user,
        OrganizationFactory.create(),
        Group.objects.create(name="of this installation"),
        audit.record(actor=None, action="user.waved", target=user, before={}, after={}),
        CampaignFactory.create(state="draft"),
        Receipt.objects.create(donation_id=donation.pk, claimed_at="2026-01-01T00:00:00Z"),
        Export.objects.create(kind="donations", format="csv"),
        unmatched(),
        *of_pricing(user),
        *of_wallets(user),
        *rows_of_stripes_books(),
    ]
    models = (Donation, Donor, Supporter, Refund, Dispute, Transfer, LedgerAccount, StripeCall, StripeEvent, DBTaskResult)
    found += [model._default_manager.order_by("pk")[0] for model in models]
    return {row._meta.label_lower: row for row in found}


def of_pricing(user: User) -> list[Model]:
    """A plan and a product that were never sold, and what a student has of another plan."""
    plan = make_plan(name="Monthly", days=None)
    paid = pending_purchase(plan, user=user)
    settle_events(Story(paid).succeeded(), source="webhook")
    lot = HourLot.objects.get()
    return [
        make_plan(name="Never sold"),
        Product.objects.create(sku="a-book", name="A book", amount_minor=900, currency="eur"),
        PurchaseTransaction.objects.get(),
        Subscription.objects.create(user=user, plan=plan, currency="eur", stripe_id="sub_1"),
        lot,
        consume(student=user, hundredths=100, session_reference="s1", actor=user),
        Student.objects.get(pk=user.pk),
    ]


def of_wallets(user: User) -> list[Model]:
    """A wallet in which money is, that was spent, given back, held, and that somebody proposes to adjust."""
    wallet = make_wallet(balance_minor=1000)
    five = Money(500, wallet.currency)
    spent, _ = spending.spend(wallet=wallet, money=five, description="A hall", key="k", actor=user)
    one = Money(100, wallet.currency)
    reversal, _ = spending.reverse(spend_id=spent.pk, money=one, reason="Too small", key="k", actor=user)
    hold, _ = holding.authorize(wallet=wallet, money=one, description="A hall", key="k", actor=user)
    adjustment = propose(wallet=wallet, amount_minor=100, reason="Too dear", actor=user)
    return [
        wallet,
        TopUp.objects.get(),
        spent,
        reversal,
        hold,
        adjustment,
        make_method(wallet.organization),
        Notice.objects.get(),
    ]


def unmatched() -> Payment:
    stranger = Payment(purpose="unmatched", amount_minor=2500, currency="usd", livemode=False)
    story = Story(stranger)
    story.metadata = {}
    settle_events([*story.succeeded(), *story.refunded("b", 100, at=9, in_all=100)], source="webhook")
    settle_stored(StripeEvent.objects.filter(state="parked").values_list("pk", flat=True), take_in_unmatched=True)
    return Payment.objects.get(purpose="unmatched")


def staff(role: str) -> Client:
    user = UserFactory.create(email="staff@example.org", is_staff=True, is_superuser=role == "root")
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


def shown() -> list[type[Model]]:
    """Every model of the admin. Of dj-stripe's mirror, see below."""
    return [model for model in admin.site._registry if model._meta.app_label != "djstripe"]


def url(model: type[Model], page: str, row: Model | None = None) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=[quote(row.pk)] if row else [])


def act_url(name: str, rows: Rows) -> str:
    """An act on the row of its model; the refund that is sent again is the unmatched payment's, and sent already."""
    refund = Refund.objects.get(payment=rows["payments.payment"].pk)
    model = "accounts.user" if name == "auth_user_password_change" else ".".join(name.split("_")[:2])
    args = [quote(rows[model].pk)]
    plain = name.startswith("backoffice_")
    return reverse(
        f"admin:{name}",
        args=[rows[model].pk] if plain else [*args, quote(refund.pk)] if name == "payments_payment_send_refund" else args,
    )


def pages(role: str, rows: Rows) -> Iterator[tuple[str, str, int]]:
    """Method, address and the answer that must come, of Django's own pages of each model."""
    for model in shown():
        label = model._meta.label_lower
        row = rows[label]
        sees, adds = label in SEES[role], label in ADDS.get(role, ())
        changes, deletes = label in CHANGES.get(role, ()), label in DELETES.get(role, ())
        yield "GET", url(model, "changelist"), 200 if sees else 403
        yield "GET", url(model, "add"), 200 if adds else 403
        yield "POST", url(model, "add"), 200 if adds else 403
        yield "GET", url(model, "change", row), 200 if sees else 403
        yield "POST", url(model, "change", row), (302 if label in ALL_OPTIONAL else 200) if changes else 403
        yield "GET", url(model, "history", row), 200 if sees else 403
        yield "GET", url(model, "delete", row), 200 if deletes else 403


@pytest.mark.parametrize("role", SEES)
def test_each_role_opens_what_it_may_and_nothing_else(role: str, rows: Rows) -> None:
    client = staff(role)

    expected = {(method, address): status for method, address, status in pages(role, rows)}
    answers = {(method, address): client.generic(method, address).status_code for method, address in expected}

    assert {key: (answers[key], expected[key]) for key in expected if answers[key] != expected[key]} == {}
    assert len(expected) == 7 * len(shown())


@pytest.mark.parametrize("role", SEES)
def test_each_role_does_what_it_may_and_nothing_else(role: str, rows: Rows) -> None:
    client = staff(role)

    answers = {name: (client.get(act_url(name, rows)).status_code, client.post(act_url(name, rows)).status_code) for name in ACTS}

    assert answers == {name: (get, post) if role in who else (403, 403) for name, (who, get, post) in ACTS.items()}


@pytest.mark.parametrize("role", SEES)
def test_only_who_may_delete_one_deletes_by_post_or_action(role: str, rows: Rows) -> None:
    client = staff(role)
    models = [model for model in shown() if model is not DBTaskResult]
    before = {model._meta.label_lower for model in models if model._default_manager.filter(pk=rows_of(rows, model).pk).exists()}

    for model in models:
        row = rows_of(rows, model)
        client.post(url(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
        client.post(url(model, "delete", row), {"post": "yes"})

    after = {model._meta.label_lower for model in models if model._default_manager.filter(pk=rows_of(rows, model).pk).exists()}
    assert before - after == DELETES.get(role, set())


def rows_of(rows: Rows, model: type[Model]) -> Model:
    return rows[model._meta.label_lower]


@pytest.mark.parametrize("who", ["nobody", "a donor"])
def test_whoever_is_no_staff_is_sent_to_the_log_in(who: str, rows: Rows, client: Client) -> None:
    donor = UserFactory.create(email="donor@example.org")
    donor.groups.set(Group.objects.all())
    client.logout() if who == "nobody" else client.force_login(donor)
    addresses = [(method, address) for method, address, _ in pages("no role", rows)]
    addresses += [(method, act_url(name, rows)) for name in ACTS for method in ("GET", "POST")]

    answers = {(method, address): client.generic(method, address) for method, address in addresses}

    assert {key for key, answer in answers.items() if answer.status_code != 302} == set()
    assert {answer["Location"].partition("?")[0] for answer in answers.values()} == {"/admin/login/"}


def test_the_tables_name_every_model_and_every_act_of_the_admin() -> None:
    usual = {"changelist", "add", "history", "delete", "change"}
    acts = set()
    for model in shown():
        standard = {f"{model._meta.app_label}_{model._meta.model_name}_{page}" for page in usual}
        named = {pattern.name for pattern in admin.site._registry[model].get_urls() if pattern.name}
        acts |= named - standard

    assert acts == set(ACTS)
    assert {model._meta.label_lower for model in shown()} == SEES["root"]


def test_the_mirror_of_stripe_is_read_by_those_who_read_payments() -> None:
    mirrored = [url(model, "changelist") for model in admin.site._registry if model._meta.app_label == "djstripe"]
    clients = {role: Client() for role in SEES}
    for number, (role, client) in enumerate(clients.items()):
        user = UserFactory.create(email=f"staff{number}@example.org", is_staff=True, is_superuser=role == "root")
        user.groups.set(Group.objects.filter(name=role))
        client.force_login(user)

    assert len(mirrored) == 9
    open_to = {role: sum(client.get(address).status_code == 200 for address in mirrored) for role, client in clients.items()}
    # Support sees what belongs to a payment, and neither balance transactions nor payouts.
    assert open_to == {role: {"root": 9, "finance": 9, "support": 7}.get(role, 0) for role in SEES}


def test_the_migration_made_every_role_with_all_that_the_table_says() -> None:
    given = {
        group.name: sorted(f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.select_related("content_type"))
        for group in Group.objects.all()
    }
    # Tutors are no staff: they record sessions over the API.
    assert given == {name: sorted(permissions) for name, permissions in ROLES.items()} | {"Tutors": ["pricing.consume_hours"]}
    assert Permission.objects.filter(codename="refund_payment").count() == 1


def test_no_role_is_a_way_to_more_power(rows: Rows) -> None:
    """A role that could change people or groups could give itself any other."""
    power = {"accounts.change_user", "accounts.add_user", "auth.change_group", "auth.add_group", "accounts.change_membership"}
    assert {name: power & set(permissions) for name, permissions in ROLES.items() if power & set(permissions)} == {}


def test_every_act_of_staff_on_a_wallet_leaves_a_line(rows: Rows) -> None:
    client = staff("finance")
    ticket = {"ticket": "a" * 20, "amount": "1.00"}
    sent = {name: {"reason": "Why", "direction": "add", **ticket} for name in ACTS if name.startswith("wallets_")}
    before = set(AuditEntry.objects.values_list("pk", flat=True))

    told = {}
    for name, form in sent.items():
        client.post(act_url(name, rows), form)
        new = AuditEntry.objects.exclude(pk__in=before)
        told[name] = [(entry.action, str(entry.actor)) for entry in new]
        before |= {entry.pk for entry in new}

    assert told == {
        "wallets_wallet_adjust": [("adjustment.proposed", "staff@example.org")],
        "wallets_wallet_block": [("wallet.blocked", "staff@example.org")],
        "wallets_wallet_unblock": [("wallet.unblocked", "staff@example.org")],
        "wallets_walletspend_reverse": [("spend.reversed", "staff@example.org")],
        "wallets_wallethold_release": [("hold.released", "staff@example.org")],
        "wallets_walletadjustment_reject": [("adjustment.rejected", "staff@example.org")],
        "wallets_walletadjustment_approve": [],  # it was rejected before
    }


def test_no_role_of_one_person_moves_money_into_a_wallet_alone(rows: Rows) -> None:
    client = staff("root")
    client.post(act_url("wallets_wallet_adjust", rows), {"reason": "Why", "direction": "add", "amount": "5.00"})
    own = WalletAdjustment.objects.get(proposed_by__email="staff@example.org")

    answer = client.post(f"/admin/wallets/walletadjustment/{quote(own.pk)}/approve/")

    own.refresh_from_db()
    assert (answer.status_code, own.state) == (302, "proposed")
    assert not Transfer.objects.filter(key=f"adjustment:{own.pk}").exists()


def test_buttons_are_shown_to_those_only_who_may_press_them(rows: Rows) -> None:
    payment, event = rows["payments.payment"], rows["payments.stripeevent"]
    seen = {}
    for role in ("support", "finance"):
        client = staff(role)
        page = client.get(url(Payment, "change", payment)).content.decode()
        gift = client.get(url(Donation, "change", rows["donations.donation"])).content.decode()
        replay = client.get(url(StripeEvent, "change", event)).content.decode()
        seen[role] = [
            word
            for word, where in (("Refund…", page), ("Assign…", page), ("Send the receipt again", gift), ("Replay…", replay))
            if word in where
        ]
        User.objects.filter(email="staff@example.org").update(email=f"{role}@example.org")

    assert seen == {"support": ["Send the receipt again"], "finance": ["Refund…", "Assign…", "Send the receipt again", "Replay…"]}
