"""Every route of the API, tried by those who should not: nobody, a stranger, the owner of another organization, a member
without the role. A route that is not told apart here fails the first test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.urls import URLPattern, reverse
from rest_framework.test import APIClient

from accounts.models import Organization, User
from accounts.organization_views import OrganizationView
from accounts.signing_in import issue_tokens
from accounts.tests.factories import UserFactory
from config.api import WEBHOOK_ROUTES, urlpatterns
from payments.models import LedgerAccount, Payment
from tests.tenancy.tenants import Tenant, a_tenant
from website.urls import urlpatterns as pages

pytestmark = pytest.mark.django_db

METHODS = ("get", "post", "put", "patch", "delete")
NAMED = {str(pattern.name): pattern for pattern in urlpatterns if pattern.name}

# Routes of everybody, or of the person who asks: nothing of an organization goes in or comes out.
OF_NO_ORGANIZATION = {
    *WEBHOOK_ROUTES.values(),
    *("auth-register", "auth-login", "auth-refresh", "auth-logout", "auth-verify-email", "auth-verify-email-resend"),
    *("auth-password-reset", "auth-password-reset-confirm"),
    *("campaigns", "campaign", "campaign-proof"),
    *("create-checkout-session", "donations", "my-donations", "donation", "donor-me", "stripe-session"),
    *("pricing-plans", "stripe-config", "purchase-initiate", "student-balance", "purchases", "consumption"),
    *("hours-consume", "hours-reverse", "subscription", "subscription-portal", "embedded-session", "session-status"),
}
# What organizations the person who asks is in, and what is their own in them.
OF_THE_PERSON = {"organizations", "invitation-accept", "auth-me", "auth-me-export", "telegram-code"}
# The seller's acts, for staff with a permission.
OF_STAFF = {"wallet-spend-reverse", "wallet-hold-release"}
# Where an id alone says whose it is.
WITHOUT_ORGANIZATION_ID = {"payment-client-secret"}

# What a request needs so that nothing but the ids in it can be wrong; {} unless told.
BODIES: dict[str, Callable[[Tenant], dict[str, Any]]] = {
    "create-intent": lambda tenant: {"amount": "10.00", "payment_method_id": tenant.method.pk},
    "wallet-spend": lambda tenant: {"amount": "1.00", "description": "Lesson"},
    "wallet-holds": lambda tenant: {"amount": "1.00", "description": "Lesson"},
    "wallet-spend-reverse": lambda tenant: {"reason": "Too much"},
    "wallet-hold-release": lambda tenant: {"reason": "Too much"},
    "organization": lambda tenant: {"name": "Mine now"},
    "organization-member": lambda tenant: {"role": "member"},
    "organization-invitations": lambda tenant: {"email": "mallory@example.org"},
}


def of(name: str) -> type[Any] | None:
    return getattr(NAMED[name].callback, "cls", None)


OF_AN_ORGANIZATION = sorted(name for name in NAMED if (view := of(name)) and issubclass(view, OrganizationView))


def calls(names: list[str] | set[str]) -> list[tuple[str, str]]:
    """Each method of each route."""
    return [(name, method) for name in sorted(names) for method in METHODS if hasattr(of(name), method)]


def ids_of(tenant: Tenant) -> dict[str, str]:
    """What the routes' parameters may name."""
    return {
        "organization_id": tenant.id,
        "member_id": tenant.owner_membership.pk,
        "invitation_id": tenant.invitation.pk,
        "payment_id": tenant.payment.pk,
        "hold_id": tenant.hold.pk,
        "spend_id": tenant.spend.pk,
        "method_id": tenant.method.pk,
    }


def ask(client: APIClient, call: tuple[str, str], *, ids: dict[str, str], of_body: Tenant, organization: str) -> Any:
    """The organization is named in the address, in the query and in the body, wherever the route looks for it."""
    name, method = call
    pattern: URLPattern = NAMED[name]
    wanted = pattern.pattern.converters
    url = reverse(name, kwargs={parameter: ids[parameter] for parameter in wanted})
    body = BODIES.get(name, lambda tenant: {})(of_body) if method != "get" else None
    if "organization_id" not in wanted and name not in OF_STAFF | WITHOUT_ORGANIZATION_ID:
        url += f"?organization_id={organization}"
        body = body if body is None else body | {"organization_id": organization}
    return getattr(client, method)(url, body, format="json", HTTP_IDEMPOTENCY_KEY=f"attack-{name}")


