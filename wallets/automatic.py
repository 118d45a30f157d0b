"""Topping up by itself: below a threshold, with a saved method, within a limit per day.

The card's holder is not there (https://docs.stripe.com/payments/save-and-reuse, off-session). Where the bank wants to ask
them, or declines, nothing is tried again by itself: the wallet pauses, its admins are told, and the page of the wallet
lets one of them finish that same payment. Nobody is ever charged twice: the call is committed before it is sent, and is
sent again only as the same call.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Concat
from django.utils import timezone

from conventions.storable import storable
from conventions.trying_again import in_transaction
from payments import checkout, customers, stripe_gateway
from payments.customers import stripe_customer_of
from payments.errors import CardDeclined, CustomerGone, StripeRefused
from payments.fulfilment import PaymentChange
from payments.models import LedgerAccount, Payment
from payments.money import Money
from payments.settlement import settle_objects
from wallets import levelling, lost_customers, notices, pausing, topping_up
from wallets.models import Notice, PaymentMethod, TopUp, Wallet

logger = logging.getLogger(__name__)

DAY = timedelta(hours=24)
UNSENT_AFTER = timedelta(minutes=1)
MOST_A_SWEEP = 100


def top_up(wallet_id: str) -> TopUp | None:
    """Top a wallet up if that is due; None where it is not. Calls Stripe: never inside a transaction.

    Raises StripeUnavailable and its kin; what was committed by then is sent again by the sweep.
    """
    wallet = Wallet.objects.select_related("organization").filter(pk=wallet_id).first()
    if wallet is None or not wallet.tops_up_by_itself:
        return None
    customer = stripe_customer_of(wallet.organization)
    planned = in_transaction(lambda: _plan(wallet, customer), what="an automatic top-up")
    if planned is not None:
        send(planned)
    return planned


def _plan(wallet: Wallet, customer: str) -> TopUp | None:
    """Decide under the wallet's lock, so that of two at once one finds the other's top-up."""
    locked, balance_minor = levelling.lock_one(wallet.pk)
    amount_minor = locked.top_up_amount_minor or 0
    is_below = balance_minor < (locked.top_up_below_minor or 0)
    if not (locked.tops_up_by_itself and locked.top_up_due_at and is_below) or locked.is_blocked:
        return None
    if _pending().filter(wallet=wallet).exists():
        return None
    # Counted from when it was begun and from when it was paid: one whose answer was lost may be charged a day later.
    since = timezone.now() - DAY
    today = TopUp.objects.filter(Q(created_at__gt=since) | Q(paid_at__gt=since), wallet=wallet, is_automatic=True)
    spent = today.filter(payment__status="paid").aggregate(sum=Sum("amount_minor"))["sum"] or 0
    if spent + amount_minor > (locked.top_up_daily_limit_minor or 0):
        facts = {"reason": "daily_limit", "limit_minor": locked.top_up_daily_limit_minor}
        key = f"limit:{wallet.pk}:{timezone.now():%Y-%m-%d}"
        notices.tell(locked, Notice.Kind.TOP_UP_FAILED, key=key, facts=facts)
        return None
    method = PaymentMethod.objects.filter(organization=wallet.organization_id, is_default=True).first()
    if method is None:
        pausing.pause(locked, "There is no saved payment method.", key=f"no-method:{timezone.now().isoformat()}")
        return None
    payment, _ = topping_up.open_payment(wallet, Money(amount_minor, wallet.currency))
    params: dict[str, Any] = topping_up.intent_params(wallet, payment, customer)
    params |= {"payment_method": method.stripe_id, "off_session": True, "confirm": True}
    return topping_up.write_down(wallet, payment, params, started_by=None, is_automatic=True)


def _pending() -> QuerySet[TopUp]:
    """Those whose end is not known: a direct debit takes days, and a charge whose answer never came may have been made,
    however long ago, until `finish` has looked for it."""
    begun = Q(payment__status="open") & (Q(payment__payment_intent=None) | Q(created_at__gt=timezone.now() - DAY))
    return TopUp.objects.filter(begun | Q(payment__status="processing"), is_automatic=True)


def send(made: TopUp) -> None:
    """Send the planned charge and settle what became of it; a decline pauses the wallet by way of its payment's facts."""
    payment = made.payment
    try:
        call = checkout.latest_call(payment.pk, checkout.INTENT)
        intent = lost_customers.send(made.wallet.organization, call)["id"]
    except CardDeclined as declined:
        intent = declined.intent
        logger.info("the automatic top-up %s was declined: %s", made.pk, declined)
    except CustomerGone as gone:
        logger.warning("the automatic top-up %s cannot be made: %s", made.pk, gone)
        checkout.give_up(payment)  # the wallet was paused as the customer was forgotten
        return
    except StripeRefused as refused:
        logger.warning("Stripe refuses the automatic top-up %s: %s", made.pk, refused)
        checkout.give_up(payment)
        reason = storable(str(refused), 200)
        in_transaction(lambda: _pause_refused(made, reason), what="pausing a wallet")
        return
    if intent:
        settle_objects([stripe_gateway.retrieve_intent(intent)])


