"""Inviting by mail, inviting again, withdrawing, and the mail that got lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts import inviting
from accounts.invitation_mail import sweep
from accounts.models import AuditEntry, Invitation, Role
from accounts.tests.factories import MembershipFactory, proved

pytestmark = pytest.mark.django_db
ACCEPT = "/api/organizations/invitations/accept"


def refusal(answer):
    return answer.status_code, answer.json()["code"]


# -- inviting --------------------------------------------------------------------------------------------
def test_inviting_sends_one_mail_that_says_who_invites_to_what(invite, owner, food_bank, run_tasks, token_in):
    answer = invite("Ada@Example.org", role="admin")

    invitation = Invitation.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "id": invitation.pk,
        "email": "ada@example.org",
        "role": "admin",
        "invited_by": "grace@example.org",
        "created_at": invitation.created_at.isoformat().replace("+00:00", "Z"),
        "expires_at": invitation.expires_at.isoformat().replace("+00:00", "Z"),
        "is_expired": False,
    }
    assert mail.outbox == []
    assert DBTaskResult.objects.get().args_kwargs["args"] == [invitation.pk]
    (sent,) = run_tasks()
    assert (sent.to, sent.subject) == (["ada@example.org"], "Join Food bank")
    token = token_in(sent, "/invitations")
    for text in (sent.body, str(sent.alternatives[0].content)):
        assert "grace@example.org invites you to join" in text
        assert "Food bank" in text
        assert "as admin" in text
        assert token in text
    invitation.refresh_from_db()
    assert (invitation.mail_due_at, invitation.mail_attempts, invitation.mail_error) == (None, 1, "")
    assert invitation.mail_sent_at is not None
    assert token not in str(Invitation.objects.values().get())
    assert list(AuditEntry.objects.values_list("action", "actor", "target_id", "after")) == [
        (
            "organization.invited",
            owner.pk,
            food_bank.pk,
            {"invitation": invitation.pk, "address": "a…@example.org", "role": "admin"},
        )
    ]


def test_known_and_unknown_addresses_get_the_same_answer(invite, run_tasks):
    proved("known@example.org")

    known, unknown = invite("known@example.org"), invite("unknown@example.org")

    assert (known.status_code, unknown.status_code) == (201, 201)
    changing = {"id", "email", "created_at", "expires_at"}
    assert {k: v for k, v in known.json().items() if k not in changing} == {
        k: v for k, v in unknown.json().items() if k not in changing
    }
    assert sorted(sent.to[0] for sent in run_tasks()) == ["known@example.org", "unknown@example.org"]


@pytest.mark.parametrize(
    ("role", "invited", "code"),
    [
        ("owner", "owner", None),
        ("owner", "admin", None),
        ("admin", "member", None),
        ("admin", "admin", "owner_needed"),
        ("admin", "owner", "owner_needed"),
        ("member", "member", "not_an_admin"),
    ],
)
def test_each_role_invites_to_some(api_of, food_bank, invitations_path, role, invited, code):
    user = proved("heidi@example.org")
    MembershipFactory.create(organization=food_bank, user=user, role=role)

    answer = api_of(user).post(invitations_path, {"email": "ada@example.org", "role": invited})

    assert (answer.status_code, answer.json().get("code")) == (403 if code else 201, code)
    assert Invitation.objects.count() == DBTaskResult.objects.count() == (0 if code else 1)


def test_only_who_proved_their_own_address_invites(api_of, food_bank, invitations_path):
    membership = MembershipFactory.create(organization=food_bank, role=Role.OWNER)

    answer = api_of(membership.user).post(invitations_path, {"email": "ada@example.org"})

    assert refusal(answer) == (403, "address_not_proved")
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": ""},
        {"email": None},
        {"email": "nobody"},
        {"email": "a\0@example.org"},
        {"email": "a@example.org", "role": "boss"},
        {"email": "a@example.org", "token": "mine"},
    ],
)
def test_what_cannot_be_invited_is_refused(api_of, owner, invitations_path, body):
    answer = api_of(owner).post(invitations_path, body, format="json")

    assert (answer.status_code, Invitation.objects.count()) == (400, 0)


def test_a_member_is_not_invited_again(invite, owner):
    assert refusal(invite("Grace@example.org")) == (409, "already_member")
    assert not Invitation.objects.exists()


def test_inviting_again_waits_a_minute_and_then_ends_the_first_link(api_of, invite, mailed):
    ada = proved("ada@example.org")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        first = mailed()
        again = invite()
        assert refusal(again) == (429, "invited_just_now")
        assert again.headers["Retry-After"] == "60"
        assert not DBTaskResult.objects.exists()
        clock.shift(61)
        second = mailed(role="admin")

        assert refusal(api_of(ada).post(ACCEPT, {"token": first})) == (404, "invitation_not_found")
        assert api_of(ada).post(ACCEPT, {"token": second}).json()["role"] == "admin"
    assert Invitation.objects.count() == 1


def test_an_admin_does_not_replace_an_invitation_of_an_owner(api_of, food_bank, invitations_path, invite):
    invite(role="owner")
    admin = proved("heidi@example.org")
    MembershipFactory.create(organization=food_bank, user=admin, role=Role.ADMIN)
    invitation = Invitation.objects.get()

    assert refusal(api_of(admin).post(invitations_path, {"email": "ada@example.org"})) == (403, "owner_needed")
    assert refusal(api_of(admin).delete(f"{invitations_path}/{invitation.pk}")) == (403, "owner_needed")
    invitation.refresh_from_db()
    assert (invitation.role, invitation.withdrawn_at) == ("owner", None)


def test_invitations_are_limited_and_reading_is_not(api_of, owner, invitations_path, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "invite": "2/h"}
    client = api_of(owner)

    answers = [client.post(invitations_path, {"email": f"person{n}@example.net"}) for n in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert (refusal(answers[2]), Invitation.objects.count()) == ((429, "rate_limited"), 2)
    assert client.get(invitations_path).status_code == 200


def test_members_and_open_invitations_are_bounded_together(invite, owner, food_bank, monkeypatch):
    monkeypatch.setattr(inviting, "MOST_MEMBERS", 3)
    MembershipFactory.create(organization=food_bank)

    assert invite("one@example.org").status_code == 201
    assert refusal(invite("two@example.org")) == (409, "too_many_members")
    assert Invitation.objects.count() == 1


# -- looking and withdrawing -----------------------------------------------------------------------------
def test_those_who_administer_see_what_is_open(api_of, owner, invitations_path, food_bank, invite):
    invite("ada@example.org")
    invite("bob@example.org")
    Invitation.objects.filter(email="bob@example.org").update(expires_at=timezone.now())
    api_of(owner).delete(f"{invitations_path}/{Invitation.objects.get(email='ada@example.org').pk}")
    invite("eve@example.org")
    member = MembershipFactory.create(organization=food_bank)

    rows = api_of(owner).get(invitations_path).json()["results"]

    assert [(row["email"], row["is_expired"]) for row in rows] == [("eve@example.org", False), ("bob@example.org", True)]
    assert refusal(api_of(member.user).get(invitations_path)) == (403, "not_an_admin")


def test_a_withdrawn_invitation_sends_nothing_and_opens_nothing(api_of, owner, invitations_path, invite, mailed, run_tasks):
    ada = proved("ada@example.org")
    token = mailed()
    invitation = Invitation.objects.get()
    client = api_of(owner)

    assert client.delete(f"{invitations_path}/{invitation.pk}").status_code == 204
    assert refusal(client.delete(f"{invitations_path}/{invitation.pk}")) == (404, "not_found")
    assert refusal(api_of(ada).post(ACCEPT, {"token": token})) == (404, "invitation_not_found")
    invite("bob@example.org")
    client.delete(f"{invitations_path}/{Invitation.objects.get(email='bob@example.org').pk}")

    assert run_tasks() == []
    assert sweep() == {"invitations sent": 0, "invitations deleted": 0}
    assert AuditEntry.objects.filter(action="organization.invitation_withdrawn").count() == 2


def test_an_invitation_of_another_organization_is_not_found(api_of, owner, invitations_path):
    elsewhere = inviting_elsewhere()

    assert refusal(api_of(owner).delete(f"{invitations_path}/{elsewhere.pk}")) == (404, "not_found")
    elsewhere.refresh_from_db()
    assert elsewhere.withdrawn_at is None


def inviting_elsewhere() -> Invitation:
    membership = MembershipFactory.create(role=Role.OWNER, user=proved("other@example.org"))
    return inviting.invite(
        actor=membership.user, organization_id=membership.organization_id, email="x@example.org", role="member"
    )


@pytest.mark.parametrize(("act", "body"), [("delete", None), ("patch", {"role": "member"})])
def test_who_administers_no_more_has_no_invitation_on_its_way(
    api_of, owner, food_bank, invitations_path, act, body, run_tasks, token_in
):
    admin = MembershipFactory.create(organization=food_bank, role=Role.ADMIN, user=proved("heidi@example.org"))
    api_of(admin.user).post(invitations_path, {"email": "friend@example.org"})
    (sent,) = run_tasks()
    friend = proved("friend@example.org")

    getattr(api_of(owner), act)(f"/api/organizations/{food_bank.pk}/members/{admin.pk}", body, format="json")

    answer = api_of(friend).post(ACCEPT, {"token": token_in(sent, "/invitations")})
    assert refusal(answer) == (404, "invitation_not_found")


def test_who_is_no_owner_any_more_has_no_owner_on_the_way(api_of, owner, food_bank, invitations_path):
    lowered = MembershipFactory.create(organization=food_bank, role=Role.OWNER, user=proved("heidi@example.org"))
    for name, role in [("an-owner", "owner"), ("an-admin", "admin"), ("a-member", "member")]:
        api_of(lowered.user).post(invitations_path, {"email": f"{name}@example.org", "role": role})

    path = f"/api/organizations/{food_bank.pk}/members/{lowered.pk}"
    assert api_of(owner).patch(path, {"role": "admin"}, format="json").status_code == 200

    assert list(Invitation.objects.open().values_list("email", flat=True)) == ["a-member@example.org"]


# -- the mail that got lost ------------------------------------------------------------------------------
def test_a_mail_whose_task_is_lost_is_sent_by_the_sweep_once(invite, api_of, token_in, food_bank):
    ada = proved("ada@example.org")
    invite()
    DBTaskResult.objects.all().delete()

    assert sweep()["invitations sent"] == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=3)):
        assert [sweep()["invitations sent"], sweep()["invitations sent"]] == [1, 0]

    (sent,) = mail.outbox
    assert api_of(ada).post(ACCEPT, {"token": token_in(sent, "/invitations")}).status_code == 200


def test_a_task_that_runs_twice_sends_one_mail(invite, run_tasks):
    invite()
    task = DBTaskResult.objects.get()
    args = task.args_kwargs["args"]

    assert [task.task.call(*args), task.task.call(*args)] == [True, False]
    assert len(mail.outbox) == 1


def test_a_mail_that_cannot_be_sent_is_tried_again_and_given_up(invite, settings, monkeypatch):
    invite()
    settings.EMAIL_BACKEND = "no.such.Backend"
    task = DBTaskResult.objects.get()

    assert task.task.call(*task.args_kwargs["args"]) is False
    invitation = Invitation.objects.get()
    assert invitation.mail_error.startswith("ModuleNotFoundError")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(6):
            clock.shift(301)
            assert sweep()["invitations sent"] == 0
    invitation.refresh_from_db()
    assert (invitation.mail_attempts, invitation.mail_due_at, invitation.mail_sent_at) == (5, None, None)


def test_the_address_of_who_did_not_come_is_deleted_in_time(invite, mailed, api_of):
    api_of(proved("ada@example.org")).post(ACCEPT, {"token": mailed()})
    invite("bob@example.org")

    with time_machine.travel(timezone.now() + timedelta(days=96)):
        assert sweep()["invitations deleted"] == 0
    with time_machine.travel(timezone.now() + timedelta(days=98)):
        assert sweep()["invitations deleted"] == 1
    assert [one.email for one in Invitation.objects.all()] == ["ada@example.org"]
