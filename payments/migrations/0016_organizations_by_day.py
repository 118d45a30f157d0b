"""Payments of organizations by the time they were begun and paid: sums over all organizations read a window of days. Gifts,
which have no organization, pay nothing for it."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("payments", "0015_balances_under_locks")]

    operations = [
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(name="payment_begun_of_orgs", fields=["created_at"], condition=Q(organization__isnull=False)),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                name="payment_paid_of_orgs",
                fields=["paid_at"],
                condition=Q(organization__isnull=False, paid_at__isnull=False),
            ),
        ),
    ]
