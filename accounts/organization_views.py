"""Organizations and members in the API, and the base of every view that acts for an organization."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, ClassVar

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import members, organizations
from accounts.models import Membership, User
from accounts.organization_serializers import MemberSerializer, NameSerializer, OrganizationSerializer, RoleSerializer
from conventions import tenancy
from conventions.errors import InvalidInput
from conventions.pages import NewestFirst
from conventions.schema import CURSOR, PAGE_SIZE, RETRY_AFTER, WHO_ASKS, paged, refusals
from conventions.serializers import StrictSerializer

ORGANIZATION_ID = OpenApiParameter("organization_id", OpenApiTypes.STR, required=True, description="Whose.")


def signed_in(request: Request) -> User:
    assert isinstance(request.user, User)  # IsAuthenticated let nobody else through
    return request.user


def parsed(request: Request, serializer_class: type[StrictSerializer]) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


class OrganizationView(APIView):
    """Acts for the organization that the request names: its handlers run for members only, and see its rows only.

    A stranger gets 404, and a member without the role 403 for the methods in `administering`. Handlers find the
    caller's own membership, with its organization, in `self.membership`. Where the address does not name the
    organization, a view is also OrganizationInQuery or OrganizationInBody.
    """

    permission_classes = (IsAuthenticated,)
    administering: ClassVar[frozenset[str]] = frozenset()
    membership: Membership

    def organization_id(self, request: Request) -> str:
        return str(self.kwargs["organization_id"])

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._scope:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """After authentication and rate limit, before the handler; what it raises is answered like a handler's."""
        super().initial(request, *args, **kwargs)
        if not hasattr(self, str(request.method).lower()):
            return  # there is no such handler: 405, whatever organization is named
        user, asked = signed_in(request), self.organization_id(request)
        method = "GET" if request.method == "HEAD" else request.method  # whoever may not read may not ask how much there is
        self.membership = organizations.membership_for(user, asked, administering=method in self.administering)
        self._scope.enter_context(tenancy.only(user=user.pk, organization=self.membership.organization_id))


class OrganizationInQuery(OrganizationView):
    """`?organization_id=org_…`"""

    def organization_id(self, request: Request) -> str:
        return _named(request.query_params.get("organization_id"))


class OrganizationInBody(OrganizationView):
    """`{"organization_id": "org_…", …}`; the handler's serializer has the field too."""

    def organization_id(self, request: Request) -> str:
        return _named(request.data.get("organization_id") if isinstance(request.data, dict) else None)


def _named(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInput("Say which organization this is about.", field="organization_id", code="required")
    return value


class OldestFirst(NewestFirst):
    ordering = ("created_at", "pk")


def page(request: Request, view: APIView, rows: Any, serializer_class: Any, pages: NewestFirst) -> Response:
    found = pages.paginate_queryset(rows, request, view=view)
    return pages.get_paginated_response(serializer_class(found, many=True).data)


# -- organizations ---------------------------------------------------------------------------------------
class Organizations(APIView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(
        operation_id="organizations",
        summary="My organizations",
        description="Those that you are a member of, with your role, the latest first.",
        parameters=[CURSOR, PAGE_SIZE, RETRY_AFTER],
        responses={200: paged(OrganizationSerializer), **refusals(400, 404, *WHO_ASKS)},
        tags=["organizations"],
    )
    def get(self, request: Request) -> Response:
        user = signed_in(request)
        with tenancy.only(user=user.pk):
            own = Membership.objects.filter(user=user).select_related("organization")
            return page(request, self, own, OrganizationSerializer, NewestFirst())

    @extend_schema(
        operation_id="organizations_create",
        summary="Make an organization",
        description="You become its owner.",
        parameters=[RETRY_AFTER],
        request=NameSerializer,
        responses={
            201: OrganizationSerializer,
            **refusals(400, 409, *WHO_ASKS, _409="`too_many_organizations`."),
        },
        tags=["organizations"],
    )
    def post(self, request: Request) -> Response:
        body = parsed(request, NameSerializer)
        membership = organizations.create_organization(owner=signed_in(request), **body)
        return Response(OrganizationSerializer(membership).data, status=status.HTTP_201_CREATED)


NOT_AN_ADMIN = "`not_an_admin`, or a session without its CSRF token."
NOT_POWERFUL = "`not_an_admin`, `owner_needed`, or a session without its CSRF token."


class OrganizationDetail(OrganizationView):
    administering = frozenset({"PATCH"})

    @extend_schema(
        operation_id="organization",
        summary="An organization of mine",
        parameters=[RETRY_AFTER],
        responses={200: OrganizationSerializer, **refusals(404, *WHO_ASKS)},
        tags=["organizations"],
    )
    def get(self, request: Request, organization_id: str) -> Response:
        return Response(OrganizationSerializer(self.membership).data)

    @extend_schema(
        operation_id="organization_rename",
        summary="Rename an organization",
        description="For owners and admins. The slug stays.",
        parameters=[RETRY_AFTER],
        request=NameSerializer,
        responses={200: OrganizationSerializer, **refusals(400, 404, *WHO_ASKS, _403=NOT_AN_ADMIN)},
        tags=["organizations"],
    )
    def patch(self, request: Request, organization_id: str) -> Response:
        body = parsed(request, NameSerializer)
        renamed = organizations.rename_organization(actor=signed_in(request), organization_id=organization_id, **body)
        return Response(OrganizationSerializer(renamed).data)


# -- members ---------------------------------------------------------------------------------------------
class Members(OrganizationView):
    @extend_schema(
        operation_id="organization_members",
        summary="Members and their roles",
        description="Every member sees every other, the oldest first.",
        parameters=[CURSOR, PAGE_SIZE, RETRY_AFTER],
        responses={200: paged(MemberSerializer), **refusals(400, 404, *WHO_ASKS)},
        tags=["organizations"],
    )
    def get(self, request: Request, organization_id: str) -> Response:
        rows = Membership.objects.filter(organization=self.membership.organization_id).select_related("user")
        return page(request, self, rows, MemberSerializer, OldestFirst())


class MemberDetail(OrganizationView):
    administering = frozenset({"PATCH"})  # whoever leaves deletes too

    @extend_schema(
        operation_id="organization_member_change",
        summary="Give a member another role",
        description="Only owners make, change and remove owners and admins.",
        parameters=[RETRY_AFTER],
        request=RoleSerializer,
        responses={200: MemberSerializer, **refusals(400, 404, 409, *WHO_ASKS, _403=NOT_POWERFUL, _409="`last_owner`.")},
        tags=["organizations"],
    )
    def patch(self, request: Request, organization_id: str, member_id: str) -> Response:
        body = parsed(request, RoleSerializer)
        actor = signed_in(request)
        member = members.change_role(actor=actor, organization_id=organization_id, member_id=member_id, **body)
        return Response(MemberSerializer(member).data)

    @extend_schema(
        operation_id="organization_member_remove",
        summary="Remove a member, or leave",
        description="Owners and admins remove others; everybody may leave by their own member id.",
        parameters=[RETRY_AFTER],
        responses={204: None, **refusals(404, 409, *WHO_ASKS, _403=NOT_POWERFUL, _409="`last_owner`.")},
        tags=["organizations"],
    )
    def delete(self, request: Request, organization_id: str, member_id: str) -> Response:
        members.remove_member(actor=signed_in(request), organization_id=organization_id, member_id=member_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
