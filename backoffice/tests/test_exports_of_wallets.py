"""What went into wallets and out of them, as files."""

from __future__ import annotations

import pytest

from accounts.models import User
from backoffice.exports import making
from backoffice.exports.filters import Filters
from backoffice.models import Export
from backoffice.tests.conftest import logged_in, staff
from donations.tests.factories import CampaignFactory
from payments.money import Money
from wallets import spending
from wallets.tests.factories import make_organization, make_wallet

pytestmark = pytest.mark.django_db

ADD = "/admin/backoffice/export/add/"


@pytest.fixture
def finance() -> User:
    return staff("backoffice.export")


def made(by: User, kind: str) -> list[list[str]]:
    """The lines of a CSV file of everything in euros."""
    export = making.ask(kind=kind, file_format="csv", filters=Filters(currency="eur"), requested_by=by)
    making.make_export.func(export.pk)
    export.refresh_from_db()
    with making.storage().open(export.file_name) as file:
        return [line.split(",") for line in file.read().decode().splitlines()]


def test_top_ups_and_spends_are_exported_with_who_and_how_much(finance: User) -> None:
    wallet = make_wallet(make_organization(name="=Acme"), balance_minor=10_000)
    money = Money(2_500, "eur")
    spent, _ = spending.spend(wallet=wallet, money=money, description="Posters", key="k", actor=finance)
    spending.reverse(spend_id=spent.pk, money=Money(500, "eur"), reason="Late", key="k", actor=finance)
    make_wallet(currency="usd", balance_minor=700)

    top_up, spend = (dict(zip(*made(finance, kind), strict=True)) for kind in ("top_ups", "spends"))

    assert [top_up[name] for name in ("state", "organization", "amount", "amount_minor", "refunded", "automatic")] == [
        "paid", "'=Acme", "100.00", "10000", "0.00", "no",
    ]  # fmt: skip
    assert (top_up["wallet_id"], top_up["payment_id"]) == (wallet.pk, wallet.top_ups.get().payment_id)
    assert [spend[name] for name in ("id", "amount", "given_back", "description", "created_by")] == [
        spent.pk, "25.00", "5.00", "Posters", finance.email,
    ]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [("campaign", "wells"), ("state", "paid")])
def test_wallets_are_not_chosen_by_what_they_have_not(finance: User, field: str, value: str) -> None:
    CampaignFactory(slug="wells")

    answer = logged_in(finance).post(ADD, {"kind": "spends", "format": "csv", "by": "paid", field: value})

    assert (answer.status_code, list((answer.context_data or {})["adminform"].form.errors)) == (200, [field])
    assert Export.objects.count() == 0
