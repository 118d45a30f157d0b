"""The time machine: what it foresees is what time then does, and it changes nothing."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import UserFactory
from payments import stripe_gateway
from payments.money import Money
from payments.proving import check_books
from pricing import hours
from pricing.models import HourLot, PricingPlan, Subscription
from pricing.simulating import months_after, not_foreseen, simulate
from pricing.tests.factories import give_hours, make_plan

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


@pytest.fixture
def student() -> User:
    return UserFactory.create(email="ada@example.org")


def subscribed(student: User, plan: PricingPlan, until: datetime, **fields: Any) -> Subscription:
    return Subscription.objects.create(
        user=student,
        plan=plan,
        currency="eur",
        state="active",
        current_period_end=until,
        stripe_id=f"sub_{plan.pk}_{student.pk}",
        **fields,
    )


def told(student: User, days: int, now: datetime = NOW) -> list[tuple[str, str, int, int]]:
    return [
        (f"{step.at:%m-%d %H:%M}", step.what, step.change_hundredths, step.left_hundredths)
        for step in simulate(student, now=now, days=days)
    ]


def everything() -> str:
    """A digest of every row of every table."""
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            digest.update(repr((table, sorted(map(repr, cursor.fetchall())))).encode())
    return digest.hexdigest()


def test_hours_expire_when_their_time_comes(student: User) -> None:
    give_hours(student, 300, actor=student)
    give_hours(student, 100, actor=student, expires_at=NOW + timedelta(days=2))
    give_hours(student, 200, actor=student, expires_at=NOW + timedelta(days=9))
    give_hours(UserFactory.create(), 900, actor=student, expires_at=NOW + timedelta(days=1))
    assert told(student, days=9) == [
        ("01-10 12:00", "now", 0, 600),
        ("01-12 12:00", "hours expire", -100, 500),
    ]
    assert told(student, days=10)[2:] == [("01-19 12:00", "hours expire", -200, 300)]


def test_a_subscription_renews_every_month_and_last_months_hours_expire_then(student: User) -> None:
    end = datetime(2026, 1, 31, 8, tzinfo=UTC)
    give_hours(student, 400, actor=student, expires_at=end)
    subscribed(student, PricingPlan.objects.get(name="Monthly Four"), end)
    assert told(student, days=90) == [
        ("01-10 12:00", "now", 0, 400),
        ("01-31 08:00", "hours expire", -400, 0),
        ("01-31 08:00", "“Monthly Four” renews", 400, 400),
        ("02-28 08:00", "hours expire", -400, 0),
        ("02-28 08:00", "“Monthly Four” renews", 400, 400),
        ("03-31 08:00", "hours expire", -400, 0),
        ("03-31 08:00", "“Monthly Four” renews", 400, 400),
    ]


def test_one_that_is_canceled_ends_with_its_month(student: User) -> None:
    end = NOW + timedelta(days=5)
    subscribed(student, PricingPlan.objects.get(name="Monthly Four"), end, cancel_at_period_end=True)
    assert told(student, days=400) == [("01-10 12:00", "now", 0, 0), ("01-15 12:00", "“Monthly Four” ends", 0, 0)]


def test_who_subscribed_pays_what_was_agreed_whatever_the_plan_costs_now(student: User) -> None:
    plan = make_plan(name="Monthly", days=None, hundredths=400, price=Money(5600, "eur"))
    subscribed(student, plan, NOW + timedelta(days=5), amount_minor=5600, hours_hundredths=400)
    untold = subscribed(UserFactory.create(), plan, NOW + timedelta(days=5))
    plan.prices.update(amount_minor=9900)
    PricingPlan.objects.filter(pk=plan.pk).update(hours_hundredths=300)
    renewal = simulate(student, now=NOW, days=6)[-1]
    assert (renewal.money, renewal.change_hundredths) == (Money(5600, "eur"), 400)
    renewal = simulate(untold.user, now=NOW, days=6)[-1]
    assert (renewal.money, renewal.change_hundredths) == (Money(9900, "eur"), 300)


def test_what_is_foreseen_is_what_the_sweep_then_does(student: User) -> None:
    start = timezone.now()
    for days in (3, 10, 40):
        give_hours(student, days * 10, actor=student, expires_at=start + timedelta(days=days))
    hours.consume(student=student, hundredths=45, session_reference="s1", actor=student)
    foreseen = [(step.at, step.left_hundredths) for step in simulate(student, now=start, days=100)][1:]
    happened = []
    for at, _ in foreseen:
        hours.expire_due(now=at)
        happened.append((at, hours.balance_of(student, now=at).remaining))
    assert happened == foreseen
    assert [left for _, left in foreseen] == [400, 0]


def test_it_changes_nothing_and_calls_nobody(student: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_calls(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("Stripe was called")

    for name in ("create", "retrieve_subscription", "update_subscription"):
        monkeypatch.setattr(stripe_gateway, name, no_calls)
    give_hours(student, 100, actor=student, expires_at=NOW + timedelta(days=2))
    subscribed(student, PricingPlan.objects.get(name="Monthly Four"), NOW + timedelta(days=2))
    before = everything()
    assert len(told(student, days=400)) > 20
    call_command("simulate", "--student", student.pk, stdout=io.StringIO())
    assert everything() == before
    assert list(check_books()) == []


def test_what_is_not_foreseen_is_told(student: User) -> None:
    plan = PricingPlan.objects.get(name="Monthly Four")
    Subscription.objects.create(user=student, plan=plan, currency="eur", stripe_id="sub_1", state="past_due")
    HourLot.objects.create(email=student.email, granted_hundredths=150, remaining_hundredths=150)
    assert [step.what for step in simulate(student, now=NOW, days=400)] == ["now"]
    assert not_foreseen(student) == [
        "“Monthly Four” is payment failed, Stripe tries again: whether it goes on is not foreseen.",
        "1.50 hours bought as a guest wait until the address is proved.",
    ]


@pytest.mark.parametrize(
    ("anchor", "months", "expected"),
    [
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2024, 1, 31), 1, (2024, 2, 29)),
        ((2026, 1, 31), 12, (2027, 1, 31)),
        ((2026, 12, 5), 1, (2027, 1, 5)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last(anchor: Any, months: int, expected: Any) -> None:
    assert months_after(datetime(*anchor, tzinfo=UTC), months) == datetime(*expected, tzinfo=UTC)


# -- the command -------------------------------------------------------------------------------------------
def test_the_command_finds_a_student_by_address_and_tells_a_program_too(student: User) -> None:
    give_hours(student, 250, actor=student, expires_at=timezone.now() + timedelta(days=2))
    words, parts = io.StringIO(), io.StringIO()
    call_command("simulate", "--student", "Ada@example.org", "--days", "3", stdout=words)
    call_command("simulate", "--student", student.pk, "--days", "3", "--json", stdout=parts)
    *_, last = words.getvalue().splitlines()
    assert last.split()[2:] == ["-2.50", "0.00", "hours", "expire"]
    body = json.loads(parts.getvalue())
    assert [(step["change"], step["left"], step["charged"]) for step in body["steps"]] == [
        ("0.00", "2.50", None),
        ("-2.50", "0.00", None),
    ]


@pytest.mark.parametrize("days", [-3, 3661, 5000])
def test_days_out_of_range_are_refused_by_name(student: User, days: int) -> None:
    words = io.StringIO()
    with pytest.raises(CommandError, match=f"--days must be 0 to 3660, not {days}\\.") as refused:
        call_command("simulate", "--student", student.pk, "--days", str(days), stdout=words)
    assert (refused.value.returncode, words.getvalue()) == (2, "")


def test_the_longest_look_ahead_is_taken(student: User) -> None:
    words = io.StringIO()
    call_command("simulate", "--student", student.pk, "--days", "3660", stdout=words)
    assert "the next 3660 days" in words.getvalue()


def test_nobody_of_that_name_is_an_error_of_its_own() -> None:
    errors = io.StringIO()
    with pytest.raises(SystemExit) as raised:
        call_command("simulate", "--student", "nobody@example.org", stderr=errors)
    assert (raised.value.code, "nobody@example.org" in errors.getvalue()) == (2, True)
