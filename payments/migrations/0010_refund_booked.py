"""Whether a refund is booked, once it stands in the books; those that Stripe has made until now all do."""

from typing import Any

from django.db import migrations, models


def mark(apps: Any, schema_editor: Any) -> None:
    refunds = apps.get_model("payments", "Refund").objects.using(schema_editor.connection.alias)
    refunds.filter(stripe_id__isnull=False).update(booked=True)


class Migration(migrations.Migration):
    dependencies = [("payments", "0009_unmatched_payments")]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="booked",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Off while it waits for the news that an earlier refund failed."
            ),
        ),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
