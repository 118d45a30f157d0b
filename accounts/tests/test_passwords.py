from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from accounts.models import User
from accounts.signing_in import issue_tokens
from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
NEW = "quiet-lantern-4410"


@pytest.fixture
def ada() -> User:
    return UserFactory.create(email="ada@example.org")


@pytest.fixture
def reset_token(api, ada, run_tasks, token_in) -> str:
    api.post("/api/auth/password/reset", {"email": "Ada@Example.org"})
    return token_in(run_tasks()[0], "/password-reset")


def confirm(api, token, password=NEW):
    return api.post("/api/auth/password/reset/confirm", {"token": token, "password": password})


def test_known_unknown_and_closed_get_one_answer_and_the_same_statements(api, ada, run_tasks, django_assert_num_queries):
    UserFactory.create(email="closed@example.org", is_active=False)
    answers = []
    for email in ("ada@example.org", "unknown@example.org", "closed@example.org"):
        with django_assert_num_queries(4):
            answers.append(api.post("/api/auth/password/reset", {"email": email}))

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert DBTaskResult.objects.count() == 3
    (mail,) = run_tasks()
    assert (mail.to, mail.subject) == (["ada@example.org"], "Choose a new password")
    assert "http://127.0.0.1:8000/password-reset?token=" in str(mail.alternatives[0].content)


def test_the_new_password_counts_and_the_old_one_does_not(api, ada, reset_token, run_tasks):
    answer = confirm(api, reset_token)

    assert (answer.status_code, answer.json()["success"]) == (200, True)
    ada.refresh_from_db()
    assert ada.check_password(NEW)
    assert not ada.check_password(PASSWORD)
    assert [mail.subject for mail in run_tasks()] == ["Your password was changed"]


def test_every_log_in_so_far_is_over(api, ada, reset_token):
    tokens = [issue_tokens(user=ada) for _ in range(2)]
    browser = Client()
    browser.force_login(ada)
    ada.refresh_from_db()
    assert browser.get("/api/auth/me").status_code == 200
    User.objects.update(last_login=None)  # the session was opened before the link was asked for

    assert confirm(api, reset_token).status_code == 200

    assert browser.get("/api/auth/me").status_code == 401
    assert BlacklistedToken.objects.filter(token__user=ada).count() == 2
    for pair in tokens:
        assert api.post("/api/auth/refresh", {"refresh": pair.refresh}).status_code == 401
        assert api.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {pair.access}").status_code == 401


def test_the_link_works_once(api, ada, reset_token):
    confirm(api, reset_token)

    answer = confirm(api, reset_token, password="a-third-fine-secret")

    assert (answer.status_code, answer.json()["code"]) == (400, "token_invalid")
    ada.refresh_from_db()
    assert ada.check_password(NEW)


@pytest.mark.parametrize(("seconds", "status"), [(-60, 200), (60, 400)])
def test_the_link_expires_after_an_hour(api, ada, reset_token, seconds, status):
    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=seconds), tick=False):
        answer = confirm(api, reset_token)

    assert answer.status_code == status
    ada.refresh_from_db()
    assert ada.check_password(NEW if status == 200 else PASSWORD)


def test_a_log_in_after_the_mail_makes_the_link_worthless(api, ada, reset_token):
    api.post("/api/auth/login", {"email": ada.email, "password": PASSWORD})

    assert confirm(api, reset_token).json()["code"] == "token_invalid"


def test_a_closed_account_cannot_use_its_link(api, ada, reset_token):
    User.objects.update(is_active=False)

    assert confirm(api, reset_token).json()["code"] == "token_invalid"


def test_a_weak_password_is_refused_and_the_link_stays_good(api, ada, reset_token):
    answer = confirm(api, reset_token, password="ada@example.org")

    assert (answer.status_code, answer.json()["code"]) == (400, "weak_password")
    assert list(answer.json()["fields"]) == ["password"]
    assert confirm(api, reset_token).status_code == 200
