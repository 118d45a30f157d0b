"""Organizations, their members and roles, over the API: what each role may do, and what everybody else is told."""

from __future__ import annotations

import pytest

from accounts import organizations
from accounts.errors import NotAnAdmin
from accounts.models import AuditEntry, Membership, Organization, Role, User
from accounts.organizations import organization_for
from accounts.tests.factories import MembershipFactory, UserFactory
from conventions.errors import NotFound

pytestmark = pytest.mark.django_db
LIST = "/api/organizations"
UNKNOWN = "org_" + "0" * 26


@pytest.fixture
def ada() -> User:
    return UserFactory.create(email="ada@example.org", name="Ada")


def joined(organization: Organization, role: str, **user: str) -> Membership:
    return MembershipFactory.create(organization=organization, role=role, user=UserFactory.create(**user))


def refusal(answer):
    return answer.status_code, answer.json()["code"]


def roles(organization: Organization) -> list[str]:
    return sorted(organization.memberships.values_list("role", flat=True))


def acts() -> list[tuple]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "actor", "before", "after"))


# -- organizations ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("post", ""),
        ("get", f"/{UNKNOWN}"),
        ("patch", f"/{UNKNOWN}"),
        ("get", f"/{UNKNOWN}/members"),
        ("delete", f"/{UNKNOWN}/members/member_1"),
        ("get", f"/{UNKNOWN}/invitations"),
        ("post", f"/{UNKNOWN}/invitations"),
        ("delete", f"/{UNKNOWN}/invitations/invite_1"),
        ("post", "/invitations/accept"),
    ],
)
def test_nobody_gets_in_without_a_log_in(api, method, path):
    assert refusal(getattr(api, method)(LIST + path)) == (401, "not_authenticated")
    assert refusal(getattr(api, method)(f"{LIST}{path}/")) == (401, "not_authenticated")


def test_whoever_makes_an_organization_owns_it(api_of, ada):
    answer = api_of(ada).post(LIST, {"name": " Wells & Water "})

    made = Organization.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "id": made.pk,
        "name": "Wells & Water",
        "slug": "wells-water",
        "role": "owner",
        "created_at": made.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert [(m.user, m.role) for m in made.memberships.all()] == [(ada, "owner")]
    assert acts() == [("organization.created", ada.pk, {}, {"slug": "wells-water"})]


def test_a_name_that_is_taken_makes_another_slug(api_of, ada):
    client = api_of(ada)
    slugs = [client.post(LIST, {"name": name}).json()["slug"] for name in ("Food bank", "Food Bank!", "井戸", "!", "x" * 100)]

    assert [slugs[0], slugs[2], slugs[4]] == ["food-bank", "organization", "x" * 51]
    assert slugs[1].startswith("food-bank-")
    assert slugs[3].startswith("organization-")
    assert len(set(slugs)) == 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a", "slug": "b"}, "slug"),
    ],
)
def test_a_name_that_cannot_be_is_refused(api_of, ada, food_bank, body, field):
    MembershipFactory.create(organization=food_bank, user=ada, role=Role.OWNER)
    for answer in (api_of(ada).post(LIST, body), api_of(ada).patch(f"{LIST}/{food_bank.pk}", body)):
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    assert list(Organization.objects.values_list("name", flat=True)) == ["Food bank"]


def test_one_person_is_in_so_many_organizations_and_no_more(api_of, ada, monkeypatch):
    monkeypatch.setattr(organizations, "MOST_ORGANIZATIONS", 2)
    client = api_of(ada)

    codes = [client.post(LIST, {"name": "Again"}).status_code for _ in range(3)]

    assert codes == [201, 201, 409]
    assert refusal(client.post(LIST, {"name": "Again"})) == (409, "too_many_organizations")
    assert Organization.objects.count() == 2