def client_of(user: User) -> APIClient:
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=user).access}")
    return made


def everything_of(tenant: Tenant) -> list[Any]:
    """All rows of the organization, in every table that names it, and its ledger accounts."""
    found: list[Any] = list(Organization.objects.filter(pk=tenant.id).values())
    for model in apps.get_models():
        if any(isinstance(f, models.ForeignKey) and f.related_model is Organization for f in model._meta.concrete_fields):
            found += [(model, *row) for row in model._default_manager.filter(organization=tenant.id).order_by("pk").values_list()]
    return found + list(LedgerAccount.objects.filter(code__in=tenant.accounts).order_by("pk").values_list())


def secrets_of(tenant: Tenant) -> set[str]:
    organization = Organization.objects.get(pk=tenant.id)
    told = {
        organization.name,
        tenant.owner.email,
        tenant.member.email,
        tenant.invitation.email,
        str(tenant.payment.payment_intent),
    }
    return told | {*ids_of(tenant).values(), tenant.wallet.pk, tenant.reversal.pk, tenant.adjustment.pk} - {tenant.id}


@pytest.fixture
def mine() -> Tenant:
    return a_tenant()


@pytest.fixture
def theirs(settings: Any) -> Iterator[Tenant]:
    """The organization under attack: whatever is tried, nothing of it changes."""
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, "100000/m")
    tenant = a_tenant()
    before = everything_of(tenant)
    yield tenant
    assert everything_of(tenant) == before


def answers(client: APIClient, tried: list[tuple[str, str]], *, ids: dict[str, str], of_body: Tenant, organization: str) -> Any:
    """The status of each call; none of them tells anything of `of_body`'s organization."""
    statuses = {}
    secrets = secrets_of(of_body)
    for call in tried:
        answer = ask(client, call, ids=ids, of_body=of_body, organization=organization)
        statuses[call] = answer.status_code
        assert [secret for secret in secrets if secret in answer.content.decode()] == [], (call, answer.content)
    return statuses


# -- which is which --------------------------------------------------------------------------------------
def test_every_route_is_told_apart() -> None:
    known = OF_NO_ORGANIZATION | OF_THE_PERSON | OF_STAFF | set(OF_AN_ORGANIZATION)
    assert set(NAMED) - known == set(), "say in this file whose rows the new route shows, and it will be attacked"
    assert len(OF_AN_ORGANIZATION) >= 9


def test_what_names_an_organization_is_an_organization_view() -> None:
    naming = {name for name, pattern in NAMED.items() if "organization_id" in pattern.pattern.converters}
    assert naming - set(OF_AN_ORGANIZATION) == set()


# -- attacks ---------------------------------------------------------------------------------------------
ALL = calls(OF_AN_ORGANIZATION)
ADMINISTERING = [(name, method) for name, method in ALL if method.upper() in of(name).administering]  # type: ignore[union-attr]
READING = [call for call in ALL if call[1] == "get" and call not in ADMINISTERING]
OF_THEMSELVES = [call for call in ALL if call not in ADMINISTERING + READING]
GUESSING = [call for call in ALL if set(NAMED[call[0]].pattern.converters) - {"organization_id"}] + [("create-intent", "post")]


def test_nobody_gets_in(theirs: Tenant) -> None:
    found = answers(APIClient(), ALL, ids=ids_of(theirs), of_body=theirs, organization=theirs.id)
    assert found == dict.fromkeys(ALL, 401)


def test_to_a_stranger_there_is_no_such_organization(theirs: Tenant) -> None:
    stranger = client_of(UserFactory.create())
    found = answers(stranger, ALL, ids=ids_of(theirs), of_body=theirs, organization=theirs.id)
    assert found == dict.fromkeys(ALL, 404)


