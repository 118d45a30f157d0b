"""Background tasks: nudges that do at once what the tables say must be done. `sweep` heals those that get lost."""

from __future__ import annotations

from django_tasks import task


@task()
def fetch_refunds(payment_id: str) -> None:
    """Fetch all refunds of a payment and settle them."""
    # Imported here because settlement enqueues this task.
    from payments import stripe_gateway
    from payments.models import Payment
    from payments.settlement import settle_objects

    payment = Payment.objects.get(pk=payment_id)
    if payment.payment_intent:
        settle_objects(stripe_gateway.list_refunds(payment_intent=payment.payment_intent))
