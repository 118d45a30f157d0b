"""The pricing routes of the API: parse, call one operation, render."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.organization_views import parsed, signed_in
from conventions.errors import InvalidInput, NotFound
from conventions.pages import NewestFirst
from conventions.schema import CURSOR, PAGE_SIZE, paged, refusals
from payments.idempotency import IDEMPOTENCY_KEY, idempotency_of
from pricing import hours, purchasing, selling, serializers, subscribing
from pricing.errors import AccountNeeded
from pricing.hour_amounts import hours_text, parse_hours
from pricing.models import HourConsumption, PricingPlan, PurchaseTransaction, Subscription
from pricing.plan_list import listed_plans

CONSUME = "pricing.consume_hours"
MOST_SUBSCRIPTIONS = 100


def _user(request: Request) -> User | None:
    return request.user if isinstance(request.user, User) else None


class PricingPlans(APIView):
    permission_classes = [AllowAny]

    @extend_schema(operation_id="pricing_plans", responses={200: serializers.PlanSerializer(many=True), **refusals(429)})
    def get(self, request: Request) -> Response:
        """The plans on sale, in display order. Revalidate with If-None-Match: 304 while nothing changed."""
        plans, etag = listed_plans()
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
        if etag in known or "*" in known:
            return Response(status=304, headers=headers)
        return Response(plans, headers=headers)


class StripeConfig(APIView):
    @extend_schema(operation_id="stripe_config", responses={200: serializers.StripeConfigSerializer, **refusals(401, 429)})
    def get(self, request: Request) -> Response:
        """What a page needs to start stripe.js."""
        return Response(
            {
                "success": True,
                "public_key": settings.STRIPE_PUBLISHABLE_KEY,
                "api_version": settings.STRIPE_API_VERSION,
                "currency": settings.DEFAULT_CURRENCY.upper(),
            }
        )


class InitiatePurchase(APIView):
    permission_classes = [AllowAny]
    rate_limit = "checkout"

    @extend_schema(
        operation_id="purchase_initiate",
        request=serializers.PurchaseSerializer,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: serializers.PurchaseStartedSerializer, **refusals(400, 401, 403, 409, 422, 429, 502, 504)},
    )
    def post(self, request: Request) -> Response:
        """Start buying a plan; the page confirms with the client secret."""
        body = parsed(request, serializers.PurchaseSerializer)
        idempotency = idempotency_of(request, purpose="plan")
        plan = purchasing.plan_on_sale(body["plan_id"], retry_of=idempotency)
        price = purchasing.price_of(plan, body.get("currency"))
        buyer = _buyer(_user(request), body.get("student_info"))
        if plan.plan_type == PricingPlan.Type.SUBSCRIPTION:
            if buyer.user is None:
                raise AccountNeeded("Please log in to subscribe, so that you can see and end it.")
            started = subscribing.subscribe(plan=plan, price=price, user=buyer.user, idempotency=idempotency)
        else:
            started = purchasing.buy_package(plan=plan, price=price, buyer=buyer, idempotency=idempotency)
        return Response(_started(started, plan), status=201)


def _buyer(user: User | None, info: dict[str, str] | None) -> purchasing.Buyer:
    if user is not None:
        return purchasing.Buyer(user=user, name=user.name, email=user.email)
    if not info:
        raise InvalidInput("Give your name and e-mail address, or log in.", field="student_info", code="required")
    return purchasing.Buyer(user=None, name=info["name"], email=info["email"])


def _started(started: purchasing.PurchaseStarted, plan: PricingPlan) -> dict[str, Any]:
    """What was promised when the purchase began, however the plan has been changed since."""
    purchase = started.purchase
    return {
        "success": True,
        "client_secret": started.client_secret,
        "payment_intent_id": started.payment_intent_id,
        "transaction_id": purchase.pk,
        "amount": str(purchase.money),
        "currency": purchase.currency.upper(),
        "plan_details": {
            "id": plan.pk,
            "name": purchase.name,
            "plan_type": plan.plan_type,
            "hours_included": hours_text(purchase.hours_hundredths),
            "validity_days": purchase.validity_days,
        },
    }


STUDENT = OpenApiParameter("student_id", str, description="Staff and tutors: whose; else one's own.")


def _student(request: Request) -> User:
    """The student asked about: oneself, or anybody for those who may consume hours."""
    user, asked = signed_in(request), request.query_params.get("student_id")
    if not asked or asked == user.pk:
        return user
    student = User.objects.filter(pk=asked.replace("\x00", "")).first() if user.has_perm(CONSUME) else None
    if student is None:
        raise NotFound("There is no such student.")
    return student


class StudentBalance(APIView):
    @extend_schema(
        operation_id="student_balance",
        parameters=[STUDENT],
        responses={200: serializers.BalanceSerializer, **refusals(401, 404, 429)},
    )
    def get(self, request: Request) -> Response:
        """Hours bought, used, expired and left."""
        balance = hours.balance_of(_student(request), now=timezone.now())
        return Response(serializers.shown_balance(balance))


class Purchases(APIView):
    @extend_schema(
        operation_id="student_purchases",
        parameters=[CURSOR, PAGE_SIZE, STUDENT],
        responses={200: paged(serializers.OwnPurchaseSerializer), **refusals(400, 401, 404, 429)},
    )
    def get(self, request: Request) -> Response:
        """What was bought, newest first."""
        rows = PurchaseTransaction.objects.filter(user=_student(request)).select_related("payment")
        return _page(self, request, rows, serializers.OwnPurchaseSerializer)


class Consumptions(APIView):
    @extend_schema(
        operation_id="student_consumption",
        parameters=[CURSOR, PAGE_SIZE, STUDENT],
        responses={200: paged(serializers.ConsumptionSerializer), **refusals(400, 401, 404, 429)},
    )
    def get(self, request: Request) -> Response:
        """Sessions that used hours, newest first."""
        rows = HourConsumption.objects.filter(student=_student(request))
        return _page(self, request, rows, serializers.ConsumptionSerializer)


def _page(view: APIView, request: Request, rows: QuerySet[Any], serializer: Any) -> Response:
    pages = NewestFirst()
    page = pages.paginate_queryset(rows, request, view=view) or []
    return pages.get_paginated_response(serializer(page, many=True).data)


class MayConsume(BasePermission):
    """Staff and tutors: whoever has the permission."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user.has_perm(CONSUME))


