"""Spending from a wallet: at once, or by a hold that is captured later; and giving back, which is the seller's act."""

from __future__ import annotations

from datetime import timedelta

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.organization_views import OrganizationView, parsed, signed_in
from accounts.staff import staff_may
from conventions import tenancy
from conventions.errors import InvalidInput, NotFound
from conventions.pages import NewestFirst
from conventions.schema import CURSOR, PAGE_SIZE, RETRY_AFTER, WHO_ASKS, paged, refusals
from payments.idempotency import IDEMPOTENCY_KEY, idempotency_of
from payments.money import Money
from wallets import holding, opening, spending
from wallets.models import WalletHold, WalletSpend
from wallets.serializers import spending as serializers

KEY_REQUIRED = OpenApiParameter(
    IDEMPOTENCY_KEY.name, str, OpenApiParameter.HEADER, required=True, description=IDEMPOTENCY_KEY.description
)
SPENT = refusals(400, 404, 409, 422, *WHO_ASKS, _409="`insufficient_funds` or `wallet_blocked`.")


def required_key(request: Request) -> str:
    """Without a key a spend whose answer was lost could not be told from another one."""
    idempotency = idempotency_of(request, purpose="wallet")
    if idempotency is None:
        message = "Send an Idempotency-Key, so that nothing is taken twice when an answer is lost."
        raise InvalidInput(message, field="Idempotency-Key", code="required")
    return idempotency.key


class Spend(OrganizationView):
    administering = frozenset({"POST"})
    rate_limit = "spend"

    @extend_schema(
        operation_id="wallets_spend",
        summary="Spend",
        description="Never below zero, and once per Idempotency-Key of this wallet.",
        parameters=[KEY_REQUIRED, RETRY_AFTER],
        request=serializers.SpendSerializer,
        responses={201: serializers.SpentSerializer, **SPENT},
        tags=["wallets"],
    )
    def post(self, request: Request, organization_id: str) -> Response:
        body = parsed(request, serializers.SpendSerializer)
        wallet = opening.existing_wallet(self.membership.organization, body.get("currency"))
        made, _ = spending.spend(
            wallet=wallet,
            money=Money.parse(body["amount"], wallet.currency),
            description=body["description"],
            key=required_key(request),
            actor=signed_in(request),
        )
        return Response(serializers.spent(made), status=status.HTTP_201_CREATED)


class Holds(OrganizationView):
    administering = frozenset({"POST"})

    @property
    def rate_limit(self) -> str:
        return "spend" if self.request.method == "POST" else "read"

    @extend_schema(
        operation_id="wallets_holds",
        summary="Holds",
        parameters=[CURSOR, PAGE_SIZE, RETRY_AFTER],
        responses={200: paged(serializers.HeldSerializer), **refusals(400, 404, *WHO_ASKS)},
        tags=["wallets"],
    )
    def get(self, request: Request, organization_id: str) -> Response:
        rows = WalletHold.objects.filter(organization=self.membership.organization)
        pages = NewestFirst()
        found = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response([serializers.held(row) for row in found or []])

    @extend_schema(
        operation_id="wallets_hold",
        summary="Hold an amount",
        description="It is set aside until it is captured, released, or its time is over.",
        parameters=[KEY_REQUIRED, RETRY_AFTER],
        request=serializers.HoldSerializer,
        responses={201: serializers.HeldSerializer, **SPENT},
        tags=["wallets"],
    )
    def post(self, request: Request, organization_id: str) -> Response:
        body = parsed(request, serializers.HoldSerializer)
        wallet = opening.existing_wallet(self.membership.organization, body.get("currency"))
        lives = timedelta(seconds=body["expires_in_s"]) if "expires_in_s" in body else holding.LIVES
        hold, _ = holding.authorize(
            wallet=wallet,
            money=Money.parse(body["amount"], wallet.currency),
            description=body["description"],
            key=required_key(request),
            actor=signed_in(request),
            lives=lives,
        )
        return Response(serializers.held(hold), status=status.HTTP_201_CREATED)


class CaptureHold(OrganizationView):
    administering = frozenset({"POST"})
    rate_limit = "spend"

    @extend_schema(
        operation_id="wallets_capture",
        summary="Capture a hold",
        description="In whole or in part; what is not captured goes back. The same capture again answers the same spend.",
        parameters=[RETRY_AFTER],
        request=serializers.CaptureSerializer,
        responses={
            201: serializers.SpentSerializer,
            **refusals(400, 404, 409, *WHO_ASKS, _409="`hold_ended` or `more_than_held`."),
        },
        tags=["wallets"],
    )
    def post(self, request: Request, organization_id: str, hold_id: str) -> Response:
        body = parsed(request, serializers.CaptureSerializer)
        hold = WalletHold.objects.filter(organization=self.membership.organization, pk=hold_id).first()
        if hold is None:
            raise NotFound("There is no such hold.")
        money = Money.parse(body["amount"], hold.currency) if "amount" in body else None
        made = holding.capture(hold_id=hold.pk, money=money, actor=signed_in(request))
        return Response(serializers.spent(made), status=status.HTTP_201_CREATED)


# -- the seller's acts -----------------------------------------------------------------------------------
class MayGiveBack(BasePermission):
    message = "Only staff who may give spends back can do this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return staff_may(request.user, "wallets.reverse_walletspend")


class ReverseSpend(APIView):
    permission_classes = (IsAuthenticated, MayGiveBack)
    rate_limit = "spend"

    @extend_schema(
        operation_id="wallets_reverse_spend",
        summary="Give a spend back (staff)",
        parameters=[KEY_REQUIRED, RETRY_AFTER],
        request=serializers.ReversalSerializer,
        responses={201: serializers.ReversedSerializer, **refusals(400, 404, 409, 422, *WHO_ASKS, _409="`more_than_spent`.")},
        tags=["wallets"],
    )
    def post(self, request: Request, spend_id: str) -> Response:
        body = parsed(request, serializers.ReversalSerializer)
        key = required_key(request)
        with tenancy.everything():
            spent = WalletSpend.objects.filter(pk=spend_id).first()
            if spent is None:
                raise NotFound("There is no such spend.")
            money = Money.parse(body["amount"], spent.currency) if "amount" in body else None
            actor = signed_in(request)
            made, _ = spending.reverse(spend_id=spent.pk, money=money, reason=body["reason"], key=key, actor=actor)
        return Response(serializers.reversed_(made), status=status.HTTP_201_CREATED)


class ReleaseHold(APIView):
    permission_classes = (IsAuthenticated, MayGiveBack)
    rate_limit = "spend"

    @extend_schema(
        operation_id="wallets_release_hold",
        summary="Release a hold (staff)",
        parameters=[RETRY_AFTER],
        request=serializers.ReleaseSerializer,
        responses={200: serializers.HeldSerializer, **refusals(400, 404, 409, *WHO_ASKS, _409="`hold_ended`.")},
        tags=["wallets"],
    )
    def post(self, request: Request, hold_id: str) -> Response:
        body = parsed(request, serializers.ReleaseSerializer)
        with tenancy.everything():
            hold = holding.release(hold_id=hold_id, reason=body["reason"], actor=signed_in(request))
        return Response(serializers.held(hold))
