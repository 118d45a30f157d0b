"""Top-ups and spends can be exported."""

from django.db import migrations, models
from django.db.models import Q

KINDS = ["donations", "transfers", "top_ups", "spends"]
LABELS = ["Donations", "Transfers", "Top-ups of wallets", "Spends of wallets"]


class Migration(migrations.Migration):
    dependencies = [("backoffice", "0004_roles_of_wallets")]

    operations = [
        migrations.RemoveConstraint("export", "export_kind_known"),
        migrations.AlterField("export", "kind", models.CharField(choices=list(zip(KINDS, LABELS, strict=True)), max_length=9)),
        migrations.AddConstraint("export", models.CheckConstraint(condition=Q(kind__in=KINDS), name="export_kind_known")),
    ]
