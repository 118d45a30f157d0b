from __future__ import annotations

import pytest

from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return UserFactory.create(email="ada@example.org", name="Ada")


def log_in(client, password=PASSWORD, **more):
    return client.post("/login", {"username": "Ada@Example.org", "password": password, **more})


def test_account_asks_a_stranger_to_log_in(client):
    response = client.get("/account")

    assert response.status_code == 302
    assert response.headers["Location"] == "/login?next=/account"


def test_logging_in_leads_to_the_account(client, ada, django_assert_max_num_queries):
    response = log_in(client)

    assert response.headers["Location"] == "/account"
    with django_assert_max_num_queries(6):
        page = client.get("/account")
    assert page.status_code == 200
    assert "ada@example.org" in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]


def test_next_leads_to_a_path_of_this_site(client, ada):
    assert log_in(client, next="/campaigns/wells?a=b").headers["Location"] == "/campaigns/wells?a=b"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "http://testserver/account",
        " //evil.example",
    ],
)
def test_next_cannot_leave_the_site(client, ada, address):
    assert log_in(client, next=address).headers["Location"] == "/account"
    assert client.get("/login", {"next": address}).headers["Location"] == "/account"
    assert client.post("/logout", {"next": address}).headers["Location"] in {"/", "/logout"}


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org"])
def test_wrong_password_and_unknown_address_are_told_alike(client, ada, email):
    response = client.post("/login", {"username": email, "password": "wrong"})

    assert response.status_code == 200
    assert "The e-mail address or the password is not right." in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_too_many_tries_are_refused_even_with_the_right_password(client, ada, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": "2/h"}
    log_in(client, password="wrong")
    log_in(client, password="wrong")

    response = log_in(client)

    assert response.status_code == 429
    assert "Too many tries." in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_logging_out_takes_a_post(client, ada):
    log_in(client)

    assert client.get("/logout").status_code == 405
    assert client.post("/logout").headers["Location"] == "/"
    assert client.get("/account").status_code == 302


def test_confirmed_person_without_gifts_has_no_donor_form(client, ada):
    client.force_login(ada)

    page = client.get("/account").content.decode()

    assert 'id="donor-form"' not in page
    assert 'id="donor-none"' in page
    assert 'id="resend-form"' in page


def test_link_without_a_token_offers_a_new_one(client):
    page = client.get("/verify-email").content.decode()

    assert 'id="verify-form"' not in page
    assert 'id="resend-form"' in page
