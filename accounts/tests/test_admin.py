from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Invitation, Organization, User
from accounts.tests.factories import PASSWORD, InvitationFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


@pytest.fixture
def clerk(client: Client) -> Client:
    """Staff who may view and change users, and are no superuser."""
    user = UserFactory.create(email="clerk@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "change_user", "delete_user"]))
    client.force_login(user)
    return client


def change_form(user: User, **changes: str) -> dict[str, str]:
    return {
        "email": user.email,
        "name": user.name,
        "locale": user.locale,
        "is_active": "on",
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
        **changes,
    }


def log_in(client: Client, email: str, password: str = PASSWORD):
    return client.post("/admin/login/?next=/admin/", {"username": email, "password": password, "next": "/admin/"})


def test_staff_log_in_by_address(client):
    UserFactory.create(email="clerk@example.org", is_staff=True)

    answer = log_in(client, "Clerk@Example.org")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_who_is_no_staff_does_not_get_in(client):
    UserFactory.create(email="ada@example.org")

    answer = log_in(client, "ada@example.org")

    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session


def test_guessing_in_the_admin_is_limited_even_with_the_right_password(client):
    UserFactory.create(email="clerk@example.org", is_staff=True)
    for _ in range(5):
        log_in(client, "clerk@example.org", "guess")

    answer = log_in(client, "clerk@example.org")

    assert "Too many tries" in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_lists_can_be_searched_and_opened(root):
    membership = MembershipFactory.create(user__email="ada@example.org")

    found = root.get("/admin/accounts/user/?q=ada@example&is_staff__exact=0").content.decode()
    assert "ada@example.org" in found
    assert "root@example.org</a></th>" not in found
    assert root.get(f"/admin/accounts/user/{membership.user_id}/change/").status_code == 200
    assert "ada@example.org" in root.get(f"/admin/accounts/organization/{membership.organization_id}/change/").content.decode()
    assert root.get("/admin/accounts/organization/?q=Organization").status_code == 200


def test_a_user_can_be_added_and_the_same_address_cannot(root):
    new = {
        "email": "New@Example.org",
        "name": "",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }

    assert root.post("/admin/accounts/user/add/", new).status_code == 302
    again = root.post("/admin/accounts/user/add/", {**new, "email": "NEW@example.org"})

    assert User.objects.get(email="new@example.org").check_password(PASSWORD)
    assert "already exists" in again.content.decode()
    assert User.objects.filter(email__iexact="new@example.org").count() == 1


def test_the_password_form_works_for_this_model(root):
    user = UserFactory.create()

    page = root.get(f"/admin/accounts/user/{user.pk}/password/")
    answer = root.post(
        f"/admin/accounts/user/{user.pk}/password/",
        {"usable_password": "true", "password1": "quiet-lantern-4410", "password2": "quiet-lantern-4410"},
    )

    assert (page.status_code, answer.status_code) == (200, 302)
    user.refresh_from_db()
    assert user.check_password("quiet-lantern-4410")


def test_another_address_has_to_be_proved_anew(root):
    user = UserFactory.create(email_proved_at=timezone.now())

    root.post(f"/admin/accounts/user/{user.pk}/change/", change_form(user, name="New name"))
    user.refresh_from_db()
    assert (user.name, user.email_proved_at is not None) == ("New name", True)
    root.post(f"/admin/accounts/user/{user.pk}/change/", change_form(user, email="Other@example.org"))
    user.refresh_from_db()
    assert (user.email, user.email_proved_at) == ("other@example.org", None)


def test_only_superusers_hand_out_power(clerk):
    user = UserFactory.create()

    answer = clerk.post(
        f"/admin/accounts/user/{user.pk}/change/", change_form(user, name="Seen", is_staff="on", is_superuser="on")
    )

    assert answer.status_code == 302
    user.refresh_from_db()
    assert (user.name, user.is_staff, user.is_superuser) == ("Seen", False, False)


def test_staff_cannot_take_over_other_staff(clerk):
    finance = UserFactory.create(email="finance@example.org", is_staff=True)
    path = f"/admin/accounts/user/{finance.pk}"
    new = {"usable_password": "true", "password1": "quiet-lantern-4410", "password2": "quiet-lantern-4410"}

    changed = clerk.post(f"{path}/change/", change_form(finance, email="mine@example.org"))
    password = clerk.post(f"{path}/password/", new)

    assert (changed.status_code, password.status_code) == (403, 403)
    finance.refresh_from_db()
    assert finance.email == "finance@example.org"
    assert finance.check_password(PASSWORD)
    assert clerk.get(f"{path}/change/").status_code == 200  # to look is allowed


def test_staff_change_their_own_password_and_a_superuser_that_of_all_staff(clerk, client):
    own = User.objects.get(email="clerk@example.org")
    new = {"usable_password": "true", "password1": "quiet-lantern-4410", "password2": "quiet-lantern-4410"}

    assert clerk.post(f"/admin/accounts/user/{own.pk}/password/", new).status_code == 302
    own.refresh_from_db()
    assert own.check_password("quiet-lantern-4410")

    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    again = {"usable_password": "true", "password1": "amber-window-9087", "password2": "amber-window-9087"}
    assert client.post(f"/admin/accounts/user/{own.pk}/password/", again).status_code == 302
    own.refresh_from_db()
    assert own.check_password("amber-window-9087")


def test_staff_cannot_take_over_a_superuser(clerk):
    root = User.objects.create_superuser("root@example.org", PASSWORD)

    changed = clerk.post(f"/admin/accounts/user/{root.pk}/change/", change_form(root, email="clerk2@example.org"))
    password = clerk.post(f"/admin/accounts/user/{root.pk}/password/", {"password1": "x", "password2": "x"})

    assert (changed.status_code, password.status_code) == (403, 403)
    root.refresh_from_db()
    assert root.email == "root@example.org"
    assert root.check_password(PASSWORD)


def test_nobody_deletes_users(root):
    user = UserFactory.create()

    assert root.post(f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=user.pk).exists()


def test_an_organization_is_made_with_its_members(root):
    user = UserFactory.create()
    form = {
        "name": "Food bank",
        "slug": "food-bank",
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "0",
        "memberships-0-user": user.pk,
        "memberships-0-role": "owner",
    }

    assert root.post("/admin/accounts/organization/add/", form).status_code == 302
    organization = Organization.objects.get()
    assert organization.stripe_customer is None
    assert [(m.user, m.role) for m in organization.memberships.all()] == [(user, "owner")]


def test_an_organizations_page_shows_open_invitations_and_changes_none(root):
    opened = InvitationFactory.create(email="ada@example.org")
    over = InvitationFactory.create(email="bob@example.org", organization=opened.organization, withdrawn_at=timezone.now())
    path = f"/admin/accounts/organization/{opened.organization_id}/change/"
    form = {
        "name": "Bread",
        "slug": "bread",
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
        "invitations-TOTAL_FORMS": "1",
        "invitations-INITIAL_FORMS": "1",
        "invitations-0-id": opened.pk,
        "invitations-0-organization": opened.organization_id,
        "invitations-0-email": "eve@example.org",
        "invitations-0-DELETE": "on",
    }

    page = root.get(path).content.decode()
    answer = root.post(path, form)

    assert opened.email in page
    assert over.email not in page
    assert answer.status_code == 302
    assert sorted(Invitation.objects.values_list("email", flat=True)) == ["ada@example.org", "bob@example.org"]
    assert AuditEntry.objects.get().after == {"name": "Bread", "slug": "bread"}


def test_the_history_of_a_deleted_organization_has_nobodys_address(root):
    invitation = InvitationFactory.create(email="ada@example.org", token_hash="a" * 64)

    root.post(f"/admin/accounts/organization/{invitation.organization_id}/delete/", {"post": "yes"})

    told = str(AuditEntry.objects.values().get())
    assert invitation.pk in told
    assert "ada@" not in told
    assert "a" * 64 not in told
