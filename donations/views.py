"""The donation routes of the API: parse, call one operation, render."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.staff import staff_may
from conventions.errors import NotFound
from conventions.pages import NewestFirst
from conventions.schema import CURSOR, PAGE_SIZE, paged, refusals
from donations import serializers
from donations.giving import Gift, give
from donations.models import Donation
from donations.persons import donor_of
from donations.sessions import session_status
from donations.wall import public_view
from payments.idempotency import IDEMPOTENCY_KEY, idempotency_of


def _user(request: Request) -> User | None:
    return request.user if isinstance(request.user, User) else None


class CreateCheckoutSession(APIView):
    permission_classes = [AllowAny]
    rate_limit = "checkout"

    @extend_schema(
        operation_id="donations_create_checkout_session",
        request=serializers.GiftSerializer,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: serializers.CheckoutStartedSerializer, **refusals(400, 402, 403, 409, 422, 429, 502, 504)},
    )
    def post(self, request: Request) -> Response:
        """Start a gift. Answers the address of the checkout page."""
        serializer = serializers.GiftSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        body = dict(serializer.validated_data)
        idempotency = idempotency_of(request, purpose="donation")
        dedication = body.pop("dedication", None) or {}
        gift = Gift(**body, dedication_kind=dedication.get("kind", ""), dedication_name=dedication.get("name", ""))
        started = give(gift, user=_user(request), idempotency=idempotency)
        return Response({"url": started.url, "session_id": started.session_id, "donation_id": started.donation_id})


class SessionDetail(APIView):
    permission_classes = [AllowAny]
    rate_limit = "session"

    @extend_schema(
        operation_id="payments_stripe_session",
        responses={200: serializers.SessionSerializer, **refusals(400, 404, 429)},
    )
    def get(self, request: Request, session_id: str) -> Response:
        """What became of a checkout session; settles it when the webhook has not come yet."""
        return Response({"success": True, "data": session_status(session_id, user=_user(request))})


class WallPages(NewestFirst):
    ordering = ("-paid_at", "-id")


class Wall(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="donations_wall",
        parameters=[
            OpenApiParameter("campaign_id", str, required=True),
            CURSOR,
            PAGE_SIZE,
        ],
        responses={200: paged(serializers.PublicGiftSerializer), **refusals(400, 404, 429)},
    )
    def get(self, request: Request) -> Response:
        """A campaign's gifts as strangers may see them, newest first."""
        campaign = request.query_params.get("campaign_id", "")
        if not campaign or "\x00" in campaign:
            raise ValidationError({"campaign_id": "Name the campaign whose wall you want."}, code="required")
        gifts = Donation.objects.on_the_wall().filter(campaign=campaign).exclude(campaign__state="draft")
        pages = WallPages()
        page = pages.paginate_queryset(gifts, request, view=self) or []
        return pages.get_paginated_response([serializers.shown_gift(public_view(gift)) for gift in page])


class MyDonations(APIView):
    @extend_schema(
        operation_id="donations_mine",
        parameters=[CURSOR, PAGE_SIZE],
        responses={200: paged(serializers.OwnGiftSerializer), **refusals(400, 401, 404, 429)},
    )
    def get(self, request: Request) -> Response:
        """The signed-in donor's gifts, newest first, in every state."""
        user = cast(User, request.user)
        donor_of(user)
        pages = NewestFirst()
        gifts = _with_details(Donation.objects.of_user(user))
        page = pages.paginate_queryset(gifts, request, view=self) or []
        return pages.get_paginated_response(serializers.OwnGiftSerializer(page, many=True).data)


class DonationDetail(APIView):
    @extend_schema(
        operation_id="donations_retrieve",
        responses={200: serializers.OwnGiftSerializer, **refusals(401, 404, 429)},
    )
    def get(self, request: Request, donation_id: str) -> Response:
        """One gift, for its giver and for staff who may see gifts."""
        everybodys = staff_may(request.user, "donations.view_donation")
        gifts = Donation.objects.all() if everybodys else Donation.objects.of_user(request.user)
        gift = _with_details(gifts).filter(pk=donation_id).first()
        if gift is None:
            raise NotFound("There is no such donation.")
        return Response(serializers.OwnGiftSerializer(gift).data)


class DonorMe(APIView):
    @extend_schema(operation_id="donors_me", responses={200: serializers.DonorSerializer, **refusals(401, 404, 429)})
    def get(self, request: Request) -> Response:
        return Response(serializers.DonorSerializer(self._donor(request)).data)

    @extend_schema(
        operation_id="donors_me_update",
        request=serializers.DonorSerializer(partial=True),
        responses={200: serializers.DonorSerializer, **refusals(400, 401, 403, 404, 429)},
    )
    def patch(self, request: Request) -> Response:
        donor = self._donor(request)
        serializer = serializers.DonorSerializer(donor, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        for name, value in serializer.validated_data.items():
            setattr(donor, name, value)
        donor.save(update_fields=list(serializer.validated_data))
        return Response(serializers.DonorSerializer(donor).data)

    def _donor(self, request: Request) -> Any:
        donor = donor_of(cast(User, request.user))
        if donor is None:
            raise NotFound("No gift is known under your address yet, or the address is not verified.")
        return donor


def _with_details(gifts: QuerySet[Donation]) -> QuerySet[Donation]:
    return gifts.select_related("campaign", "payment", "donor")
