"""What was bought: one purchase for each payment, and the subscriptions that make a purchase every month."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from conventions.public_ids import IdentifierField, PublicIdField
from payments.models import Payment
from payments.money import Money
from payments.states import ProductState
from pricing.models.plans import PricingPlan, Product


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def running(self) -> SubscriptionQuerySet:
        """Those that have not ended, whether or not they are paid."""
        return self.exclude(state__in=Subscription.ENDED)


class Subscription(models.Model):
    """A student's plan that Stripe bills every month. Its state is what Stripe said last."""

    class State(models.TextChoices):
        """https://docs.stripe.com/api/subscriptions/object#subscription_object-status"""

        INCOMPLETE = "incomplete", "waiting for the first payment"
        INCOMPLETE_EXPIRED = "incomplete_expired", "never paid"
        TRIALING = "trialing"
        ACTIVE = "active"
        PAST_DUE = "past_due", "payment failed, Stripe tries again"
        UNPAID = "unpaid"
        PAUSED = "paused"
        CANCELED = "canceled"

    ENDED = frozenset({State.CANCELED, State.INCOMPLETE_EXPIRED})

    id = PublicIdField(prefix="subscription")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="subscriptions")
    plan = models.ForeignKey(PricingPlan, models.PROTECT, related_name="subscriptions")
    currency = models.CharField(max_length=3)
    # What was agreed when it was subscribed to or changed, and is agreed until it is changed again, whatever becomes of the
    # plan; null in what is older than these columns.
    hours_hundredths = models.PositiveIntegerField(null=True, blank=True, help_text="A month.")
    amount_minor = models.BigIntegerField(null=True, blank=True, help_text="A month, as Stripe bills it.")
    # A change of plan counts from the end of the month that is paid; until then that month is this plan's.
    paid_plan = models.ForeignKey(PricingPlan, models.PROTECT, null=True, blank=True, related_name="+")
    changes_at = models.DateTimeField(null=True, blank=True, help_text="When the paid month of the plan before ends.")
    stripe_id = IdentifierField(max_length=255, null=True, blank=True, unique=True)
    stripe_item = IdentifierField(max_length=255, blank=True, default="", help_text="The item that carries the price.")
    state = models.CharField(max_length=18, choices=State, default=State.INCOMPLETE)
    current_period_end = models.DateTimeField(null=True, blank=True)
    cancel_at_period_end = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="Stripe's time of what is written here.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="subscription_one_running_per_plan",
                fields=["user", "plan"],
                condition=Q(state__in=["incomplete", "trialing", "active", "past_due", "unpaid", "paused"]),
            ),
            models.CheckConstraint(
                name="subscription_state_known",
                condition=Q(
                    state__in=[
                        "incomplete",
                        "incomplete_expired",
                        "trialing",
                        "active",
                        "past_due",
                        "unpaid",
                        "paused",
                        "canceled",
                    ]
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.plan_id} {self.state}"

    @property
    def is_running(self) -> bool:
        return self.state not in self.ENDED

    @property
    def is_changing(self) -> bool:
        """Whether the month that is paid is another plan's than the next one will be. Compared with Stripe's month, not
        with our clock: the change is over when that month is."""
        return self.paid_plan_id is not None and self.changes_at == self.current_period_end

    @property
    def plan_now(self) -> PricingPlan:
        """The plan of the month that is paid."""
        return self.paid_plan if self.is_changing and self.paid_plan else self.plan

    @property
    def agreed_hundredths(self) -> int:
        """Hours of each coming month."""
        return self.plan.hours_hundredths if self.hours_hundredths is None else self.hours_hundredths

    @property
    def agreed_price(self) -> Money | None:
        """Of each coming month; None where Stripe has not told it yet."""
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)


class PurchaseTransaction(models.Model):
    """A plan or product bought by one payment, with a snapshot of what was promised. Its state follows the payment."""

    State = ProductState

    id = PublicIdField(prefix="purchase")
    plan = models.ForeignKey(PricingPlan, models.PROTECT, null=True, blank=True, related_name="purchases")
    product = models.ForeignKey(Product, models.PROTECT, null=True, blank=True, related_name="purchases")
    subscription = models.ForeignKey(Subscription, models.PROTECT, null=True, blank=True, related_name="purchases")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="purchases")
    email = IdentifierField(max_length=320, blank=True, default="", db_index=True)
    payment = models.OneToOneField(Payment, models.PROTECT, related_name="purchase")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    # The snapshot: what was promised stays promised, however the plan is changed later.
    name = models.CharField(max_length=200)
    hours_hundredths = models.PositiveIntegerField(default=0)
    validity_days = models.PositiveSmallIntegerField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True, help_text="What the front end wanted to have kept with it.")
    state = models.CharField(max_length=18, choices=State, default=State.PENDING)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="purchase_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="purchase_of_plan_or_product",
                condition=Q(plan__isnull=False, product=None) | Q(plan=None, product__isnull=False),
            ),
            models.CheckConstraint(name="purchase_email_lowercase", condition=Q(email=Lower("email"))),
            models.CheckConstraint(
                name="purchase_paid_at_when_paid",
                condition=Q(state__in=["pending", "abandoned"], paid_at__isnull=True)
                | Q(state__in=["paid", "refunded", "partially_refunded", "disputed"], paid_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.name} {self.state}"

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)


class RenewalFailure(models.Model):
    """A try to take a renewal's money that failed, and the mail about it: claimed before it is sent, so that none goes
    twice."""

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="failures")
    invoice = IdentifierField(max_length=255)
    attempt = models.PositiveSmallIntegerField()
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(name="renewalfailure_once_per_try", fields=["invoice", "attempt"])]

    def __str__(self) -> str:
        return f"{self.invoice} try {self.attempt}"