def test_to_the_owner_of_another_there_is_no_such_organization(mine: Tenant, theirs: Tenant) -> None:
    found = answers(client_of(mine.owner), ALL, ids=ids_of(theirs), of_body=theirs, organization=theirs.id)
    assert found == dict.fromkeys(ALL, 404)


def test_ids_of_another_organization_are_not_found_in_ones_own(mine: Tenant, theirs: Tenant) -> None:
    ids = ids_of(theirs) | {"organization_id": mine.id}
    found = answers(client_of(mine.owner), GUESSING, ids=ids, of_body=theirs, organization=mine.id)
    assert found == dict.fromkeys(GUESSING, 404)


def test_members_without_the_role_neither_administer_nor_remove_others(theirs: Tenant) -> None:
    client = client_of(theirs.member)
    for call in ADMINISTERING + OF_THEMSELVES:
        answer = ask(client, call, ids=ids_of(theirs), of_body=theirs, organization=theirs.id)
        assert (call, answer.status_code, answer.json()["code"]) == (call, 403, "not_an_admin")


def test_what_members_may_read_is_of_their_own_organization(mine: Tenant, theirs: Tenant) -> None:
    client = client_of(mine.member)
    for call in READING:
        answer = ask(client, call, ids=ids_of(mine), of_body=mine, organization=mine.id)
        assert (call, answer.status_code) == (call, 200)
        assert [secret for secret in secrets_of(theirs) if secret in answer.content.decode()] == []


def test_the_sellers_acts_are_not_for_customers_nor_for_any_staff(theirs: Tenant) -> None:
    acts = calls(OF_STAFF)
    for user in (theirs.owner, theirs.member, UserFactory.create(is_staff=True)):
        found = answers(client_of(user), acts, ids=ids_of(theirs), of_body=theirs, organization=theirs.id)
        assert found == dict.fromkeys(acts, 403)


def test_what_is_a_persons_own_tells_of_their_own_organizations_only(mine: Tenant, theirs: Tenant) -> None:
    own = [call for call in calls(OF_THE_PERSON) if call[1] == "get"]
    found = answers(client_of(mine.owner), own, ids=ids_of(theirs), of_body=theirs, organization=theirs.id)
    assert set(found.values()) <= {200, 400, 404}


# -- pages -----------------------------------------------------------------------------------------------
PAGES = {str(pattern.name): pattern for pattern in pages if pattern.name}


def test_pages_name_an_organization_by_one_word() -> None:
    """So that a new page of an organization is attacked below; no other parameter names anything of one."""
    named = {parameter for pattern in pages for parameter in pattern.pattern.converters}
    assert named == {"organization", "campaign", "plan", "subscription"}


def test_pages_of_an_organization_are_for_its_members(mine: Tenant, theirs: Tenant) -> None:
    of_organizations = [name for name, pattern in PAGES.items() if "organization" in pattern.pattern.converters]
    assert len(of_organizations) >= 2
    for user, status in ((None, 302), (UserFactory.create(), 404), (mine.owner, 404), (theirs.member, 200)):
        client = APIClient()
        if user:
            client.force_login(user)
        for name in of_organizations:
            answer = client.get(reverse(name, kwargs={"organization": theirs.id}))
            assert (name, answer.status_code) == (name, status)
            told = [secret for secret in secrets_of(mine if status == 200 else theirs) if secret in answer.content.decode()]
            assert told == []


def test_a_member_who_left_is_a_stranger_and_still_takes_along_what_they_did(mine: Tenant) -> None:
    mine.membership.delete()
    client = client_of(mine.member)
    answer = ask(client, ("organization-members", "get"), ids=ids_of(mine), of_body=mine, organization=mine.id)
    assert answer.status_code == 404
    told = client.get("/api/auth/me/export").json()
    assert told["organizations"] == []
    assert [payment["id"] for payment in told["records"]["payments"]["payments"]] == [mine.payment.pk]
    assert Payment.objects.get().organization_id == mine.id