def test_one_sees_the_organizations_one_is_in_with_ones_role(api_of, ada, food_bank):
    MembershipFactory.create(organization=food_bank, user=ada, role=Role.ADMIN)
    second = MembershipFactory.create(user=ada)
    MembershipFactory.create()
    client = api_of(ada)

    page = client.get(LIST).json()

    assert [(one["id"], one["role"]) for one in page["results"]] == [
        (second.organization_id, "member"),
        (food_bank.pk, "admin"),
    ]
    assert (page["next"], page["previous"]) == (None, None)
    assert client.get(f"{LIST}/{food_bank.pk}").json() == page["results"][1]
    assert refusal(client.get(f"{LIST}?page_size=0")) == (400, "invalid")
    assert refusal(client.get(f"{LIST}?cursor=forged")) == (404, "not_found")


@pytest.mark.parametrize("organization_id", [UNKNOWN, "org_1", "food-bank", "member_" + "0" * 26])
def test_what_is_not_there_is_not_found(api_of, ada, organization_id):
    assert refusal(api_of(ada).get(f"{LIST}/{organization_id}")) == (404, "not_found")


def test_to_a_stranger_an_organization_does_not_exist(api_of, ada, food_bank):
    member = joined(food_bank, Role.OWNER)
    client = api_of(ada)
    path = f"{LIST}/{food_bank.pk}"

    answers = [
        client.get(path),
        client.patch(path, {"name": "Mine"}),
        client.get(f"{path}/members"),
        client.patch(f"{path}/members/{member.pk}", {"role": "member"}),
        client.delete(f"{path}/members/{member.pk}"),
        client.get(f"{path}/invitations"),
        client.post(f"{path}/invitations", {"email": "a@example.org"}),
        client.delete(f"{path}/invitations/invite_1"),
    ]

    unknown = client.get(f"{LIST}/{UNKNOWN}")
    assert {refusal(answer) for answer in answers} == {(404, "not_found")}
    assert {answer.content for answer in answers} == {unknown.content}
    food_bank.refresh_from_db()
    assert (food_bank.name, roles(food_bank)) == ("Food bank", ["owner"])


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("admin", 200), ("member", 403)])
def test_owners_and_admins_rename(api_of, food_bank, role, status):
    client = api_of(joined(food_bank, role).user)

    answer = client.patch(f"{LIST}/{food_bank.pk}", {"name": "Bread"})

    assert answer.status_code == status
    food_bank.refresh_from_db()
    assert (food_bank.name, food_bank.slug) == ("Bread" if status == 200 else "Food bank", "food-bank")
    assert [(action, after) for action, _, _, after in acts()] == [("organization.renamed", {"name": "Bread"})] * (status == 200)


def test_one_function_says_who_may_act(ada, food_bank):
    MembershipFactory.create(organization=food_bank, user=ada)

    assert organization_for(ada, food_bank.pk) == food_bank
    with pytest.raises(NotAnAdmin):
        organization_for(ada, food_bank.pk, administering=True)
    with pytest.raises(NotFound, match="no such organization"):
        organization_for(UserFactory.create(), food_bank.pk)


# -- members ---------------------------------------------------------------------------------------------
def test_members_see_each_other(api_of, food_bank):
    owner = joined(food_bank, Role.OWNER, email="grace@example.org", name="Grace")
    member = joined(food_bank, Role.MEMBER)
    MembershipFactory.create()

    rows = api_of(member.user).get(f"{LIST}/{food_bank.pk}/members").json()["results"]

    assert [row["id"] for row in rows] == [owner.pk, member.pk]
    assert rows[0] == {
        "id": owner.pk,
        "user_id": owner.user_id,
        "name": "Grace",
        "email": "grace@example.org",
        "role": "owner",
        "created_at": owner.created_at.isoformat().replace("+00:00", "Z"),
    }


# Who, whom, to what role (None: removed), and what is answered.
MAY = [
    ("owner", "owner", "admin", "ok"),
    ("owner", "owner", None, "ok"),
    ("owner", "admin", "owner", "ok"),
    ("owner", "admin", None, "ok"),
    ("owner", "member", "owner", "ok"),
    ("admin", "member", "member", "ok"),
    ("admin", "member", None, "ok"),
    ("admin", "member", "admin", "owner_needed"),
    ("admin", "member", "owner", "owner_needed"),
    ("admin", "admin", "member", "owner_needed"),
    ("admin", "admin", None, "owner_needed"),
    ("admin", "owner", "member", "owner_needed"),
    ("admin", "owner", None, "owner_needed"),
    ("member", "member", "admin", "not_an_admin"),
    ("member", "member", None, "not_an_admin"),
    ("member", "owner", None, "not_an_admin"),
]


