"""What waits for staff is found by an index: the front page of the back office asks every minute."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("wallets", "0005_reading")]

    operations = [
        migrations.AddIndex(
            model_name="wallet",
            index=models.Index(name="wallet_owing", fields=["owed_since"], condition=Q(owed_since__isnull=False)),
        ),
        migrations.AddIndex(
            model_name="wallet",
            index=models.Index(name="wallet_paused", fields=["top_up_paused_at"], condition=Q(top_up_paused_at__isnull=False)),
        ),
        migrations.AddIndex(
            model_name="walletadjustment",
            index=models.Index(name="walletadjustment_waiting", fields=["created_at"], condition=Q(state="proposed")),
        ),
    ]
