"""What an exported file holds: exact amounts, no formulas, all rows once."""

from __future__ import annotations

import csv
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from backoffice.exports import columns, making
from backoffice.exports.files import CsvSheet, XlsxSheet
from backoffice.exports.filters import Filters, chosen
from conventions.csv_text import harmless
from conventions.errors import InvalidInput
from donations.models import Donation
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments.models import Transfer
from payments.money import Money
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def paid(**fields: Any) -> tuple[Donation, Story]:
    donation = pending_donation(**fields)
    story = Story(payment_of(donation))
    settle_events(story.succeeded(), source="webhook")
    return Donation.objects.get(pk=donation.pk), story


def written(tmp_path: Path, kind: str = "donations", filters: Filters | None = None) -> list[dict[str, str]]:
    path = tmp_path / "export.csv"
    making.write(kind, "csv", filters or Filters(), path, made_before=timezone.now(), tell=lambda rows: None)
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def cells(path: Path, sheet: int = 1) -> list[dict[str, tuple[str, str]]]:
    """Rows of a sheet: the letter of the column to type and value of the cell, as they stand in the file."""
    with zipfile.ZipFile(path) as book:
        root = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{sheet}.xml"))
    return [
        {
            cell.attrib["r"].rstrip("0123456789"): (cell.attrib.get("t", "n"), "".join(cell.itertext()))
            for cell in row.iter(f"{MAIN}c")
        }
        for row in root.iter(f"{MAIN}row")
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("currency", "amount_minor", "amount"),
    [
        ("usd", 2505, "25.05"),
        ("jpy", 2505, "2505"),
        ("kwd", 5120, "5.120"),
        ("isk", 50_000, "500"),
        ("usd", 99_999_999, "999999.99"),
    ],
)
def test_amounts_are_exact_in_every_currency(tmp_path: Path, currency: str, amount_minor: int, amount: str) -> None:
    paid(campaign=CampaignFactory(currency=currency), amount_minor=amount_minor)

    (row,) = written(tmp_path)

    assert (row["currency"], row["amount"], row["amount_minor"]) == (currency, amount, str(amount_minor))
    assert (row["net"], row["net_minor"], row["refunded_minor"]) == (amount, str(amount_minor), "0")


@pytest.mark.django_db
def test_a_gift_is_told_with_its_giver_its_money_and_its_ids(tmp_path: Path) -> None:
    donation, story = paid(amount_minor=2500, email="ada@example.org", anonymous=True, display_name="Ada", message="Go on")
    settle_events(story.refunded("re_1", 500, at=90, in_all=500), source="webhook")
    donation.refresh_from_db()
    payment = payment_of(donation)

    (row,) = written(tmp_path)

    assert row["id"] == donation.pk
    assert (row["state"], row["campaign"]) == ("partially_refunded", donation.campaign.title)
    assert (row["amount"], row["refunded"], row["disputed"], row["net"]) == ("25.00", "5.00", "0.00", "20.00")
    assert (row["anonymous"], row["display_name"], row["message"]) == ("yes", "Ada", "Go on")
    assert (row["donor_email"], row["donor_id"]) == ("ada@example.org", donation.donor_id)
    assert (row["payment_id"], row["payment_intent"]) == (payment.pk, payment.payment_intent)
    assert donation.paid_at is not None
    assert row["paid_at"] == donation.paid_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert list(row) == list(columns.DONATION_COLUMNS)


@pytest.mark.django_db
def test_a_pending_gift_has_no_net_and_no_day_of_payment(tmp_path: Path) -> None:
    pending_donation(email="ada@example.org")

    (row,) = written(tmp_path)

    assert (row["state"], row["amount"], row["net"], row["paid_at"]) == ("pending", "25.00", "0.00", "")
    assert (row["donor_id"], row["donor_email"]) == ("", "ada@example.org")


@pytest.mark.django_db
def test_transfers_are_told_with_both_their_accounts(tmp_path: Path) -> None:
    donation, _ = paid(amount_minor=2500)

    (row,) = written(tmp_path, "transfers")

    transfer = Transfer.objects.get()
    assert (row["id"], row["key"]) == (transfer.pk, f"paid:{donation.payment_id}")
    assert (row["debit"], row["credit"]) == ("stripe:usd", donation.campaign.account)
    assert (row["amount"], row["amount_minor"], row["currency"]) == ("25.00", "2500", "usd")
    assert (row["purpose"], row["subject_id"]) == ("donation", donation.pk)


