"""Stripe's own books beside ours: balance transactions (append-only but for their payout), payouts, runs of reconcile."""

import conventions.public_ids
import django.db.models.expressions
from django.db import migrations, models

from conventions.triggers import EngineSQL, refuse_changes

TABLE = "payments_balancetransaction"
PULLED = [
    "id", "type", "category", "source", "amount_minor", "fee_minor", "net_minor", "currency", "fee_details",
    "exchange_rate", "source_amount_minor", "source_currency", "created_at", "available_at", "pulled_at",
]  # fmt: skip

# The payout becomes known later, once, and is never another.
POSTGRESQL = f"""
    CREATE TRIGGER {TABLE}_payout_once BEFORE UPDATE OF payout ON {TABLE} FOR EACH ROW
    WHEN (OLD.payout IS NOT NULL AND NEW.payout IS DISTINCT FROM OLD.payout) EXECUTE FUNCTION {TABLE}_refuse_changes();
"""
SQLITE = f"""
CREATE TRIGGER {TABLE}_payout_once BEFORE UPDATE OF payout ON {TABLE}
WHEN OLD.payout IS NOT NULL AND NEW.payout IS NOT OLD.payout
BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END
"""


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0002_rules'),
    ]

    operations = [
        migrations.CreateModel(
            name='BalanceTransaction',
            fields=[
                ('id', conventions.public_ids.IdentifierField(max_length=255, primary_key=True, serialize=False)),
                ('type', models.CharField(max_length=60)),
                ('category', models.CharField(help_text="Stripe's reporting_category.", max_length=60)),
                ('source', conventions.public_ids.IdentifierField(db_index=True, help_text='The charge, refund, dispute or payout.', max_length=255, null=True)),
                ('amount_minor', models.BigIntegerField()),
                ('fee_minor', models.BigIntegerField()),
                ('net_minor', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('fee_details', models.JSONField(default=list)),
                ('exchange_rate', models.CharField(help_text="Stripe's figure, as text: never calculated with.", max_length=40, null=True)),
                ('source_amount_minor', models.BigIntegerField(null=True)),
                ('source_currency', models.CharField(max_length=3, null=True)),
                ('created_at', models.DateTimeField(db_index=True)),
                ('available_at', models.DateTimeField()),
                ('payout', conventions.public_ids.IdentifierField(db_index=True, help_text='The payout that paid it out, once known.', max_length=255, null=True)),
                ('pulled_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('net_minor', django.db.models.expressions.CombinedExpression(models.F('amount_minor'), '-', models.F('fee_minor')))), name='balancetransaction_net_is_amount_less_fee'), models.CheckConstraint(condition=models.Q(('currency__regex', '^[a-z]{3}$')), name='balancetransaction_currency_lowercase'), models.CheckConstraint(condition=models.Q(models.Q(('source_amount_minor', None), ('source_currency', None)), models.Q(('source_amount_minor__isnull', False), ('source_currency__isnull', False), ('source_currency__regex', '^[a-z]{3}$'), models.Q(('source_currency', models.F('currency')), _negated=True)), _connector='OR'), name='balancetransaction_conversion_whole')],
            },
        ),
        migrations.CreateModel(
            name='Payout',
            fields=[
                ('id', conventions.public_ids.IdentifierField(max_length=255, primary_key=True, serialize=False)),
                ('amount_minor', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('status', models.CharField(help_text='pending, in_transit, paid, failed or canceled, as Stripe says.', max_length=30)),
                ('automatic', models.BooleanField()),
                ('failure_code', models.CharField(blank=True, default='', max_length=100)),
                ('created_at', models.DateTimeField(db_index=True)),
                ('arrival_at', models.DateTimeField()),
                ('itemized_at', models.DateTimeField(help_text='When the balance transactions that it paid out became known.', null=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('currency__regex', '^[a-z]{3}$')), name='payout_currency_lowercase')],
            },
        ),
        migrations.CreateModel(
            name='Reconciliation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asked', models.CharField(help_text='The window as it was asked for; the same words go on with the same run.', max_length=120)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('step', models.CharField(blank=True, default='', help_text='The list that is being read.', max_length=40)),
                ('cursor', conventions.public_ids.IdentifierField(help_text='The last object of that list that is done.', max_length=255, null=True)),
                ('found', models.BigIntegerField(default=0)),
                ('mended', models.BigIntegerField(default=0)),
                ('started_at', models.DateTimeField(auto_now_add=True)),
                ('touched_at', models.DateTimeField(auto_now=True)),
                ('finished_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('finished_at', None)), fields=['asked'], name='reconciliation_unfinished')],
            },
        ),
        refuse_changes(TABLE, columns=PULLED),
        EngineSQL(
            postgresql=(POSTGRESQL, f"DROP TRIGGER {TABLE}_payout_once ON {TABLE};"),
            sqlite=(SQLITE, f"DROP TRIGGER {TABLE}_payout_once"),
        ),
    ]
