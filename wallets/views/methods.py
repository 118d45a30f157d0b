"""Saved payment methods: what an organization can be charged by."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.organization_views import (
    NOT_AN_ADMIN,
    ORGANIZATION_ID,
    OrganizationInBody,
    OrganizationInQuery,
    OrganizationView,
    parsed,
    signed_in,
)
from conventions import tenancy
from conventions.errors import NotFound
from conventions.schema import RETRY_AFTER, WHO_ASKS, refusals
from payments.idempotency import IDEMPOTENCY_KEY, idempotency_of
from wallets import methods
from wallets.methods import NO_SUCH_METHOD
from wallets.models import PaymentMethod
from wallets.serializers import methods as serializers


class Methods(OrganizationInQuery):
    @extend_schema(
        operation_id="payment_methods",
        summary="Saved payment methods",
        description="For members. A card that was saved twice is shown once.",
        parameters=[ORGANIZATION_ID, RETRY_AFTER],
        responses={200: serializers.MethodsSerializer, **refusals(400, 404, *WHO_ASKS)},
        tags=["wallets"],
    )
    def get(self, request: Request) -> Response:
        found = methods.saved_methods(self.membership.organization)
        return Response({"payment_methods": serializers.MethodSerializer(found, many=True).data})


class SetupIntent(OrganizationInBody):
    rate_limit = "checkout"
    administering = frozenset({"POST"})

    @extend_schema(
        operation_id="payment_method_setup",
        summary="Start saving a payment method",
        description="The page confirms the SetupIntent with its client secret; the method is listed once Stripe has told of it.",
        parameters=[IDEMPOTENCY_KEY, RETRY_AFTER],
        request=serializers.SetupSerializer,
        responses={
            200: serializers.SetupStartedSerializer,
            **refusals(400, 404, 422, 502, 504, *WHO_ASKS, _403=NOT_AN_ADMIN),
        },
        tags=["wallets"],
    )
    def post(self, request: Request) -> Response:
        parsed(request, serializers.SetupSerializer)
        idempotency = idempotency_of(request, purpose="payment_method")
        intent = methods.set_up(organization=self.membership.organization, idempotency=idempotency)
        shown = {name: intent[name] for name in ("id", "client_secret")}
        return Response({"setup_intent": shown, "client_secret": intent["client_secret"]})


class OfMethod(OrganizationView):
    """`methods/{method_id}`: the organization is the one that saved it."""

    rate_limit = "checkout"  # each asks Stripe
    method: PaymentMethod

    def organization_id(self, request: Request) -> str:
        # Whose it is must be known before anybody's scope can be entered.
        with tenancy.everything():
            found = PaymentMethod.objects.select_related("organization").filter(pk=self.kwargs["method_id"]).first()
        if found is None:
            raise NotFound(NO_SUCH_METHOD)
        self.method = found
        return str(found.organization_id)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        try:
            super().initial(request, *args, **kwargs)
        except NotFound as error:  # a stranger learns nothing: one answer for another's method and for none
            raise NotFound(NO_SUCH_METHOD) from error


class SetDefault(OfMethod):
    administering = frozenset({"POST"})

    @extend_schema(
        operation_id="payment_method_default",
        summary="Make a payment method the default",
        description="It is what automatic top-ups charge from now on.",
        parameters=[RETRY_AFTER],
        request=None,
        responses={200: serializers.DefaultSerializer, **refusals(404, 502, 504, *WHO_ASKS, _403=NOT_AN_ADMIN)},
        tags=["wallets"],
    )
    def post(self, request: Request, method_id: str) -> Response:
        chosen = methods.set_default(method=self.method, actor=signed_in(request))
        return Response({"payment_method": serializers.MethodSerializer(chosen).data})


class MethodDetail(OfMethod):
    administering = frozenset({"DELETE"})

    @extend_schema(
        operation_id="payment_method_remove",
        summary="Remove a payment method",
        description="Every saving of the same card goes. Of the others, the newest becomes the default where this one was it.",
        parameters=[RETRY_AFTER],
        responses={204: None, **refusals(404, 502, 504, *WHO_ASKS, _403=NOT_AN_ADMIN)},
        tags=["wallets"],
    )
    def delete(self, request: Request, method_id: str) -> Response:
        methods.remove(method=self.method, actor=signed_in(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