FORMULAS = ["=1+1", "+43 1 234", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_looks_like_a_formula_is_written_as_text(tmp_path: Path, text: str) -> None:
    with CsvSheet(tmp_path / "a.csv", ["name"]) as sheet:
        sheet.write([[text]])
    with XlsxSheet(tmp_path / "a.xlsx", ["name"]) as sheet:
        sheet.write([[text]])

    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as lines:
        ((name,), (written_text,)) = csv.reader(lines)
    assert (name, written_text[:2], written_text.replace("'", "")) == ("name", f"'{text[0]}", text.replace("'", ""))
    (kind, value) = cells(tmp_path / "a.xlsx")[1]["A"]
    assert kind == "inlineStr"
    assert value.replace("\n", "\r") in {text.replace("\n", "\r"), text.replace("\r", "_x000D_")}
    assert b"<f>" not in zipfile.ZipFile(tmp_path / "a.xlsx").read("xl/worksheets/sheet1.xml")


def test_other_text_stays_as_it_is() -> None:
    texts = ["", "Ada", "a=b", "'=1", "1-2", "a, b", "5-7; 8+9", "ada@example.org, b", "two\nlines - and more"]
    assert [harmless(text) for text in texts] == texts


@pytest.mark.parametrize("separator", [";", ",", "\t", "|", '"', "\r", "\n", "; ", ";\u00a0"])
@pytest.mark.parametrize("sign", "=+-@＝")
def test_what_a_spreadsheet_that_splits_elsewhere_would_run_is_text_too(separator: str, sign: str) -> None:
    assert harmless(f"hi{separator}{sign}1+1") == f"hi{separator}'{sign}1+1"
    assert harmless(f"  {sign}1") == f"  '{sign}1"


@pytest.mark.django_db
def test_what_donors_write_cannot_become_a_formula(tmp_path: Path) -> None:
    paid(display_name='=HYPERLINK("https://evil.example")', message="@SUM(1)", dedication_kind="in_memory", dedication_name="-1")

    (row,) = written(tmp_path)

    assert row["display_name"] == '\'=HYPERLINK("https://evil.example")'
    assert (row["message"], row["dedication_name"]) == ("'@SUM(1)", "'-1")


def test_a_negative_amount_is_a_number_and_no_formula(tmp_path: Path) -> None:
    with CsvSheet(tmp_path / "a.csv", ["net", "net_minor"]) as sheet:
        sheet.write([[Money(-1050, "usd"), -1050]])

    assert (tmp_path / "a.csv").read_text() == "net,net_minor\n-10.50,-1050\n"


@pytest.mark.parametrize(
    ("money", "number"),
    [
        (Money(2505, "usd"), "25.05"),
        (Money(10, "usd"), "0.10"),
        (Money(2505, "jpy"), "2505"),
        (Money(5120, "kwd"), "5.120"),
        (Money(999_999_999_999_999, "kwd"), "999999999999.999"),
    ],
)
def test_a_workbook_holds_amounts_as_exact_numbers(tmp_path: Path, money: Money, number: str) -> None:
    with XlsxSheet(tmp_path / "a.xlsx", ["amount"]) as sheet:
        sheet.write([[money]])

    assert cells(tmp_path / "a.xlsx")[1] == {"A": ("n", number)}


@pytest.mark.parametrize(
    ("money", "pattern"), [(Money(1, "jpy"), "#,##0"), (Money(1, "usd"), "#,##0.00"), (Money(1, "kwd"), "#,##0.000")]
)
def test_a_workbook_shows_the_decimals_of_the_currency(tmp_path: Path, money: Money, pattern: str) -> None:
    with XlsxSheet(tmp_path / "a.xlsx", ["amount"]) as sheet:
        sheet.write([[money]])

    with zipfile.ZipFile(tmp_path / "a.xlsx") as book:
        styles, sheet_xml = (ElementTree.fromstring(book.read(f"xl/{name}.xml")) for name in ("styles", "worksheets/sheet1"))
    patterns = {one.attrib["numFmtId"]: one.attrib["formatCode"] for one in styles.iter(f"{MAIN}numFmt")}
    formats = next(styles.iter(f"{MAIN}cellXfs"))
    _heading, amount = sheet_xml.iter(f"{MAIN}c")
    assert patterns[formats[int(amount.attrib["s"])].attrib["numFmtId"]] == pattern


def test_an_amount_that_a_workbook_would_round_is_written_as_text(tmp_path: Path) -> None:
    with XlsxSheet(tmp_path / "a.xlsx", ["amount", "minor"]) as sheet:
        sheet.write([[Money(1_234_567_890_123_456, "usd"), 1_234_567_890_123_456]])

    row = cells(tmp_path / "a.xlsx")[1]
    assert row == {"A": ("inlineStr", "12345678901234.56"), "B": ("inlineStr", "1234567890123456")}


def test_a_workbook_goes_on_in_another_sheet_where_one_is_full(tmp_path: Path) -> None:
    with XlsxSheet(tmp_path / "a.xlsx", ["n"], sheet_rows=3) as sheet:
        sheet.write([[1], [2], [3]])
        sheet.write([[4], [5]])

    sheets = [cells(tmp_path / "a.xlsx", number) for number in (1, 2, 3)]
    assert [[row["A"][1] for row in rows] for rows in sheets] == [["n", "1", "2"], ["n", "3", "4"], ["n", "5"]]


# -- which rows ------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_rows_come_page_by_page_each_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    campaign = CampaignFactory()
    gifts = sorted(pending_donation(campaign=campaign).pk for _ in range(5))
    monkeypatch.setattr(columns, "PAGE", 2)

    with django_assert_num_queries(3):
        rows = written(tmp_path)

    assert [row["id"] for row in rows] == gifts


@pytest.mark.django_db
def test_gifts_made_after_the_start_are_left_out(tmp_path: Path) -> None:
    before = pending_donation()
    pending_donation(created_at=timezone.now() + timedelta(minutes=1))

    assert [row["id"] for row in written(tmp_path)] == [before.pk]


@pytest.mark.django_db
def test_days_are_whole_days_in_utc_both_included(tmp_path: Path) -> None:
    at = [datetime(2026, 1, day, hour, 59, 59, tzinfo=UTC) for day, hour in ((9, 23), (10, 0), (11, 23), (12, 0))]
    gifts = [pending_donation(created_at=moment).pk for moment in at]

    found = written(tmp_path, filters=Filters(since=date(2026, 1, 10), until=date(2026, 1, 11), by="made"))

    assert [row["id"] for row in found] == sorted(gifts[1:3])


@pytest.mark.django_db
def test_days_of_payment_leave_out_what_is_not_paid(tmp_path: Path) -> None:
    pending_donation()
    gift, _ = paid()
    assert gift.paid_at is not None
    day = gift.paid_at.astimezone(UTC).date()

    assert [row["id"] for row in written(tmp_path, filters=Filters(since=day, until=day))] == [gift.pk]
    assert written(tmp_path, filters=Filters(since=day + timedelta(days=1))) == []


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["donations", "transfers"])
def test_campaign_and_currency_are_chosen(tmp_path: Path, kind: str) -> None:
    here, _ = paid(campaign=CampaignFactory(slug="here", currency="eur"))
    paid(campaign=CampaignFactory(currency="usd"))
    everything = {"since": None, "until": None, "by": "paid", "campaign": "", "currency": "", "state": "", "kind": kind}

    of_campaign = written(tmp_path, kind, chosen(**{**everything, "campaign": "here"}))
    of_currency = written(tmp_path, kind, chosen(**{**everything, "currency": "eur"}))

    assert len(written(tmp_path, kind, chosen(**everything))) == 2
    assert [row["currency"] for row in of_campaign] == ["eur"]
    assert of_campaign == of_currency
    assert here.pk in {of_campaign[0].get("subject_id"), of_campaign[0]["id"]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("until", {"since": date(2026, 2, 1), "until": date(2026, 1, 1)}),
        ("campaign", {"campaign": "nowhere"}),
        ("currency", {"currency": "xyz"}),
        ("state", {"state": "lost"}),
        ("state", {"state": "paid", "kind": "transfers"}),
        ("by", {"by": "moonlight"}),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused_by_its_name(field: str, changes: dict[str, Any]) -> None:
    given = {"since": None, "until": None, "by": "paid", "campaign": "", "currency": "", "state": "", "kind": "donations"}
    with pytest.raises(InvalidInput) as refused:
        chosen(**{**given, **changes})
    assert list(refused.value.fields or {}) == [field]


def test_filters_are_kept_as_json_and_come_back() -> None:
    filters = Filters(since=date(2026, 1, 1), until=date(2026, 1, 31), by="made", currency="jpy", state="paid")
    assert Filters.from_json(filters.as_json()) == filters
    assert filters.as_json() == {"since": "2026-01-01", "until": "2026-01-31", "by": "made", "currency": "jpy", "state": "paid"}
