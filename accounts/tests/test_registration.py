from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.models import User
from accounts.tests import holdings
from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
ANSWER = {
    "success": True,
    "message": "We have sent you a mail. Open the link in it to confirm your address.",
}


def register(api, **changes):
    return api.post("/api/auth/register", {"email": "Ada@Example.org", "password": PASSWORD, **changes})


def test_registering_makes_an_account_and_sends_a_link(api, run_tasks):
    answer = register(api, name=" Ada ")

    assert (answer.status_code, answer.json()) == (201, ANSWER)
    user = User.objects.get()
    assert (user.email, user.name, user.is_active, user.is_staff) == ("ada@example.org", "Ada", True, False)
    assert user.email_proved_at is None
    assert user.check_password(PASSWORD)
    (mail,) = run_tasks()
    assert mail.to == ["ada@example.org"]
    assert mail.subject == "Please confirm your e-mail address"
    assert "http://127.0.0.1:8000/verify-email?token=" in mail.body
    assert "http://127.0.0.1:8000/verify-email?token=" in str(mail.alternatives[0].content)


def test_a_known_address_gets_the_same_answer_and_another_mail(api, run_tasks):
    known = UserFactory.create(email="ada@example.org")

    answer = register(api, name="Mallory", password="another-fine-secret")

    assert (answer.status_code, answer.json()) == (201, ANSWER)
    assert User.objects.count() == 1
    known.refresh_from_db()
    assert known.name == "Ada Example"
    assert known.check_password(PASSWORD)
    (mail,) = run_tasks()
    assert (mail.to, mail.subject) == (["ada@example.org"], "You already have an account")
    assert "/verify-email" not in mail.body


def test_known_and_unknown_addresses_cost_the_same_statements(api, django_assert_num_queries):
    UserFactory.create(email="ada@example.org")

    with django_assert_num_queries(5):
        register(api)
    with django_assert_num_queries(5):
        register(api, email="new@example.org")
    assert DBTaskResult.objects.count() == 2


def test_a_closed_account_gets_no_mail(api, run_tasks):
    UserFactory.create(email="ada@example.org", is_active=False)

    assert register(api).json() == ANSWER
    assert run_tasks() == []


def test_tasks_and_mails_hold_nothing_that_a_stranger_typed(api, run_tasks):
    register(api, name="Visit evil.example")

    assert "ada@example.org" not in str(DBTaskResult.objects.get().args_kwargs)
    (mail,) = run_tasks()
    assert "evil" not in mail.body + str(mail.alternatives[0].content)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "Ensure this field has at least 8 characters."),
        ("x" * 129, "Ensure this field has no more than 128 characters."),
        ("password", "This password is too common."),
        ("7361952084", "This password is entirely numeric."),
        ("ada@example.org", "The password is too similar to the e-mail address."),
        (12345678, "Not a valid string."),
        (["a-fine-secret"], "Not a valid string."),
        (None, "This field may not be null."),
        ("a-fine\0secret", "Null characters are not allowed."),
    ],
)
def test_a_password_that_cannot_be_accepted_is_refused_by_name(api, password, reason):
    answer = register(api, password=password)

    assert answer.status_code == 400
    assert answer.json()["fields"] == {"password": [reason]}
    assert not User.objects.exists()
    assert not DBTaskResult.objects.exists()


@pytest.mark.parametrize(
    "email",
    ["", "no-address", "a@b", 1, True, None, ["a@example.org"], {}, "a\0@example.org", "x" * 255 + "@example.org"],
)
def test_an_address_that_is_none_is_refused_by_name(api, email):
    answer = register(api, email=email, password="a-fine-secret")

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["email"]
    assert not User.objects.exists()


def test_unknown_fields_are_refused_by_name(api):
    answer = register(api, is_staff=True)

    assert answer.status_code == 400
    assert answer.json()["fields"] == {"is_staff": ["This field is not known here."]}
    assert not User.objects.exists()


