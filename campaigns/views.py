"""The campaigns of the API: public reading, staff writing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.db.models.functions import Coalesce
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.staff import staff_may
from campaigns.editing import change_campaign, open_campaign
from campaigns.models import Campaign, CampaignQuerySet, tallied
from campaigns.serializers import CampaignSerializer, CampaignWriteSerializer, ProofSerializer
from campaigns.tallying import prove
from conventions.errors import NotFound
from conventions.pages import NewestFirst
from conventions.schema import CURSOR, PAGE_SIZE, RETRY_AFTER, paged, refusals
from conventions.snapshot import one_snapshot
from payments.money import Money

ORDERS = {
    "newest": ("-created_at", "-id"),
    "oldest": ("created_at", "id"),
    "title": ("title", "id"),
    "ending": ("ends_or_never", "id"),
}

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
# drf-spectacular knows a public route only by the class AllowAny itself.
PUBLIC: list[dict[str, list[str]]] = [{}, {"bearerAuth": []}, {"cookieAuth": []}]


# As in the admin, who may change a campaign may see it.
SEES_DRAFTS = ("campaigns.view_campaign", "campaigns.change_campaign")
WRITES = {"POST": "campaigns.add_campaign", "PATCH": "campaigns.change_campaign"}


class StaffWrite(AllowAny):
    """Anybody reads; staff who may add or change campaigns do that."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method in SAFE_METHODS:
            return True
        needed = WRITES.get(request.method or "")
        return needed is not None and staff_may(request.user, needed)


class CampaignList(APIView):
    permission_classes: list[type[BasePermission]] = [StaffWrite]

    @extend_schema(
        operation_id="campaigns_list",
        auth=PUBLIC,  # type: ignore[arg-type]  # it takes what OpenAPI takes
        parameters=[
            OpenApiParameter("search", str, description="Words in title or summary."),
            OpenApiParameter("state", str, enum=["live", "paused", "ended"]),
            OpenApiParameter("order", str, enum=sorted(ORDERS)),
            CURSOR,
            PAGE_SIZE,
            RETRY_AFTER,
        ],
        responses={200: paged(CampaignSerializer), **refusals(400, 404, 429)},
    )
    def get(self, request: Request) -> Response:
        order = request.query_params.get("order", "newest")
        if order not in ORDERS:
            raise ValidationError({"order": f"Choose one of {', '.join(sorted(ORDERS))}."})
        pages = NewestFirst()
        pages.ordering = ORDERS[order]
        # A cursor cannot stand on a null: a campaign without an end comes last.
        campaigns = _filtered(request).with_totals().annotate(ends_or_never=Coalesce("ends_at", NEVER))
        page = pages.paginate_queryset(campaigns, request, view=self) or []
        return pages.get_paginated_response(CampaignSerializer(page, many=True).data)

    @extend_schema(
        operation_id="campaigns_create",
        request=CampaignWriteSerializer,
        responses={201: CampaignSerializer, **refusals(400, 401, 403, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        serializer = CampaignWriteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        campaign = open_campaign(fields=serializer.validated_data, owner=cast(User, request.user))
        return Response(CampaignSerializer(_as_it_is(campaign)).data, status=201)


class CampaignDetail(APIView):
    permission_classes: list[type[BasePermission]] = [StaffWrite]

    @extend_schema(operation_id="campaigns_retrieve", auth=PUBLIC, responses={200: CampaignSerializer, **refusals(404, 429)})  # type: ignore[arg-type]
    def get(self, request: Request, campaign: str) -> Response:
        return Response(CampaignSerializer(find_campaign(campaign, request.user)).data)

    @extend_schema(
        operation_id="campaigns_update",
        request=CampaignWriteSerializer(partial=True),
        responses={200: CampaignSerializer, **refusals(400, 401, 403, 404, 409, 429)},
    )
    def patch(self, request: Request, campaign: str) -> Response:
        found = find_campaign(campaign, request.user)
        serializer = CampaignWriteSerializer(found, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        change_campaign(campaign=found, fields=serializer.validated_data, actor=cast(User, request.user))
        return Response(CampaignSerializer(_as_it_is(found)).data)


class CampaignProof(APIView):
    permission_classes = [AllowAny]

    @extend_schema(operation_id="campaigns_proof", responses={200: ProofSerializer, **refusals(404, 429)})
    def get(self, request: Request, campaign: str) -> Response:
        """What the campaign's transfers add up to, and whether that is the total it shows."""
        with one_snapshot():
            found = find_campaign(campaign, request.user)
            proof = prove(found)
        totals = tallied(found)
        shown = totals["raised_minor"] - totals["refunded_minor"] - totals["disputed_minor"]
        body = {
            "campaign_id": found.pk,
            "currency": found.currency.upper(),
            "gross": str(Money(proof.gross_minor, found.currency)),
            "refunds": str(Money(proof.refunds_minor, found.currency)),
            "disputes": str(Money(proof.disputes_minor, found.currency)),
            "net": str(Money(proof.net_minor, found.currency)),
            "current_amount": str(Money(shown, found.currency)),
            "transfers": proof.transfers,
            "proved": proof.net_minor == shown,
        }
        return Response(body)


def find_campaign(id_or_slug: str, user: User | AnonymousUser) -> Campaign:
    """A campaign with its totals; a draft only for staff who may see it. Raises NotFound."""
    campaign = _visible_to(user).with_totals().filter(Q(pk=id_or_slug) | Q(slug=id_or_slug)).first()
    if campaign is None:
        raise NotFound("There is no such campaign.")
    return campaign


def _visible_to(user: User | AnonymousUser) -> CampaignQuerySet:
    return Campaign.objects.all() if staff_may(user, *SEES_DRAFTS) else Campaign.objects.public()


def _as_it_is(campaign: Campaign) -> Campaign:
    """For whoever has just written it, with its totals."""
    return Campaign.objects.with_totals().get(pk=campaign.pk)


def _filtered(request: Request) -> CampaignQuerySet:
    campaigns = _visible_to(request.user)
    state, words = request.query_params.get("state"), request.query_params.get("search", "").replace("\x00", "").strip()[:100]
    if state:
        if state not in Campaign.State.values:
            raise ValidationError({"state": "There is no such state."})
        campaigns = campaigns.filter(state=state)
    if words:
        campaigns = campaigns.filter(Q(title__icontains=words) | Q(summary__icontains=words))
    return campaigns
