"""Alerts, and what a charge showed as refunded, so that the tables say which refunds must still be fetched."""

from django.db import migrations, models

import conventions.public_ids


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_stripes_own_books")]

    operations = [
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("dead_event", "an event that will not be tried again"),
                            ("silence", "payments start, but no webhook comes"),
                        ],
                        max_length=20,
                    ),
                ),
                ("subject", conventions.public_ids.IdentifierField(blank=True, max_length=255)),
                ("text", models.TextField(help_text="What happened, in one sentence.")),
                ("raised_at", models.DateTimeField(auto_now_add=True)),
                (
                    "claimed_by",
                    conventions.public_ids.IdentifierField(
                        blank=True, default="", help_text="The run that is mailing it.", max_length=40
                    ),
                ),
                ("claimed_at", models.DateTimeField(null=True)),
                ("told_at", models.DateTimeField(help_text="When staff were told; null while no mail went.", null=True)),
                ("last_error", models.CharField(blank=True, default="", max_length=500)),
                ("resolved_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("told_at", None)), fields=["raised_at"], name="alert_untold"),
                    models.Index(condition=models.Q(("resolved_at", None)), fields=["kind"], name="alert_open"),
                ],
                "constraints": [models.UniqueConstraint(fields=("kind", "subject"), name="alert_raised_once")],
            },
        ),
        migrations.AddField(
            model_name="payment",
            name="seen_refunded_minor",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="The most that a charge showed as refunded; sweep fetches refunds that we lack.",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("seen_refunded_minor__gt", models.F("refunded_minor"))),
                fields=["id"],
                name="payment_refunds_unseen",
            ),
        ),
        migrations.AddIndex(
            model_name="stripeevent",
            index=models.Index(condition=models.Q(("state", "dead")), fields=["received_at"], name="stripeevent_dead"),
        ),
    ]
