"""Whatever staff change leaves a line that says who, what, before and after; nobody's secrets are in it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError
from django.db.transaction import TransactionManagementError
from django.test import Client

from accounts import audit
from accounts.models import AuditEntry, Organization, User
from accounts.tests.factories import PASSWORD, MembershipFactory, OrganizationFactory, UserFactory
from conventions.errors import InvalidInput

pytestmark = pytest.mark.django_db
NO_MEMBERS = {f"{rows}-{name}_FORMS": "0" for rows in ("memberships", "invitations") for name in ("TOTAL", "INITIAL")}


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


def user_form(user: User, **changes: str) -> dict[str, str]:
    return {"email": user.email, "name": user.name, "locale": user.locale, "is_active": "on", **NO_MEMBERS, **changes}


def lines() -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    return [(e.action, e.target_id, e.before, e.after) for e in AuditEntry.objects.order_by("pk")]


def test_a_change_is_told_from_before_to_after(root: Client) -> None:
    organization = OrganizationFactory.create(name="Food bank", slug="food-bank")

    root.post(f"/admin/accounts/organization/{organization.pk}/change/", {"name": "Food bank", "slug": "bread", **NO_MEMBERS})

    entry = AuditEntry.objects.get()
    assert lines() == [("organization.changed", organization.pk, {"slug": "food-bank"}, {"slug": "bread"})]
    assert (entry.target_type, str(entry.actor), entry.reason) == ("accounts.organization", "root@example.org", "")


def test_saving_without_a_change_leaves_no_line(root: Client) -> None:
    organization = OrganizationFactory.create(name="Food bank", slug="food-bank")

    answer = root.post(
        f"/admin/accounts/organization/{organization.pk}/change/", {"name": "Food bank", "slug": "food-bank", **NO_MEMBERS}
    )

    assert (answer.status_code, lines()) == (302, [])


def test_what_is_added_and_what_is_deleted_is_told_whole(root: Client) -> None:
    root.post("/admin/accounts/organization/add/", {"name": "Food bank", "slug": "food-bank", **NO_MEMBERS})
    organization = Organization.objects.get()
    root.post(f"/admin/accounts/organization/{organization.pk}/delete/", {"post": "yes"})

    (added, _, nothing, new), (deleted, _, old, nothing_left) = lines()
    assert (added, nothing, new["slug"]) == ("organization.added", {}, "food-bank")
    assert (deleted, old["slug"], nothing_left) == ("organization.deleted", "food-bank", {})
    assert not Organization.objects.exists()


def test_deleting_several_at_once_leaves_a_line_for_each(root: Client) -> None:
    several = OrganizationFactory.create_batch(3)

    form = {"action": "delete_selected", "_selected_action": [one.pk for one in several], "post": "yes"}
    root.post("/admin/accounts/organization/", form)

    assert [(action, target) for action, target, _, _ in lines()] == [("organization.deleted", o.pk) for o in several]
    assert not Organization.objects.exists()


def test_a_role_taken_or_given_is_told(root: Client) -> None:
    membership = MembershipFactory.create()
    user, group = membership.user, Group.objects.create(name="clerks")
    rows = {
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": membership.pk,
        "memberships-0-user": user.pk,
        "memberships-0-organization": membership.organization_id,
        "memberships-0-role": "admin",
    }

    root.post(f"/admin/accounts/user/{user.pk}/change/", user_form(user, is_staff="on", groups=str(group.pk), **rows))

    [(action, _, before, after)] = lines()
    assert action == "user.changed"
    assert (before["is_staff"], after["is_staff"]) == (False, True)
    assert (before["groups"], after["groups"]) == ([], ["clerks"])
    assert (before[membership.pk]["role"], after[membership.pk]["role"]) == ("member", "admin")


def test_the_permissions_of_a_group_are_told(root: Client) -> None:
    group = Group.objects.create(name="clerks")
    permission = Permission.objects.get(codename="view_user")

    root.post(f"/admin/auth/group/{group.pk}/change/", {"name": "clerks", "permissions": str(permission.pk)})

    assert lines() == [("group.changed", str(group.pk), {"permissions": []}, {"permissions": [str(permission)]})]


def test_names_and_addresses_are_masked(root: Client) -> None:
    user = UserFactory.create(email="ada@example.org", name="Ada Lovelace")

    root.post(f"/admin/accounts/user/{user.pk}/change/", user_form(user, email="countess@example.net", name="Countess"))

    assert lines() == [
        (
            "user.changed",
            user.pk,
            {"email": "a…@example.org", "name": "(hidden)"},
            {"email": "c…@example.net", "name": "(changed)"},
        )
    ]


def test_a_new_password_is_told_and_never_written(root: Client) -> None:
    user = UserFactory.create()

    root.post(
        f"/admin/accounts/user/{user.pk}/password/",
        {"usable_password": "true", "password1": "quiet-lantern-4410", "password2": "quiet-lantern-4410"},
    )

    assert lines() == [("user.password_changed", user.pk, {"password": "(hidden)"}, {"password": "(changed)"})]


def test_a_new_user_is_told_without_the_password(root: Client) -> None:
    new = {"email": "new@example.org", "name": "", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    root.post("/admin/accounts/user/add/", new)

    [(action, _, _, after)] = lines()
    assert (action, after["password"], after["email"], after["name"]) == ("user.added", "(written)", "n…@example.org", "")


def test_a_reason_is_kept_without_what_surrounds_it_and_cut() -> None:
    assert audit.reason_given(" Asked by\ttelephone.\n") == "Asked by\ttelephone."
    assert audit.reason_given("x" * 900) == "x" * 500
    with pytest.raises(InvalidInput) as refused:
        audit.reason_given(" \n")
    assert refused.value.fields == {"reason": ["Say why: whoever looks at this later will ask."]}


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("change", {"name": "Other", "slug": "other", **NO_MEMBERS}),
        ("delete", {"post": "yes"}),
    ],
)
def test_an_act_that_cannot_be_recorded_is_not_done(
    root: Client, monkeypatch: pytest.MonkeyPatch, path: str, form: dict[str, str]
) -> None:
    organization = OrganizationFactory.create(name="Food bank", slug="food-bank")
    monkeypatch.setattr(AuditEntry.objects, "create", _disk_full)

    with pytest.raises(DatabaseError, match="disk full"):
        root.post(f"/admin/accounts/organization/{organization.pk}/{path}/", form)

    assert Organization.objects.values_list("name", "slug").get() == ("Food bank", "food-bank")


def _disk_full(**fields: Any) -> None:
    raise DatabaseError("disk full")


def test_a_password_is_not_changed_when_that_cannot_be_recorded(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    user = UserFactory.create()
    monkeypatch.setattr(AuditEntry.objects, "create", _disk_full)

    with pytest.raises(DatabaseError):
        root.post(
            f"/admin/accounts/user/{user.pk}/password/",
            {"usable_password": "true", "password1": "quiet-lantern-4410", "password2": "quiet-lantern-4410"},
        )

    user.refresh_from_db()
    assert user.check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_recorded_outside_a_transaction() -> None:
    user = UserFactory.create()

    with pytest.raises(TransactionManagementError, match=r"user\.waved must be recorded in the transaction"):
        audit.record(actor=None, action="user.waved", target=user, before={}, after={})

    assert not AuditEntry.objects.exists()


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    user = UserFactory.create()

    entry = audit.record(actor=None, action="user.waved", target=user, before={}, after={"story": "x" * 20_000}, reason="r" * 900)

    assert entry.after == {"story": "x" * 2000 + "… (20,000 characters)"}
    assert len(entry.reason) == 500


def test_the_history_page_of_an_object_shows_its_lines_only(root: Client) -> None:
    one, other = OrganizationFactory.create(name="One"), OrganizationFactory.create(name="Other")
    for organization in (one, other):
        form = {"name": organization.name, "slug": f"new-{organization.slug}", **NO_MEMBERS}
        root.post(f"/admin/accounts/organization/{organization.pk}/change/", form)

    page = root.get(f"/admin/accounts/organization/{one.pk}/history/").content.decode()

    assert f"{one.slug} → new-{one.slug}" in page
    assert other.slug not in page
    assert "root@example.org" in page


def test_the_history_page_is_bounded_and_goes_on(root: Client, django_assert_num_queries: Any) -> None:
    user = UserFactory.create()
    for n in range(60):
        audit.record(actor=None, action="user.waved", target=user, before={}, after={"hand": n})
    url = f"/admin/accounts/user/{user.pk}/history/"

    with django_assert_num_queries(5):
        first = root.get(url)
    second = root.get(f"{url}?p=2")

    assert [len(answer.context["lines"]) for answer in (first, second)] == [50, 10]
    assert "more follow" in first.content.decode()
    assert "more follow" not in second.content.decode()


def test_the_list_of_all_acts_is_found_by_what_who_and_which(root: Client) -> None:
    clerk = UserFactory.create(email="clerk@example.org")
    one, other = UserFactory.create_batch(2)
    with_clerk = audit.record(actor=clerk, action="user.waved", target=one, before={}, after={"hand": "left"})
    without = audit.record(actor=None, action="user.bowed", target=other, before={}, after={})

    def found(term: str) -> list[str]:
        return [e.pk for e in root.get("/admin/accounts/auditentry/", {"q": term}).context["cl"].result_list]

    assert found(one.pk) == [with_clerk.pk]
    assert found("clerk@example.org") == [with_clerk.pk]
    assert found("user.bowed") == [without.pk]
    assert found(without.pk) == [without.pk]
    assert found("nobody@example.org") == []


def test_the_list_of_all_acts_counts_nothing_and_changes_nothing(root: Client, django_assert_num_queries: Any) -> None:
    user = UserFactory.create()
    for n in range(60):
        audit.record(actor=user, action="user.waved", target=user, before={}, after={"hand": n})
    entry = AuditEntry.objects.order_by("pk")[0]

    with django_assert_num_queries(5) as queries:
        page = root.get("/admin/accounts/auditentry/").content.decode()
    posts = [root.post(f"/admin/accounts/auditentry/{entry.pk}/{act}/", {"post": "yes"}) for act in ("change", "delete")]

    assert [query["sql"] for query in queries.captured_queries if "COUNT(" in query["sql"]] == []
    assert "50 shown, more follow" in page
    assert [answer.status_code for answer in posts] == [403, 403]
    assert root.get(f"/admin/accounts/auditentry/{entry.pk}/change/").status_code == 200
    assert AuditEntry.objects.count() == 60


def test_erasure_leaves_nothing_of_a_person_in_the_history(root: Client) -> None:
    user = UserFactory.create(email="ada@example.org", name="Ada Lovelace")

    root.post(f"/admin/accounts/user/{user.pk}/change/", user_form(user, name="Augusta"))

    [(_, _, before, after)] = lines()
    written = f"{before} {after}"
    assert [word for word in ("ada@", "Ada", "Lovelace", "Augusta") if word in written] == []
