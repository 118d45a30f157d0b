"""What a subscriber agreed to, a change of plan that waits for its month, and owed hours that staff have settled."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pricing", "0004_students")]

    operations = [
        migrations.AddField(
            model_name="hourlot",
            name="settled_hundredths",
            field=models.PositiveIntegerField(
                blank=True, help_text="Owed once, and settled by staff: not asked for again.", null=True
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="amount_minor",
            field=models.BigIntegerField(blank=True, help_text="A month, as Stripe bills it.", null=True),
        ),
        migrations.AddField(
            model_name="subscription",
            name="hours_hundredths",
            field=models.PositiveIntegerField(blank=True, help_text="A month.", null=True),
        ),
        migrations.AddField(
            model_name="subscription",
            name="paid_plan",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="pricing.pricingplan",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="changes_at",
            field=models.DateTimeField(blank=True, help_text="When the paid month of the plan before ends.", null=True),
        ),
    ]
