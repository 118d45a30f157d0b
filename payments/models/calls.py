"""The outbox: each call to Stripe that creates something, committed with its parameters before it is sent."""

from __future__ import annotations

from django.db import models

from conventions.public_ids import IdentifierField


class StripeCall(models.Model):
    """`key` is the idempotency key, `<row id>:<call>:<attempt>`, so a call can be sent again and made only once.

    Stripe keeps a key for at least 24 hours (https://docs.stripe.com/api/idempotent_requests); `checkout.send`
    knows what may be done after that.
    """

    key = IdentifierField(primary_key=True, max_length=255)
    operation = models.CharField(max_length=40)
    subject_id = IdentifierField(max_length=40, db_index=True, help_text="The payment or refund it is made for.")
    attempt = models.PositiveSmallIntegerField(default=1)
    params = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    answered_at = models.DateTimeField(null=True)
    answer = models.JSONField(null=True, help_text="What we need of the answer: id, url.")
    error_status = models.PositiveSmallIntegerField(null=True, help_text="Stripe's status of a stored error.")
    error = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(name="stripecall_attempt_once", fields=["subject_id", "operation", "attempt"])]

    def __str__(self) -> str:
        return str(self.key)
