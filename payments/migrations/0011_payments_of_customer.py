"""A payment is found by the customer that Stripe made of its payer: whoever was erased is looked for by it."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("payments", "0010_refund_booked")]

    operations = [
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                name="payment_of_customer", fields=["stripe_customer"], condition=Q(stripe_customer__isnull=False)
            ),
        ),
    ]
