"""The history of what staff did, which the database itself refuses to change."""

import django.core.serializers.json
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import conventions.public_ids
from conventions.triggers import refuse_changes


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", conventions.public_ids.PublicIdField(prefix="audit", serialize=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("action", models.CharField(help_text="Such as payment.assigned or campaign.changed.", max_length=60)),
                ("target_type", models.CharField(help_text="The model acted on: payments.payment.", max_length=60)),
                ("target_id", conventions.public_ids.IdentifierField(max_length=255)),
                ("before", models.JSONField(default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ("after", models.JSONField(default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="acts",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "indexes": [
                    models.Index(fields=["target_id", "-id"], name="auditentry_of_target"),
                    models.Index(fields=["action", "-id"], name="auditentry_by_action"),
                    models.Index(fields=["at"], name="auditentry_at"),
                ],
            },
        ),
        refuse_changes("accounts_auditentry"),
    ]
