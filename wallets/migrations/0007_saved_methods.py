import django.db.models.deletion
from django.db import migrations, models

import conventions.public_ids
from conventions.triggers import isolate_tenants


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_tenancy"), ("wallets", "0006_what_waits")]

    operations = [
        migrations.CreateModel(
            name="SavedMethods",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="saved_methods",
                        serialize=False,
                        to="accounts.organization",
                    ),
                ),
                (
                    "chosen",
                    conventions.public_ids.IdentifierField(
                        blank=True,
                        default="",
                        help_text="Stripe's id of what was last made the default.",
                        max_length=255,
                    ),
                ),
                ("chosen_at", models.DateTimeField(blank=True, help_text="Stripe's time of that.", null=True)),
                (
                    "asked_at",
                    models.DateTimeField(blank=True, help_text="When Stripe was last asked for all of them.", null=True),
                ),
            ],
            options={"verbose_name_plural": "saved methods"},
        ),
        migrations.AddConstraint(
            model_name="savedmethods",
            constraint=models.CheckConstraint(
                condition=models.Q(("chosen", ""), ("chosen_at", None))
                | models.Q(models.Q(("chosen", ""), _negated=True), ("chosen_at__isnull", False)),
                name="savedmethods_chosen_with_a_time",
            ),
        ),
        isolate_tenants("wallets_savedmethods"),
    ]
