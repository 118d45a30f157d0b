"""How the machinery runs: last runs, a tally of calls to Stripe, how far the mirror got."""

import conventions.public_ids
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0005_staff_acts"),
    ]

    operations = [
        migrations.CreateModel(
            name="LastRun",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("finished_at", models.DateTimeField()),
                ("found", models.PositiveIntegerField(default=0, help_text="How much was wrong.")),
            ],
        ),
        migrations.CreateModel(
            name="MirrorCursor",
            fields=[
                ("name", models.CharField(max_length=60, primary_key=True, serialize=False)),
                ("received_at", models.DateTimeField(help_text="Of the last event whose object was mirrored.", null=True)),
                (
                    "position",
                    conventions.public_ids.IdentifierField(
                        blank=True, default="", help_text="The last id that was mirrored.", max_length=255
                    ),
                ),
                ("is_done", models.BooleanField(default=False, help_text="The list was read to its end.")),
                ("leased_until", models.DateTimeField(help_text="Another process mirrors until then.", null=True)),
            ],
        ),
        migrations.CreateModel(
            name="MirrorGap",
            fields=[
                ("object_id", conventions.public_ids.IdentifierField(max_length=255, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=40)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("last_error", models.CharField(blank=True, default="", max_length=500)),
                ("next_attempt_at", models.DateTimeField(db_index=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="StripeCallTally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("operation", models.CharField(help_text="Method and path, ids left out.", max_length=80)),
                (
                    "outcome",
                    models.CharField(help_text="ok, declined, refused, busy, failed, timeout or unreachable.", max_length=12),
                ),
                ("calls", models.BigIntegerField(default=0)),
                ("total_ms", models.BigIntegerField(default=0)),
                ("le_100", models.BigIntegerField(default=0)),
                ("le_250", models.BigIntegerField(default=0)),
                ("le_500", models.BigIntegerField(default=0)),
                ("le_1000", models.BigIntegerField(default=0)),
                ("le_2500", models.BigIntegerField(default=0)),
                ("le_5000", models.BigIntegerField(default=0)),
                ("le_12000", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("operation", "outcome"), name="stripecalltally_once")],
            },
        ),
    ]