@pytest.mark.parametrize(("who", "whom", "to", "outcome"), MAY)
def test_each_role_has_power_over_some(api_of, food_bank, who, whom, to, outcome):
    actor, other = joined(food_bank, who), joined(food_bank, whom)
    client, path = api_of(actor.user), f"{LIST}/{food_bank.pk}/members/{other.pk}"

    answer = client.patch(path, {"role": to}) if to else client.delete(path)

    after = Membership.objects.filter(pk=other.pk).values_list("role", flat=True).first()
    refused = outcome != "ok"
    assert answer.status_code == (403 if refused else 200 if to else 204)
    assert (answer.json()["code"] if refused else "ok") == outcome
    assert after == (whom if refused else to)
    assert len(acts()) == (0 if refused or to == whom else 1)


def test_what_changes_leaves_a_line(api_of, food_bank):
    owner, member = joined(food_bank, Role.OWNER), joined(food_bank, Role.MEMBER)
    client, path = api_of(owner.user), f"{LIST}/{food_bank.pk}/members/{member.pk}"

    client.patch(path, {"role": "admin"})
    client.patch(path, {"role": "admin"})
    client.delete(path)

    who = {"user": member.user_id}
    assert acts() == [
        ("organization.role_changed", owner.user_id, who | {"role": "member"}, who | {"role": "admin"}),
        ("organization.member_removed", owner.user_id, who | {"role": "admin"}, {}),
    ]
    assert set(AuditEntry.objects.values_list("target_type", "target_id")) == {("accounts.organization", food_bank.pk)}


@pytest.mark.parametrize("role", ["admin", "member"])
def test_everybody_may_leave(api_of, food_bank, role):
    joined(food_bank, Role.OWNER)
    leaving = joined(food_bank, role)
    client = api_of(leaving.user)

    assert client.delete(f"{LIST}/{food_bank.pk}/members/{leaving.pk}").status_code == 204

    assert client.get(f"{LIST}/{food_bank.pk}").status_code == 404
    assert roles(food_bank) == ["owner"]
    assert [action for action, *_ in acts()] == ["organization.left"]


def test_the_last_owner_neither_leaves_nor_is_lowered(api_of, food_bank):
    owner, other = joined(food_bank, Role.OWNER), joined(food_bank, Role.ADMIN)
    client, path = api_of(owner.user), f"{LIST}/{food_bank.pk}/members"

    assert refusal(client.delete(f"{path}/{owner.pk}")) == (409, "last_owner")
    assert refusal(client.patch(f"{path}/{owner.pk}", {"role": "admin"})) == (409, "last_owner")
    assert client.patch(f"{path}/{owner.pk}", {"role": "owner"}).status_code == 200
    assert (roles(food_bank), acts()) == (["admin", "owner"], [])
    client.patch(f"{path}/{other.pk}", {"role": "owner"})
    assert client.delete(f"{path}/{owner.pk}").status_code == 204
    assert roles(food_bank) == ["owner"]


def test_a_member_of_another_organization_is_not_found(api_of, food_bank):
    owner, elsewhere = joined(food_bank, Role.OWNER), MembershipFactory.create()
    client, path = api_of(owner.user), f"{LIST}/{food_bank.pk}/members/{elsewhere.pk}"

    assert refusal(client.patch(path, {"role": "admin"})) == (404, "not_found")
    assert refusal(client.delete(path)) == (404, "not_found")
    elsewhere.refresh_from_db()
    assert elsewhere.role == "member"


@pytest.mark.parametrize("role", ["", None, "boss", 1, ["owner"]])
def test_a_role_that_is_none_is_refused(api_of, food_bank, role):
    owner, member = joined(food_bank, Role.OWNER), joined(food_bank, Role.MEMBER)

    answer = api_of(owner.user).patch(f"{LIST}/{food_bank.pk}/members/{member.pk}", {"role": role}, format="json")

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["role"])
    assert roles(food_bank) == ["member", "owner"]
