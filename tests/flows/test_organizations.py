"""From the founding of an organization to a second owner, over HTTP and by the mailed links."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

import pytest
import requests
from django.core import mail
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.models import AuditEntry, Invitation, Membership
from tests.live import Live, mailed_token

PASSWORD = "correct horse battery"


@pytest.fixture
def ada(live: Live) -> str:
    return live.register("ada@example.org", name="Ada")


@pytest.fixture
def food_bank(live: Live, ada: str) -> str:
    return str(live.post("/api/organizations", 201, {"name": "Food bank"}, token=ada)["id"])


def invite(live: Live, token: str, organization: str, email: str, role: str = "member") -> Any:
    invitation = live.post(f"/api/organizations/{organization}/invitations", 201, {"email": email, "role": role}, token=token)
    live.run_tasks()
    return invitation


def members(live: Live, token: str, organization: str) -> list[tuple[str, str]]:
    rows = live.get(f"/api/organizations/{organization}/members", token=token)["results"]
    return [(row["email"], row["role"]) for row in rows]


def member_id(live: Live, token: str, organization: str, email: str) -> str:
    rows = live.get(f"/api/organizations/{organization}/members", token=token)["results"]
    return str(next(row["id"] for row in rows if row["email"] == email))


class Browser:
    """A session on the built-in pages."""

    def __init__(self, live: Live) -> None:
        self.live, self.http = live, requests.Session()

    def get(self, path: str, status: int = 200) -> str:
        answer = self.http.get(self.live.url + path, timeout=30)
        assert answer.status_code == status, answer.text
        return answer.text

    def submit(self, page: str, path: str, **fields: str) -> requests.Response:
        csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert csrf is not None
        return self.http.post(self.live.url + path, data={**fields, "csrfmiddlewaretoken": csrf[1]}, timeout=30)

    def log_in(self, email: str, *, then: str) -> str:
        path = f"/login?next={quote(then, safe='')}"
        answer = self.submit(self.get(path), "/login", username=email, password=PASSWORD, next=then)
        assert answer.status_code == 200, answer.text
        return answer.text


def test_an_organization_grows_from_its_founder_to_a_second_owner(live: Live, ada: str, food_bank: str) -> None:
    grace = live.register("grace@example.org", name="Grace")
    live.get(f"/api/organizations/{food_bank}", 404, token=grace)
    invite(live, ada, food_bank, "grace@example.org", "admin")
    joined = live.post("/api/organizations/invitations/accept", 200, {"token": mailed_token("grace@example.org")}, token=grace)
    assert (joined["id"], joined["name"], joined["role"]) == (food_bank, "Food bank", "admin")
    assert members(live, grace, food_bank) == [("ada@example.org", "owner"), ("grace@example.org", "admin")]
    path = f"/api/organizations/{food_bank}/members/{member_id(live, ada, food_bank, 'grace@example.org')}"
    headers = {"Authorization": f"Bearer {ada}"}
    assert live.ask("PATCH", path, json={"role": "owner"}, headers=headers).status_code == 200
    own = f"/api/organizations/{food_bank}/members/{member_id(live, ada, food_bank, 'ada@example.org')}"
    assert live.ask("DELETE", own, headers=headers).status_code == 204
    assert members(live, grace, food_bank) == [("grace@example.org", "owner")]
    live.get(f"/api/organizations/{food_bank}", 404, token=ada)
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "organization.created",
        "organization.invited",
        "organization.joined",
        "organization.role_changed",
        "organization.left",
    ]


def test_a_stranger_registers_and_accepts_on_the_page(live: Live, ada: str, food_bank: str) -> None:
    invite(live, ada, food_bank, "new@example.org")
    token = mailed_token("new@example.org")
    here = f"/invitations?token={token}"
    browser = Browser(live)
    page = browser.get(here)
    assert "Join Food bank" in page
    assert 'id="invitation-login"' in page
    assert 'id="invitation-form"' not in page
    live.register("new@example.org")
    page = browser.log_in("new@example.org", then=here)
    assert 'id="invitation-form"' in page
    assert Membership.objects.count() == 1  # looking accepts nothing
    answer = browser.submit(page, "/invitations", token=token)
    assert answer.url == f"{live.url}/organizations/{food_bank}/wallet"
    assert "You are now in Food bank, as member." in answer.text
    assert members(live, ada, food_bank) == [("ada@example.org", "owner"), ("new@example.org", "member")]
    assert "You have accepted already." in browser.get(here)
    assert "Food bank" not in Browser(live).get(here, 404)


def test_the_page_tells_whoever_comes_with_a_wrong_token_nothing(live: Live, ada: str, food_bank: str) -> None:
    invite(live, ada, food_bank, "new@example.org")
    for path, told in (
        ("/invitations", "Please open the whole link of the mail."),
        ("/invitations?token=", "Please open the whole link of the mail."),
        ("/invitations?token=guess", "This invitation is not valid any more."),
    ):
        page = Browser(live).get(path, 404)
        assert told in page
        assert ("not valid" in page) == (path == "/invitations?token=guess")
        assert "Food bank" not in page


def test_the_page_says_to_another_person_that_it_is_not_for_them(live: Live, ada: str, food_bank: str) -> None:
    invite(live, ada, food_bank, "new@example.org")
    live.register("eve@example.org")
    token = mailed_token("new@example.org")
    browser = Browser(live)
    page = browser.log_in("eve@example.org", then=f"/invitations?token={token}")
    assert "this invitation was sent to another address" in page
    assert "new@example.org" not in page
    assert 'id="invitation-form"' not in page
    answer = browser.submit(page, "/invitations", token=token)
    assert "This invitation was sent to another address." in answer.text
    assert Membership.objects.count() == 1


def test_the_page_takes_no_click_from_another_site(live: Live, ada: str, food_bank: str) -> None:
    invite(live, ada, food_bank, "new@example.org")
    live.register("new@example.org")
    browser = Browser(live)
    browser.log_in("new@example.org", then="/account")
    answer = browser.http.post(f"{live.url}/invitations", data={"token": mailed_token("new@example.org")}, timeout=30)
    assert answer.status_code == 403
    assert Membership.objects.count() == 1


def test_a_mail_whose_task_was_lost_comes_with_the_sweep_and_once(live: Live, ada: str, food_bank: str) -> None:
    live.post(f"/api/organizations/{food_bank}/invitations", 201, {"email": "new@example.org"}, token=ada)
    DBTaskResult.objects.all().delete()
    assert live.sweep()["invitations sent"] == 0
    Invitation.objects.update(mail_due_at=timezone.now())
    assert live.sweep()["invitations sent"] == 1
    assert live.sweep()["invitations sent"] == 0
    new = live.register("new@example.org")
    [sent] = [one for one in mail.outbox if one.subject == "Join Food bank"]
    token = unquote(str(sent.body).split("?token=")[1].split()[0])
    live.post("/api/organizations/invitations/accept", 200, {"token": token}, token=new)
