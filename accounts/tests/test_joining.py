"""Accepting an invitation: once, by the person whose address was invited; and what erasure makes of all this."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts import organizations
from accounts.models import AuditEntry, Invitation, Membership, Organization, Role
from accounts.tests.factories import PASSWORD, MembershipFactory, UserFactory, proved

pytestmark = pytest.mark.django_db
ACCEPT = "/api/organizations/invitations/accept"


def refusal(answer):
    return answer.status_code, answer.json()["code"]


def roles(organization: Organization) -> list[tuple[str, str]]:
    return sorted(organization.memberships.values_list("user__email", "role"))


def test_accepting_makes_a_member_and_may_be_said_twice(api_of, food_bank, mailed):
    ada = proved("ada@example.org")
    token = mailed(role="admin")
    client = api_of(ada)

    first, second = client.post(ACCEPT, {"token": token}), client.post(ACCEPT, {"token": token})

    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert (first.status_code, first.json()["id"], first.json()["role"]) == (200, food_bank.pk, "admin")
    assert roles(food_bank) == [("ada@example.org", "admin"), ("grace@example.org", "owner")]
    invitation = Invitation.objects.get()
    assert (invitation.accepted_by, invitation.withdrawn_at) == (ada, None)
    lines = AuditEntry.objects.filter(action="organization.joined").values_list("actor", "target_id", "after")
    assert list(lines) == [(ada.pk, food_bank.pk, {"user": ada.pk, "role": "admin", "invitation": invitation.pk})]


def test_another_person_cannot_accept(api_of, food_bank, mailed):
    eve = proved("eve@example.org")
    token = mailed()

    assert refusal(api_of(eve).post(ACCEPT, {"token": token})) == (403, "invitation_for_another")
    assert roles(food_bank) == [("grace@example.org", "owner")]
    assert Invitation.objects.get().accepted_at is None


def test_an_address_that_is_only_typed_is_not_enough(api_of, food_bank, mailed):
    typed = UserFactory.create(email="ada@example.org")
    token = mailed()

    assert refusal(api_of(typed).post(ACCEPT, {"token": token})) == (403, "address_not_proved")
    assert roles(food_bank) == [("grace@example.org", "owner")]


def test_unknown_expired_and_used_tokens_get_one_answer(api_of, food_bank, mailed):
    ada, eve = proved("ada@example.org"), proved("eve@example.org")
    used = mailed()
    membership_id = api_of(ada).post(ACCEPT, {"token": used}).json()["id"]
    expired = mailed("eve@example.org")
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        answers = [api_of(eve).post(ACCEPT, {"token": token}) for token in ("x" * 43, "井", expired, used)]

    assert membership_id == food_bank.pk
    assert {refusal(answer) for answer in answers} == {(404, "invitation_not_found")}
    assert len({answer.content for answer in answers}) == 1
    assert len(roles(food_bank)) == 2


def test_half_a_character_is_no_token(api_of, owner):
    answer = api_of(owner).generic("POST", ACCEPT, '{"token": "x\\ud83d"}', content_type="application/json")

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["token"])


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": ""}, {"token": 5}, {"token": "x" * 201}, {"token": "a\0b"}])
def test_what_is_no_token_is_refused(api_of, owner, body):
    answer = api_of(owner).post(ACCEPT, body, format="json")

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["token"])


def test_a_used_link_lets_nobody_back_in(api_of, owner, food_bank, mailed):
    ada = proved("ada@example.org")
    token = mailed()
    api_of(ada).post(ACCEPT, {"token": token})
    member = Membership.objects.get(user=ada)
    api_of(owner).delete(f"/api/organizations/{food_bank.pk}/members/{member.pk}")

    assert refusal(api_of(ada).post(ACCEPT, {"token": token})) == (404, "invitation_not_found")
    assert roles(food_bank) == [("grace@example.org", "owner")]


def test_a_member_who_accepts_keeps_the_role_they_have(api_of, food_bank, mailed):
    token = mailed(role="member")
    ada = proved("ada@example.org")
    MembershipFactory.create(organization=food_bank, user=ada, role=Role.ADMIN)

    assert api_of(ada).post(ACCEPT, {"token": token}).json()["role"] == "admin"
    assert Invitation.objects.get().accepted_by == ada


def test_whoever_is_in_too_many_organizations_joins_no_other(api_of, food_bank, mailed, monkeypatch):
    monkeypatch.setattr(organizations, "MOST_ORGANIZATIONS", 1)
    ada = MembershipFactory.create(user=proved("ada@example.org")).user
    token = mailed()

    assert refusal(api_of(ada).post(ACCEPT, {"token": token})) == (409, "too_many_organizations")
    assert Invitation.objects.get().accepted_at is None


# -- export and erasure ----------------------------------------------------------------------------------
def test_the_export_tells_of_invitations_received_and_sent(api_of, owner, mailed):
    ada, typed = proved("ada@example.org"), UserFactory.create(email="bob@example.org")
    mailed()
    mailed("bob@example.org")

    exports = {user: api_of(user).get("/api/auth/me/export").json()["invitations"] for user in (owner, ada, typed)}

    told = [(one["organization"], one["email"], one["role"]) for one in exports[ada]["received"]]
    assert told == [("Food bank", "ada@example.org", "member")]
    assert [one["email"] for one in exports[owner]["sent"]] == ["ada@example.org", "bob@example.org"]
    assert (exports[ada]["sent"], exports[owner]["received"]) == ([], [])
    assert exports[typed] == {"received": [], "sent": []}


def test_erasure_blanks_the_address_and_ends_what_is_open(api_of, mailed):
    ada = proved("ada@example.org")
    token = mailed()

    assert api_of(ada).delete("/api/auth/me", {"password": PASSWORD}).status_code == 204

    invitation = Invitation.objects.get()
    assert (invitation.email, invitation.token_hash) == (f"{invitation.pk}@erased.invalid", None)
    assert invitation.withdrawn_at is not None
    again = proved("ada@example.org")
    assert refusal(api_of(again).post(ACCEPT, {"token": token})) == (404, "invitation_not_found")


def test_erasure_of_who_only_typed_an_address_leaves_its_invitations(api_of, mailed):
    typed = UserFactory.create(email="ada@example.org")
    token = mailed()

    assert api_of(typed).delete("/api/auth/me", {"password": PASSWORD}).status_code == 204

    assert Invitation.objects.get().email == "ada@example.org"
    assert api_of(proved("ada@example.org")).post(ACCEPT, {"token": token}).status_code == 200


def test_the_only_member_goes_and_nobody_joins_what_is_left(api_of, owner, food_bank, mailed):
    token = mailed()

    assert api_of(owner).delete("/api/auth/me", {"password": PASSWORD}).status_code == 204

    assert roles(food_bank) == []
    answer = api_of(proved("ada@example.org")).post(ACCEPT, {"token": token})
    assert refusal(answer) == (404, "invitation_not_found")
    assert AuditEntry.objects.latest("pk").action == "organization.left"


def test_the_only_member_of_an_organization_with_money_stays(api_of, owner, food_bank, settings):
    settings.PERSON_DATA = ["accounts.tests.wallet_holdings"]

    answer = api_of(owner).delete("/api/auth/me", {"password": PASSWORD})

    assert refusal(answer) == (409, "sole_owner")
    assert answer.json()["error"] == (
        "You are the only owner of Food bank, which has a wallet. Make another member its owner first."
    )
    owner.refresh_from_db()
    assert (owner.is_active, roles(food_bank)) == (True, [("grace@example.org", "owner")])