@pytest.mark.parametrize("body", ["[]", "null", "1", '"a"', "{", "[[[[", '{"email": NaN}'])
def test_a_body_that_is_no_object_is_refused(api, body):
    answer = api.post("/api/auth/register", body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["success"] is False


@pytest.mark.parametrize("name", ["x" * 101, 5, None, "a\0b", "a\x1bb", "a\u202eb"])
def test_a_name_that_cannot_be_accepted_is_refused(api, name):
    answer = register(api, name=name)

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["name"]


def test_the_link_proves_the_address_and_hands_over_what_waited(api, run_tasks, token_in):
    register(api)
    token = token_in(run_tasks()[0], "/verify-email")

    before = timezone.now()
    answer = api.post("/api/auth/verify-email", {"token": token})

    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert User.objects.get().email_proved_at >= before
    assert holdings.calls == [("address_proved", "ada@example.org")]


def test_the_link_works_once(api, run_tasks, token_in):
    register(api)
    token = token_in(run_tasks()[0], "/verify-email")
    api.post("/api/auth/verify-email", {"token": token})
    proved_at = User.objects.get().email_proved_at

    answer = api.post("/api/auth/verify-email", {"token": token})

    assert (answer.status_code, answer.json()["code"]) == (400, "token_invalid")
    assert list(answer.json()["fields"]) == ["token"]
    assert User.objects.get().email_proved_at == proved_at
    assert holdings.calls == [("address_proved", "ada@example.org")]


@pytest.mark.parametrize(("seconds", "status"), [(-60, 200), (60, 400)])
def test_the_link_expires_after_three_days(api, run_tasks, token_in, seconds, status):
    register(api)
    token = token_in(run_tasks()[0], "/verify-email")

    with time_machine.travel(timezone.now() + timedelta(days=3, seconds=seconds), tick=False):
        answer = api.post("/api/auth/verify-email", {"token": token})

    assert answer.status_code == status
    assert answer.json().get("code", "") == ("" if status == 200 else "token_expired")
    assert (User.objects.get().email_proved_at is not None) == (status == 200)


def test_a_link_of_another_kind_or_address_proves_nothing(api, run_tasks, token_in):
    user = UserFactory.create(email="ada@example.org")
    api.post("/api/auth/password/reset", {"email": user.email})
    api.post("/api/auth/verify-email/resend", {"email": user.email})
    reset, verify = run_tasks()
    User.objects.update(email="other@example.org")

    for token in (token_in(reset, "/password-reset"), token_in(verify, "/verify-email")):
        answer = api.post("/api/auth/verify-email", {"token": token})
        assert (answer.status_code, answer.json()["code"]) == (400, "token_invalid")
    assert User.objects.get().email_proved_at is None
    assert holdings.calls == []


@pytest.mark.parametrize("token", ["x", "a:b:c", "é", "::", " ", "x" * 501, "", 1, None, [], "a\0b", "\u2028"])
def test_a_token_that_is_none_is_refused(api, token):
    for route, others in (("verify-email", {}), ("password/reset/confirm", {"password": PASSWORD})):
        answer = api.post(f"/api/auth/{route}/", {"token": token, **others})
        assert answer.status_code == 400
        assert "token" in answer.json()["fields"]


def test_if_what_waited_cannot_be_handed_over_nothing_is_proved(api, run_tasks, token_in, settings):
    register(api)
    token = token_in(run_tasks()[0], "/verify-email")
    settings.PERSON_DATA = ["accounts.tests.refusing_holdings"]

    with pytest.raises(RuntimeError, match="cannot hand over"):
        api.post("/api/auth/verify-email", {"token": token})

    assert User.objects.get().email_proved_at is None


def test_a_new_link_is_sent_only_to_an_unproved_address_and_the_answer_is_the_same(api, run_tasks):
    UserFactory.create(email="unproved@example.org")
    UserFactory.create(email="proved@example.org", email_proved_at=timezone.now())
    UserFactory.create(email="closed@example.org", is_active=False)

    answers = [
        api.post("/api/auth/verify-email/resend", {"email": f"{who}@example.org"})
        for who in ("Unproved", "proved", "closed", "unknown")
    ]

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert DBTaskResult.objects.count() == 4
    assert [mail.to for mail in run_tasks()] == [["unproved@example.org"]]


@pytest.mark.parametrize(
    "route", ["register", "login", "verify-email", "verify-email/resend", "password/reset", "password/reset/confirm"]
)
def test_the_sixth_try_within_a_minute_must_wait(api, route):
    answers = [api.post(f"/api/auth/{route}", {"email": f"{n}@example.org"}) for n in range(6)]

    assert 429 not in [answer.status_code for answer in answers[:5]]
    assert answers[5].status_code == 429
    assert answers[5].json()["code"] == "rate_limited"
    assert 1 <= int(answers[5]["Retry-After"]) <= 60