class ConsumeHours(APIView):
    permission_classes = [IsAuthenticated, MayConsume]

    @extend_schema(
        operation_id="hours_consume",
        request=serializers.ConsumeSerializer,
        responses={201: serializers.ConsumptionSerializer, **refusals(400, 401, 403, 404, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Record a session. The same reference with the same student and hours counts once."""
        body = parsed(request, serializers.ConsumeSerializer)
        hundredths = parse_hours(body["hours"])
        student = User.objects.filter(pk=body["student_id"], is_active=True).first()
        if student is None:
            raise InvalidInput("There is no such student.", field="student_id", code="unknown_student")
        session = hours.consume(
            student=student,
            hundredths=hundredths,
            session_reference=body["session_reference"],
            actor=signed_in(request),
        )
        return Response(serializers.ConsumptionSerializer(session).data, status=201)


class ReverseConsumption(APIView):
    permission_classes = [IsAuthenticated, MayConsume]

    @extend_schema(
        operation_id="hours_reverse",
        request=serializers.ReverseSerializer,
        responses={200: serializers.ConsumptionSerializer, **refusals(400, 401, 403, 404, 429)},
    )
    def post(self, request: Request, consumption_id: str) -> Response:
        """Put a session's hours back where they came from; a second time changes nothing."""
        body = parsed(request, serializers.ReverseSerializer)
        consumption = HourConsumption.objects.filter(pk=consumption_id).first()
        if consumption is None:
            raise NotFound("There is no such session.")
        done = hours.reverse(consumption=consumption, actor=signed_in(request), reason=body.get("reason", ""))
        return Response(serializers.ConsumptionSerializer(done).data)


class Subscriptions(APIView):
    @property
    def rate_limit(self) -> str:
        """Each change asks Stripe, and may put a proration on the next invoice."""
        return "checkout" if self.request.method == "POST" else "read"

    @extend_schema(
        operation_id="subscriptions",
        responses={200: serializers.OwnSubscriptionSerializer(many=True), **refusals(401, 429)},
    )
    def get(self, request: Request) -> Response:
        """One's own subscriptions, the newest first."""
        own = Subscription.objects.filter(user=signed_in(request))
        rows: Any = own.select_related("plan", "paid_plan").order_by("-created_at", "-pk")
        return Response(serializers.OwnSubscriptionSerializer(rows[:MOST_SUBSCRIPTIONS], many=True).data)

    @extend_schema(
        operation_id="subscription_change",
        request=serializers.SubscriptionActSerializer,
        responses={200: serializers.OwnSubscriptionSerializer, **refusals(400, 401, 404, 409, 429, 502, 504)},
    )
    def post(self, request: Request) -> Response:
        """Cancel at the end of the paid month, resume, or change to another plan, prorated by Stripe."""
        body = parsed(request, serializers.SubscriptionActSerializer)
        subscription = subscribing.own(signed_in(request), body["subscription_id"])
        if body["action"] == "change_plan":
            changed = subscribing.change_plan(subscription, purchasing.plan_on_sale(body["plan_id"]))
        else:
            changed = subscribing.cancel_at_period_end(subscription, cancel=body["action"] == "cancel")
        return Response(serializers.OwnSubscriptionSerializer(changed).data)


class SubscriptionPortal(APIView):
    rate_limit = "checkout"

    @extend_schema(
        operation_id="subscription_portal",
        request=None,
        responses={200: serializers.PortalSerializer, **refusals(401, 404, 429, 502, 504)},
    )
    def post(self, request: Request) -> Response:
        """The address of Stripe's own page for one's cards, invoices and subscriptions."""
        return Response({"url": subscribing.portal_url(signed_in(request), return_url=f"{settings.FRONTEND_URL}/account")})


class EmbeddedSession(APIView):
    permission_classes = [AllowAny]
    rate_limit = "checkout"

    @extend_schema(
        operation_id="checkout_embedded_session",
        request=serializers.EmbeddedSessionSerializer,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: serializers.ClientSecretSerializer, **refusals(400, 403, 409, 422, 429, 502, 504)},
    )
    def post(self, request: Request) -> Response:
        """Start selling a product by Embedded Checkout."""
        body = parsed(request, serializers.EmbeddedSessionSerializer)
        secret = selling.sell(
            sku=body.get("product"),
            customer_email=body.get("customer_email", ""),
            metadata=body.get("metadata", {}),
            user=_user(request),
            idempotency=idempotency_of(request, purpose="product"),
        )
        return Response({"client_secret": secret})


class SessionStatus(APIView):
    permission_classes = [AllowAny]
    rate_limit = "session"

    @extend_schema(
        operation_id="checkout_session_status",
        parameters=[OpenApiParameter("session_id", str, required=True)],
        responses={200: serializers.SessionStateSerializer, **refusals(400, 404, 429)},
    )
    def get(self, request: Request) -> Response:
        """Whether an embedded checkout is open, complete or expired; settles it when the webhook has not come yet."""
        session_id = request.query_params.get("session_id", "")
        if not session_id:
            raise InvalidInput("Name the session: ?session_id=cs_…", field="session_id", code="required")
        return Response({"status": selling.session_state(session_id)})
