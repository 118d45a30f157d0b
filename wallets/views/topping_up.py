"""Starting a top-up, and going on with one."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.organization_views import OrganizationInBody, OrganizationView, parsed, signed_in
from conventions import tenancy
from conventions.errors import NotFound
from conventions.schema import RETRY_AFTER, WHO_ASKS, refusals
from payments.idempotency import IDEMPOTENCY_KEY, idempotency_of
from payments.models import Payment
from payments.money import Money
from wallets import opening, topping_up
from wallets.errors import NothingToPay
from wallets.models import PaymentMethod, TopUp
from wallets.serializers import topping_up as serializers

NO_SUCH_PAYMENT = "There is no such payment."


class CreateIntent(OrganizationInBody):
    rate_limit = "checkout"
    administering = frozenset({"POST"})

    @extend_schema(
        operation_id="payments_create_intent",
        summary="Start a top-up",
        description="The page confirms the intent with its client secret; the wallet is credited once Stripe has the money.",
        parameters=[IDEMPOTENCY_KEY, RETRY_AFTER],
        request=serializers.TopUpSerializer,
        responses={200: serializers.TopUpStartedSerializer, **refusals(400, 402, 404, 409, 422, 502, 504, *WHO_ASKS)},
        tags=["wallets"],
    )
    def post(self, request: Request) -> Response:
        body = parsed(request, serializers.TopUpSerializer)
        organization = self.membership.organization
        money = Money.parse(body["amount"], opening.currency_of(organization, body.get("currency")))
        money.check_chargeable()
        method = self._method(body.get("payment_method_id"))
        idempotency = idempotency_of(request, purpose=f"wallet:{organization.pk}")
        started = topping_up.top_up(
            wallet=opening.open_wallet(organization, money.currency),  # what is refused opens none
            money=money,
            method=method,
            save_method=body["save_payment_method"],
            user=signed_in(request),
            idempotency=idempotency,
        )
        return Response(_started(started.payment, started.intent))

    def _method(self, asked: str | None) -> PaymentMethod | None:
        if not asked:
            return None
        own = PaymentMethod.objects.filter(organization=self.membership.organization, detached_at=None)
        method = own.filter(pk=asked).first()
        if method is None:
            raise NotFound("There is no such payment method.")
        return method


def _started(payment: Payment, intent: Any) -> dict[str, Any]:
    shown = {
        "id": intent["id"],
        "client_secret": intent["client_secret"],
        "amount": str(payment.money),
        "currency": payment.currency.upper(),
        "status": intent["status"],
    }
    return {"payment_intent": shown, "client_secret": intent["client_secret"], "payment_id": payment.pk}


class OfPayment(OrganizationView):
    """`payments/{payment_id}`: the organization is that of the top-up."""

    def organization_id(self, request: Request) -> str:
        # Whose it is must be known before anybody's scope can be entered; a stranger learns nothing of it.
        with tenancy.everything():
            found = TopUp.objects.filter(payment=self.kwargs["payment_id"]).values_list("organization_id", flat=True).first()
        if found is None:
            raise NotFound(NO_SUCH_PAYMENT)
        return str(found)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        try:
            super().initial(request, *args, **kwargs)
        except NotFound as error:  # one answer for another's payment and for none
            raise NotFound(NO_SUCH_PAYMENT) from error


class ClientSecret(OfPayment):
    rate_limit = "checkout"
    administering = frozenset({"POST"})

    @extend_schema(
        operation_id="payments_client_secret",
        summary="Go on with a top-up",
        description="One that was begun and not paid: a card that was declined, or a bank that wants to ask its holder.",
        parameters=[RETRY_AFTER],
        request=None,
        responses={200: serializers.TopUpSecretSerializer, **refusals(404, 409, 502, 504, *WHO_ASKS)},
        tags=["wallets"],
    )
    def post(self, request: Request, payment_id: str) -> Response:
        secret = topping_up.client_secret_of(Payment.objects.get(pk=payment_id))
        if secret is None:
            raise NothingToPay("This top-up is at its end. Start a new one if you need more.")
        return Response({"client_secret": secret, "payment_id": payment_id})
