"""Plans, buying one, what became of the payment, and the product that is sold by Embedded Checkout."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import User
from conventions.errors import DomainError, NotFound
from conventions.rate_limits import seconds_over_limit
from pricing.coming_back import purchase_paid_by
from pricing.models import Product, PurchaseTransaction, Subscription
from pricing.selling import DEFAULT_SKU
from website import offering
from website.presets import whole
from website.stripe_in_page import stripe_context, with_stripe_js


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """Plans on sale, in display order and one currency at a time."""
    plans = offering.plans_on_sale()
    currency = offering.chosen_currency(request.GET.get("currency", ""), plans)
    offers = [offering.offer(plan, currency) for plan in plans]
    groups = (
        ("Packages", "Paid once, yours until they expire.", [o for o in offers if not o.is_subscription]),
        ("Every month", "New hours each month, until you end it.", [o for o in offers if o.is_subscription]),
    )
    context = {"groups": groups, "offers": offers, "currency": currency, "currencies": offering.currencies(plans)}
    return render(request, "website/pricing.html", context)


@with_stripe_js
@require_safe
@never_cache
def buy(request: HttpRequest, plan: int) -> HttpResponse:
    """One plan, who buys it, and the Payment Element, which the page's script mounts once the purchase is started."""
    plans = [one for one in offering.plans_on_sale() if one.pk == plan]
    if not plans:
        raise Http404("This plan is not on sale.")
    currency = offering.chosen_currency(request.GET.get("currency", ""), plans)
    offer = offering.offer(plans[0], currency)
    user = request.user if isinstance(request.user, User) else None
    running = None
    if user and offer.is_subscription:
        own = Subscription.objects.running().filter(user=user, plan_id=plan)
        running = own.exclude(state=Subscription.State.INCOMPLETE).first()
    context: dict[str, Any] = {
        "offer": offer,
        "currencies": offering.currencies(plans),
        "running": running,
        "needs_account": offer.is_subscription and user is None,
        "valid_until": timezone.now() + timedelta(days=offer.plan.validity_days) if offer.plan.validity_days else None,
        **stripe_context(),
    }
    return render(request, "website/buy.html", context)


@require_safe
@never_cache
def purchase(request: HttpRequest) -> HttpResponse:
    """Where the payment leads, by itself or by way of the bank: what became of it, settled before it is shown."""
    if seconds_over_limit(request, "session"):
        return _purchase_page(request, "unknown", status=HTTPStatus.TOO_MANY_REQUESTS)
    try:
        found = purchase_paid_by(
            intent=request.GET.get("payment_intent", ""),
            client_secret=request.GET.get("payment_intent_client_secret", ""),
            user=request.user if isinstance(request.user, User) else None,
        )
    except NotFound as error:
        raise Http404(error.message) from error
    except DomainError:
        return _purchase_page(request, "unknown", status=HTTPStatus.BAD_GATEWAY)
    return _purchase_page(request, _state_of(found), found)


def _state_of(bought: PurchaseTransaction) -> str:
    status = str(bought.payment.status)
    if status == "paid":
        return "paid" if bought.state == PurchaseTransaction.State.PAID else "refunded"
    return status if status in {"processing", "failed"} else "open"


def _purchase_page(
    request: HttpRequest, state: str, bought: PurchaseTransaction | None = None, *, status: int = HTTPStatus.OK
) -> HttpResponse:
    context: dict[str, Any] = {"state": state, "purchase": bought}
    if bought is not None:
        lot = getattr(bought, "lot", None)
        context["hours"] = offering.short_hours(bought.hours_hundredths)
        context["expires_at"] = lot.expires_at if lot else None
        context["price"] = whole(bought.money)
        # Who is not logged in is not told whether there is an account under that address.
        context["is_guest"] = bought.user_id is None or not request.user.is_authenticated
    return render(request, "website/purchase.html", context, status=status)


@with_stripe_js
@require_safe
@never_cache
def hero_me(request: HttpRequest) -> HttpResponse:
    """The one-off product. `?session_id=` is where some ways to pay lead back to; the script asks what became of it."""
    product = Product.objects.filter(sku=DEFAULT_SKU, is_active=True).first()
    context = {"product": product, "price": whole(product.money) if product else "", **stripe_context()}
    return render(request, "website/hero_me.html", context)