def _pause_refused(made: TopUp, reason: str) -> None:
    wallet, _ = levelling.lock_one(made.wallet_id)
    pausing.pause(wallet, reason, key=f"refused:{made.pk}", payment=made.payment_id)


# -- what a lost nudge left over -----------------------------------------------------------------------
def unsent() -> list[TopUp]:
    """Planned charges whose answer never came."""
    before = timezone.now() - UNSENT_AFTER
    lost = TopUp.objects.filter(is_automatic=True, payment__status="open", payment__payment_intent=None, created_at__lt=before)
    return list(lost.select_related("payment", "wallet__organization").order_by("?")[:MOST_A_SWEEP])


def finish(made: TopUp) -> None:
    """Send a charge again as long as that is the same call for Stripe, and still wanted; else look for what it made, or
    give it up.

    A charge of a day ago is not made anew behind its payer's back: the wallet will ask for another where it needs one. Nor
    is one of a wallet that was told meanwhile to top itself up no more, or by another amount.
    """
    payment = made.payment
    is_wanted = made.wallet.top_up_amount_minor == made.amount_minor
    if timezone.now() - made.created_at < checkout.KEY_LIVES and is_wanted:
        send(made)
        return
    found = _find(payment)
    if found is None:
        checkout.give_up(payment)
    else:
        settle_objects([stripe_gateway.retrieve_intent(found["id"])])


def _find(payment: Payment) -> stripe_gateway.Json | None:
    """What the call made, among the intents of the customer that it named; that may be another one by now, and of one that
    was deleted Stripe may show nothing."""
    customer = checkout.latest_call(payment.pk, checkout.INTENT).params["customer"]
    try:
        return stripe_gateway.find_intent(customer=customer, our_payment=payment.pk)
    except StripeRefused as refused:
        if customers.was_deleted(customer, refused):
            return None
        raise


def due() -> list[str]:
    """Wallets below their threshold that nothing tops up at the moment."""
    code = Concat(Value("wallet:"), OuterRef("pk"), Value(":"), OuterRef("currency"))
    balance = Subquery(LedgerAccount.objects.filter(code=code).values("balance_minor")[:1])
    low = Wallet.objects.annotate(balance=balance).filter(
        Q(top_up_paused_at=None, blocked_at=None, owed_since=None),
        top_up_due_at__isnull=False,
        balance__lt=F("top_up_below_minor"),
    )
    return list(low.exclude(pk__in=_pending().values("wallet")).order_by("?").values_list("pk", flat=True)[:MOST_A_SWEEP])


def settle_failures(changed: list[tuple[TopUp, PaymentChange]]) -> None:
    """Pause wallets whose automatic top-up failed, and go on with those whose failed one is paid now; in the settlement's
    transaction. The end is the same in whatever order facts come; what happens to a payment after it was paid, its refund
    say, ends no pause that another one began."""
    for made, change in sorted(changed, key=lambda pair: pair[0].wallet_id):
        if not made.is_automatic:
            continue
        payment = change.payment
        wallet, _ = levelling.lock_one(made.wallet_id)
        if payment.status == "failed" and not _told(made):
            wants_person = payment.failure_code == "authentication_required"
            kind = Notice.Kind.AUTHENTICATION_NEEDED if wants_person else Notice.Kind.TOP_UP_FAILED
            pausing.pause(
                wallet, payment.failure_message or "The charge failed.", key=f"failed:{made.pk}", kind=kind, payment=payment.pk
            )
        elif change.became_paid and _told(made) and wallet.top_up_paused_at and not _failed_since(made):
            wallet.top_up_paused_at, wallet.top_up_paused_reason = None, ""
            wallet.save(update_fields=["top_up_paused_at", "top_up_paused_reason"])


def _failed_since(made: TopUp) -> bool:
    """Whether a later one failed, whose pause this one does not end."""
    later = TopUp.objects.filter(wallet=made.wallet_id, is_automatic=True, created_at__gt=made.created_at)
    return later.filter(payment__status="failed").exists()


def _told(made: TopUp) -> bool:
    return Notice.objects.filter(key=f"failed:{made.pk}:{made.wallet_id}").exists()
