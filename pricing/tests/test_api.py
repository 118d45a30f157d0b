"""Plans and hours over the API: what every visitor may read, what is one's own, and what tutors may record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from accounts.models import AuditEntry, User
from accounts.signing_in import issue_tokens
from accounts.tests.factories import UserFactory
from payments.money import Money
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing import hours
from pricing.models import HourConsumption, HourMovement, PlanPrice, PricingPlan
from pricing.tests.factories import give_hours, make_plan, pending_purchase

pytestmark = pytest.mark.django_db
FINANCES = "/api/finances/api"
PLANS = f"{FINANCES}/pricing-plans/"
CONSUME = f"{FINANCES}/hours/consume/"


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


@pytest.fixture
def stranger() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.fixture
def student() -> User:
    return UserFactory.create(email="ada@example.org")


@pytest.fixture
def tutor() -> User:
    user = UserFactory.create(email="tutor@example.org")
    user.groups.add(Group.objects.get(name="Tutors"))
    return user


def as_user(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=user).access}")
    return client


def refused(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    assert body["success"] is False
    return answer.status_code, body["code"], list(body.get("fields", {}))


# -- the list of plans --------------------------------------------------------------------------------
def test_a_fresh_installation_lists_seven_plans_in_display_order(stranger: APIClient) -> None:
    plans = stranger.get(PLANS).json()
    assert [plan["name"] for plan in plans] == [
        "Basic Package", "Single Lesson", "Standard Package", "Intensive Package", "Semester Package", "Monthly Four",
        "Monthly Eight",
    ]  # fmt: skip
    assert plans[0] == {
        "id": PricingPlan.objects.get(name="Basic Package").pk,
        "name": "Basic Package",
        "description": "Five hours to get to know each other.",
        "plan_type": "package",
        "hours_included": "5.00",
        "price_eur": "75.00",
        "validity_days": 30,
        "is_featured": False,
        "price_per_hour": "15",
        "currency": "EUR",
        "prices": {"eur": "75.00", "usd": "81.00"},
    }
    assert {plan["validity_days"] for plan in plans if plan["plan_type"] == "subscription"} == {None}


def test_only_plans_on_sale_with_a_default_price_are_listed(stranger: APIClient) -> None:
    PricingPlan.objects.all().delete()
    shown = make_plan(name="Shown", display_order=2)
    first = make_plan(name="First", display_order=1, hundredths=300, price=Money(1000, "jpy"))
    make_plan(name="Off sale", is_active=False)
    make_plan(name="No price").prices.all().delete()
    plans = stranger.get(PLANS).json()
    assert [(plan["id"], plan["price_eur"], plan["currency"], plan["price_per_hour"]) for plan in plans] == [
        (first.pk, None, "JPY", "333"),
        (shown.pk, "75.00", "EUR", "15"),
    ]


@pytest.mark.parametrize(
    ("price", "hundredths", "an_hour"),
    [
        (Money(2825, "eur"), 200, "14.13"),
        (Money(50, "eur"), 20_000, "0"),
        (Money(8000, "jpy"), 300, "2667"),
        (Money(25_120, "kwd"), 700, "3.59"),
        (Money(25_120, "kwd"), 125, "20.1"),
        (Money(150_000, "isk"), 700, "214"),
        (Money(100_000, "ugx"), 300, "333"),
    ],
)
def test_an_hour_costs_what_can_be_written_in_the_currency(
    stranger: APIClient, price: Money, hundredths: int, an_hour: str
) -> None:
    PricingPlan.objects.all().delete()
    make_plan(price=price, hundredths=hundredths)
    assert [plan["price_per_hour"] for plan in stranger.get(PLANS).json()] == [an_hour]


def test_the_list_is_read_once_and_then_without_any_query(
    stranger: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = stranger.get(PLANS)
    with django_assert_num_queries(0):
        second = stranger.get(PLANS)
    assert second.json() == first.json()


def test_who_knows_the_list_is_told_that_nothing_changed(stranger: APIClient) -> None:
    first = stranger.get(PLANS)
    etag = first.headers["ETag"]
    again = stranger.get(PLANS, headers={"If-None-Match": f'"other", W/{etag}'})
    other = stranger.get(PLANS, headers={"If-None-Match": '"other"'})
    assert (first.headers["Cache-Control"], again.status_code, again.content) == ("no-cache", 304, b"")
    assert (again.headers["ETag"], other.status_code, other.json()) == (etag, 200, first.json())


def renamed(plan: PricingPlan) -> None:
    plan.name = "Another name"
    plan.save()


def repriced(plan: PricingPlan) -> None:
    price = plan.prices.get(currency="eur")
    price.amount_minor += 100
    price.save()


def not_sold_in_dollars(plan: PricingPlan) -> None:
    plan.prices.get(currency="usd").delete()


def sold_in_yen(plan: PricingPlan) -> None:
    PlanPrice.objects.create(plan=plan, currency="jpy", amount_minor=12_000)


def deleted(plan: PricingPlan) -> None:
    plan.delete()


@pytest.mark.parametrize("change", [renamed, repriced, not_sold_in_dollars, sold_in_yen, deleted])
def test_a_change_shows_when_it_commits_and_not_before(
    change: Any, stranger: APIClient, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    before = stranger.get(PLANS)
    with django_capture_on_commit_callbacks(execute=True):
        change(PricingPlan.objects.get(name="Basic Package"))
        within = stranger.get(PLANS)
    after = stranger.get(PLANS)
    assert (within.json(), within.headers["ETag"]) == (before.json(), before.headers["ETag"])
    assert after.json() != before.json()
    assert after.headers["ETag"] != before.headers["ETag"]


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_leaves_the_list_as_it_is(
    stranger: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    plan = make_plan(name="Basic")
    before = stranger.get(PLANS).json()
    with transaction.atomic():
        renamed(plan)
        transaction.set_rollback(True)
    with django_assert_num_queries(0):
        assert stranger.get(PLANS).json() == before


# -- what is needed to pay -----------------------------------------------------------------------------
def test_the_configuration_of_stripe_needs_a_token(stranger: APIClient, student: User, settings: Any) -> None:
    settings.STRIPE_PUBLISHABLE_KEY = "pk_test_1"
    assert refused(stranger.get(f"{FINANCES}/stripe/config/")) == (401, "not_authenticated", [])
    assert as_user(student).get(f"{FINANCES}/stripe/config/").json() == {
        "success": True,
        "public_key": "pk_test_1",
        "api_version": settings.STRIPE_API_VERSION,
        "currency": settings.DEFAULT_CURRENCY.upper(),
    }


# -- one's own ---------------------------------------------------------------------------------------------
OWN = ["student-balance", "purchases", "consumption"]


@pytest.mark.parametrize("name", OWN)
def test_hours_are_told_to_nobody_without_a_token(name: str, stranger: APIClient) -> None:
    assert refused(stranger.get(f"{FINANCES}/{name}/")) == (401, "not_authenticated", [])


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("asked", ["other", "nobody", "\x00", "x" * 500])
def test_who_asks_for_somebody_else_learns_nothing_at_all(name: str, asked: str, student: User) -> None:
    other = UserFactory.create()
    give_hours(other, 100, actor=other)
    answer = as_user(student).get(f"{FINANCES}/{name}/", {"student_id": other.pk if asked == "other" else asked})
    assert refused(answer) == (404, "not_found", [])


@pytest.mark.parametrize("name", OWN)
def test_tutors_may_name_a_student_and_students_themselves(name: str, student: User, tutor: User) -> None:
    give_hours(student, 100, actor=tutor)
    hours.consume(student=student, hundredths=50, session_reference="s1", actor=tutor)
    own = as_user(student).get(f"{FINANCES}/{name}/")
    assert own.status_code == 200
    for client in (as_user(student), as_user(tutor)):
        assert client.get(f"{FINANCES}/{name}/", {"student_id": student.pk}).json() == own.json()
    assert refused(as_user(tutor).get(f"{FINANCES}/{name}/", {"student_id": "user_unknown"})) == (404, "not_found", [])


def test_the_balance_adds_up_and_names_its_lots(student: User, tutor: User) -> None:
    soon = timezone.now().replace(microsecond=0) + timedelta(days=3)
    over = give_hours(student, 50, actor=tutor, expires_at=timezone.now() - timedelta(days=1))
    first = give_hours(student, 200, actor=tutor, expires_at=soon)
    forever = give_hours(student, 300, actor=tutor)
    hours.consume(student=student, hundredths=125, session_reference="s1", actor=tutor)
    hours.adjust(student=student, hundredths=-25, actor=tutor, reason="given by mistake")
    give_hours(tutor, 900, actor=tutor)
    balance = as_user(student).get(f"{FINANCES}/student-balance/").json()
    shown = soon.isoformat().replace("+00:00", "Z")
    assert balance == {
        "purchased": "5.50",
        "consumed": "1.25",
        "expired": "0.50",
        "returned": "0.25",
        "remaining": "3.50",
        "next_expiry": shown,
        "lots": [
            {"id": over.pk, "purchased": "0.50", "remaining": "0.50", "expires_at": balance["lots"][0]["expires_at"]},
            {"id": first.pk, "purchased": "2.00", "remaining": "0.50", "expires_at": shown},
            {"id": forever.pk, "purchased": "3.00", "remaining": "3.00", "expires_at": None},
        ],
    }


def test_nobody_has_hours_from_nowhere(student: User) -> None:
    assert as_user(student).get(f"{FINANCES}/student-balance/").json() == {
        **dict.fromkeys(("purchased", "consumed", "expired", "returned", "remaining"), "0.00"),
        "next_expiry": None,
        "lots": [],
    }


def test_purchases_are_ones_own_newest_first(student: User) -> None:
    plan = make_plan(name="Basic")
    paid, pending = pending_purchase(plan, user=student), pending_purchase(plan, user=student)
    pending_purchase(plan, user=UserFactory.create())
    settle_events(Story(paid).succeeded(), source="webhook")
    shown = as_user(student).get(f"{FINANCES}/purchases/").json()
    assert [(row["id"], row["state"]) for row in shown["results"]] == [
        (pending.subject_id, "pending"),
        (paid.subject_id, "paid"),
    ]
    row = shown["results"][1]
    assert (row["name"], row["amount"], row["currency"], row["hours"]) == ("Basic", "75.00", "EUR", "5.00")
    assert set(row) == {"id", "name", "amount", "currency", "hours", "state", "receipt_url", "created_at", "paid_at"}


# -- recording sessions -------------------------------------------------------------------------------------
def session(student: User, **changes: Any) -> dict[str, Any]:
    return {"student_id": student.pk, "hours": "1.50", "session_reference": "lesson-1", **changes}


def test_a_tutor_records_a_session_once(student: User, tutor: User) -> None:
    give_hours(student, 300, actor=tutor)
    first, again = (as_user(tutor).post(CONSUME, session(student), format="json") for _ in range(2))
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    recorded = HourConsumption.objects.get()
    assert first.json() == {
        "id": recorded.pk,
        "student_id": student.pk,
        "session_reference": "lesson-1",
        "hours": "1.50",
        "created_at": first.json()["created_at"],
        "reversed_at": None,
    }
    assert recorded.recorded_by == tutor
    assert hours.balance_of(student, now=timezone.now()).remaining == 150


def test_recording_is_for_tutors_and_staff_only(student: User, tutor: User, stranger: APIClient) -> None:
    give_hours(student, 300, actor=tutor)
    assert refused(stranger.post(CONSUME, session(student), format="json")) == (401, "not_authenticated", [])
    assert refused(as_user(student).post(CONSUME, session(student), format="json")) == (403, "permission_denied", [])
    assert HourConsumption.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "code"), [({"hours": "3.01"}, "not_enough_hours"), ({"hours": "1"}, "session_reference_used")]
)
def test_what_cannot_be_recorded_is_a_conflict_that_changes_nothing(
    changes: dict[str, str], code: str, student: User, tutor: User
) -> None:
    give_hours(student, 300, actor=tutor)
    hours.consume(student=student, hundredths=50, session_reference="lesson-1", actor=tutor)
    reference = "lesson-2" if code == "not_enough_hours" else "lesson-1"
    answer = as_user(tutor).post(CONSUME, session(student, session_reference=reference, **changes), format="json")
    assert refused(answer) == (409, code, [])
    assert (HourConsumption.objects.count(), hours.balance_of(student, now=timezone.now()).remaining) == (1, 250)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"hours": "1.255"}, "hours_too_precise", "hours"),
        ({"hours": 0}, "hours_out_of_range", "hours"),
        ({"hours": "-1"}, "hours_out_of_range", "hours"),
        ({"hours": "10000.01"}, "hours_out_of_range", "hours"),
        ({"hours": "an hour"}, "invalid_hours", "hours"),
        ({"hours": True}, "invalid", "hours"),
        ({"hours": [1]}, "invalid", "hours"),
        ({"hours": None}, "null", "hours"),
        ({"session_reference": ""}, "blank", "session_reference"),
        ({"session_reference": "a\u0000b"}, "null_characters_not_allowed", "session_reference"),
        ({"session_reference": "x" * 101}, "max_length", "session_reference"),
        ({"student_id": "user_unknown"}, "unknown_student", "student_id"),
        ({"student_id": ""}, "blank", "student_id"),
        ({"note": "x"}, "unknown_field", "note"),
    ],
)
def test_what_is_wrong_with_a_session_is_told_by_field(
    changes: dict[str, Any], code: str, field: str, student: User, tutor: User
) -> None:
    give_hours(student, 300, actor=tutor)
    answer = as_user(tutor).post(CONSUME, session(student, **changes), format="json")
    assert refused(answer) == (400, code, [field])
    assert HourConsumption.objects.count() == 0


@pytest.mark.parametrize("written", ["1.5", 1.5, "1.50"])
def test_hours_are_taken_as_text_or_number(written: Any, student: User, tutor: User) -> None:
    give_hours(student, 300, actor=tutor)
    assert as_user(tutor).post(CONSUME, session(student, hours=written), format="json").json()["hours"] == "1.50"


# -- reversing ---------------------------------------------------------------------------------------------
def reverse_url(consumption: str) -> str:
    return f"{FINANCES}/hours/consumptions/{consumption}/reverse/"


def test_a_tutor_reverses_a_session_once_and_the_reason_is_kept(student: User, tutor: User) -> None:
    give_hours(student, 300, actor=tutor)
    known = hours.consume(student=student, hundredths=100, session_reference="s1", actor=tutor)
    first = as_user(tutor).post(reverse_url(known.pk), {"reason": "the tutor was ill"}, format="json")
    again = as_user(tutor).post(reverse_url(known.pk), {"reason": "again"}, format="json")
    assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())
    assert first.json()["reversed_at"] is not None
    known.refresh_from_db()
    assert (known.reversal_reason, known.reversed_by) == ("the tutor was ill", tutor)
    assert hours.balance_of(student, now=timezone.now()).remaining == 300
    assert AuditEntry.objects.filter(action="reverse hours").count() == 1


def test_reversing_is_for_tutors_and_staff_only(student: User, tutor: User, stranger: APIClient) -> None:
    give_hours(student, 300, actor=tutor)
    known = hours.consume(student=student, hundredths=100, session_reference="s1", actor=tutor)
    assert refused(stranger.post(reverse_url(known.pk), {}, format="json")) == (401, "not_authenticated", [])
    assert refused(as_user(student).post(reverse_url(known.pk), {}, format="json")) == (403, "permission_denied", [])
    # Whether there is such a session is not told either.
    assert refused(as_user(student).post(reverse_url("consumption_no"), {}, format="json")) == (403, "permission_denied", [])
    known.refresh_from_db()
    assert (known.reversed_at, HourMovement.objects.filter(hundredths__lt=0).count()) == (None, 0)


def test_a_session_that_is_not_there_cannot_be_reversed(tutor: User) -> None:
    assert refused(as_user(tutor).post(reverse_url("consumption_unknown"), {}, format="json")) == (404, "not_found", [])
