"""Invitations in the API: sent and withdrawn by those who administer, accepted by those who were invited."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import inviting
from accounts.models import Invitation
from accounts.organization_serializers import InvitationSerializer, InviteSerializer, OrganizationSerializer, TokenSerializer
from accounts.organization_views import NOT_AN_ADMIN, NOT_POWERFUL, OrganizationView, page, parsed, signed_in
from conventions.pages import NewestFirst
from conventions.schema import CURSOR, PAGE_SIZE, RETRY_AFTER, WHO_ASKS, paged, refusals


class Invitations(OrganizationView):
    administering = frozenset({"GET", "POST"})

    @property
    def rate_limit(self) -> str:
        """Every invitation sends a mail to whoever is named."""
        return "invite" if self.request.method == "POST" else "read"

    @extend_schema(
        operation_id="organization_invitations",
        summary="Open invitations",
        description="For owners and admins; those that have expired too, until they are renewed or withdrawn.",
        parameters=[CURSOR, PAGE_SIZE, RETRY_AFTER],
        responses={200: paged(InvitationSerializer), **refusals(400, 404, *WHO_ASKS, _403=NOT_AN_ADMIN)},
        tags=["organizations"],
    )
    def get(self, request: Request, organization_id: str) -> Response:
        rows = Invitation.objects.open().filter(organization=self.membership.organization_id).select_related("invited_by")
        return page(request, self, rows, InvitationSerializer, NewestFirst())

    @extend_schema(
        operation_id="organization_invite",
        summary="Invite somebody by mail",
        description="The same answer whether the address has an account or not. Inviting again sends a new link, and ends "
        "the one before. Only owners invite owners and admins.",
        parameters=[RETRY_AFTER],
        request=InviteSerializer,
        responses={
            201: InvitationSerializer,
            **refusals(
                400,
                404,
                409,
                *WHO_ASKS,
                _403="`not_an_admin`, `owner_needed`, `address_not_proved`, or a session without its CSRF token.",
                _409="`already_member` or `too_many_members`.",
                _429="`rate_limited`, or `invited_just_now` where this address was within the last minute.",
            ),
        },
        tags=["organizations"],
    )
    def post(self, request: Request, organization_id: str) -> Response:
        body = parsed(request, InviteSerializer)
        invitation = inviting.invite(actor=signed_in(request), organization_id=organization_id, **body)
        return Response(InvitationSerializer(invitation).data, status=status.HTTP_201_CREATED)


class InvitationDetail(OrganizationView):
    administering = frozenset({"DELETE"})

    @extend_schema(
        operation_id="organization_invitation_withdraw",
        summary="Withdraw an invitation",
        description="The mailed link works no more.",
        parameters=[RETRY_AFTER],
        responses={204: None, **refusals(404, *WHO_ASKS, _403=NOT_POWERFUL)},
        tags=["organizations"],
    )
    def delete(self, request: Request, organization_id: str, invitation_id: str) -> Response:
        inviting.withdraw(actor=signed_in(request), organization_id=organization_id, invitation_id=invitation_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class AcceptInvitation(APIView):
    permission_classes = (IsAuthenticated,)
    rate_limit = "session"

    @extend_schema(
        operation_id="organization_invitation_accept",
        summary="Accept an invitation",
        description="With the token of the mailed link, as the person whose confirmed address was invited. It works once; the "
        "same person may send it again.",
        parameters=[RETRY_AFTER],
        request=TokenSerializer,
        responses={
            200: OrganizationSerializer,
            **refusals(
                400,
                404,
                409,
                *WHO_ASKS,
                _403="`invitation_for_another`, `address_not_proved`, or a session without its CSRF token.",
                _404="`invitation_not_found`: unknown, withdrawn, replaced or expired.",
                _409="`too_many_organizations` or `too_many_members`.",
            ),
        },
        tags=["organizations"],
    )
    def post(self, request: Request) -> Response:
        membership = inviting.accept(user=signed_in(request), **parsed(request, TokenSerializer))
        return Response(OrganizationSerializer(membership).data)
