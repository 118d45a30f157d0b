"""Payment, Refund, Dispute: what was asked for, and the facts that Stripe reported about it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from conventions.public_ids import IdentifierField, PublicIdField
from payments import states
from payments.models.ledger import LedgerAccount
from payments.money import Money


def _status_follows_from_facts() -> Q:
    """`states.payment_status`, said a second time in the database."""
    unpaid = Q(paid_at__isnull=True)
    going = unpaid & Q(canceled_at__isnull=True, expired_at__isnull=True)
    return (
        Q(status="paid", paid_at__isnull=False)
        | unpaid & Q(status="canceled", canceled_at__isnull=False)
        | unpaid & Q(status="expired", canceled_at__isnull=True, expired_at__isnull=False)
        | going & Q(status="failed", failed_at__isnull=False) & (Q(processing_at=None) | Q(failed_at__gte=F("processing_at")))
        | going & Q(status="processing", processing_at__isnull=False) & (Q(failed_at=None) | Q(failed_at__lt=F("processing_at")))
        | going & Q(status="open", failed_at=None, processing_at=None)
    )


class Payment(models.Model):
    """One intent to collect money for the product row `subject_id` of `purpose`."""

    class Via(models.TextChoices):
        CHECKOUT = "checkout"
        INTENT = "intent"

    id = PublicIdField(prefix="pay")
    purpose = models.CharField(max_length=30)
    subject_id = IdentifierField(max_length=40, blank=True, default="", db_index=True)
    destination = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="payments")
    # Money that may be spent before it is asked back goes into one account and is taken back from another, so that a
    # refund or dispute can always be booked; the product then settles between the two. Null: the destination itself.
    returns_from = models.ForeignKey(LedgerAccount, models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    via = models.CharField(max_length=8, choices=Via)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    livemode = models.BooleanField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="payments")
    organization = models.ForeignKey("accounts.Organization", models.PROTECT, null=True, blank=True, related_name="payments")
    customer_email = IdentifierField(max_length=320, blank=True, default="", db_index=True)
    customer_name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    stripe_customer = IdentifierField(max_length=255, null=True, blank=True)
    checkout_session = IdentifierField(max_length=255, null=True, blank=True, unique=True)
    payment_intent = IdentifierField(max_length=255, null=True, blank=True, unique=True)
    charge = IdentifierField(max_length=255, null=True, blank=True, unique=True)
    invoice = IdentifierField(max_length=255, null=True, blank=True, unique=True)
    period_end = models.DateTimeField(null=True, blank=True, help_text="Of an invoice: the end of the time that it buys.")
    receipt_url = models.TextField(blank=True, default="")

    idempotency_scope = IdentifierField(max_length=80, null=True, blank=True)
    idempotency_key = IdentifierField(max_length=255, null=True, blank=True)
    request_fingerprint = models.CharField(max_length=64, blank=True, default="")

    # Facts, null until seen. How they merge is in `settlement`: a rule that no order of arrival can change.
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When the sweep last asked Stripe about it.")
    processing_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)
    failure_code = models.CharField(max_length=100, blank=True, default="")
    failure_message = models.TextField(blank=True, default="")
    refunded_minor = models.BigIntegerField(default=0, help_text="Refunds posted and not reversed.")
    disputed_minor = models.BigIntegerField(default=0, help_text="Funds withdrawn by disputes and not reinstated.")
    # db_default: versions that do not know the column yet go on inserting while this one is being rolled out.
    seen_refunded_minor = models.BigIntegerField(
        default=0, db_default=0, help_text="The most that a charge showed as refunded; sweep fetches refunds that we lack."
    )
    status = models.CharField(max_length=10, default="open", choices=[(s, s) for s in states.PAYMENT_STATUSES])
    # Money that came past us and was given to a subject by staff: its transfers go through the unmatched account.
    assigned_at = models.DateTimeField(null=True, blank=True)
    assigned_to = IdentifierField(max_length=40, null=True, blank=True, help_text="The subject that staff chose.")

    class Meta:
        permissions = [("refund_payment", "Can refund payments"), ("assign_payment", "Can assign unmatched payments")]
        indexes = [
            models.Index(name="payment_unmatched", fields=["id"], condition=Q(purpose="unmatched")),
            models.Index(name="payment_of_customer", fields=["stripe_customer"], condition=Q(stripe_customer__isnull=False)),
            models.Index(name="payment_refunds_unseen", fields=["id"], condition=Q(seen_refunded_minor__gt=F("refunded_minor"))),
            models.Index(name="payment_begun_of_orgs", fields=["created_at"], condition=Q(organization__isnull=False)),
            models.Index(
                name="payment_paid_of_orgs",
                fields=["paid_at"],
                condition=Q(organization__isnull=False, paid_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(name="payment_idempotency_key_once", fields=["idempotency_scope", "idempotency_key"]),
            models.CheckConstraint(name="payment_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(name="payment_currency_lowercase", condition=Q(currency__regex="^[a-z]{3}$")),
            models.CheckConstraint(
                name="payment_refunded_within_amount", condition=Q(refunded_minor__gte=0, refunded_minor__lte=F("amount_minor"))
            ),
            models.CheckConstraint(name="payment_disputed_not_negative", condition=Q(disputed_minor__gte=0)),
            models.CheckConstraint(
                name="payment_money_only_when_paid",
                condition=Q(paid_at__isnull=False) | Q(refunded_minor=0, disputed_minor=0),
            ),
            models.CheckConstraint(
                name="payment_assigned_to_something",
                condition=Q(assigned_at=None, assigned_to=None) | Q(assigned_at__isnull=False, assigned_to__isnull=False),
            ),
            models.CheckConstraint(name="payment_status_follows_from_facts", condition=_status_follows_from_facts()),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.money.display()} {self.status}"

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def net_minor(self) -> int:
        """What of it is with us now: nothing until paid, then less what went back."""
        return self.amount_minor - self.refunded_minor - self.disputed_minor if self.paid_at else 0

    @property
    def refundable_minor(self) -> int:
        """What may still be refunded (asks the database): unsent refunds count as given, and what a dispute has withdrawn
        is not with us to be given; a dispute that is won brings it back."""
        if not self.paid_at:
            return 0
        given = self.refunds.exclude(status__in=["failed", "canceled"]).aggregate(total=models.Sum("amount_minor"))["total"]
        return max(0, self.amount_minor - (given or 0) - self.disputed_minor)


class Refund(models.Model):
    """Money given back, asked for by us or in Stripe's dashboard."""

    id = PublicIdField(prefix="refund")
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    stripe_id = IdentifierField(max_length=255, null=True, blank=True, unique=True, help_text="Null until Stripe answered.")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=40, blank=True, default="")
    note = models.CharField(max_length=500, blank=True, default="", help_text="For staff; Stripe never sees it.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(help_text="Stripe's time once known.")
    succeeded_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    failure_reason = models.CharField(max_length=200, blank=True, default="")
    status = models.CharField(max_length=9, default="pending", choices=[(s, s) for s in states.REFUND_STATUSES])
    booked = models.BooleanField(
        default=False, db_default=False, help_text="Off while it waits for the news that an earlier refund failed."
    )

    class Meta:
        indexes = [
            models.Index(name="refund_made", fields=["created_at"]),
            models.Index(name="refund_not_through", fields=["created_at"], condition=Q(status__in=["pending", "failed"])),
        ]
        constraints = [
            models.CheckConstraint(name="refund_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="refund_status_follows_from_facts",
                condition=Q(status="failed", failed_at__isnull=False)
                | Q(status="canceled", failed_at=None, canceled_at__isnull=False)
                | Q(status="succeeded", failed_at=None, canceled_at=None, succeeded_at__isnull=False)
                | Q(status="pending", failed_at=None, canceled_at=None, succeeded_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stripe_id or self.id} {Money(self.amount_minor, self.currency).display()} {self.status}"


class Dispute(models.Model):
    """A donor's or customer's bank asks for the money back."""

    id = PublicIdField(prefix="dispute")
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="disputes")
    stripe_id = IdentifierField(max_length=255, unique=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=60, blank=True, default="")
    status = models.CharField(max_length=30)
    evidence_due_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField()
    funds_withdrawn_at = models.DateTimeField(null=True, blank=True)
    funds_reinstated_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(name="dispute_opened", fields=["opened_at"])]
        constraints = [models.CheckConstraint(name="dispute_amount_positive", condition=Q(amount_minor__gt=0))]

    def __str__(self) -> str:
        return f"{self.stripe_id} {Money(self.amount_minor, self.currency).display()} {self.status}"

    @property
    def holds_funds(self) -> bool:
        return self.funds_withdrawn_at is not None and self.funds_reinstated_at is None
