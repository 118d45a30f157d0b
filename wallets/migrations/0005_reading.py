"""What is read: the statistics of payments as a view, and on PostgreSQL indexes that keep a long statement's pages cheap."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from conventions.triggers import EngineSQL

PAYMENTS, REFUNDS = "payments_payment", "payments_refund"
TOP_UPS = "p.purpose = 'wallet' AND p.organization_id IS NOT NULL"


def statistics(day: str) -> str:
    """`day` is the SQL for the day of a time, in UTC."""
    # A refund's money has moved once it is booked, unless it came back; when that was told does not matter to its day.
    return f"""
        SELECT organization_id, currency, day,
               SUM(attempts) AS attempts, SUM(paid) AS paid, SUM(failed) AS failed,
               CASE WHEN SUM(attempts) > 0 THEN (SUM(paid) * 1000 + SUM(attempts) / 2) / SUM(attempts) END
                   AS conversion_per_mille,
               CAST(SUM(volume_minor) AS BIGINT) AS volume_minor, CAST(SUM(refunded_minor) AS BIGINT) AS refunded_minor
          FROM (
            SELECT p.organization_id, p.currency, {day.format("p.created_at")} AS day, 1 AS attempts,
                   CASE WHEN p.paid_at IS NULL THEN 0 ELSE 1 END AS paid,
                   CASE WHEN p.status = 'failed' THEN 1 ELSE 0 END AS failed,
                   0 AS volume_minor, 0 AS refunded_minor
              FROM {PAYMENTS} p WHERE {TOP_UPS}
            UNION ALL
            SELECT p.organization_id, p.currency, {day.format("p.paid_at")}, 0, 0, 0, p.amount_minor, 0
              FROM {PAYMENTS} p WHERE {TOP_UPS} AND p.paid_at IS NOT NULL
            UNION ALL
            SELECT p.organization_id, p.currency, {day.format("r.created_at")}, 0, 0, 0, 0, r.amount_minor
              FROM {REFUNDS} r JOIN {PAYMENTS} p ON p.id = r.payment_id
             WHERE {TOP_UPS} AND p.paid_at IS NOT NULL AND r.booked AND r.status IN ('pending', 'succeeded')
          ) happened
         GROUP BY organization_id, currency, day
    """  # noqa: S608 our own names


# Whoever reads the view sees what they would see of the tables: row-level security is that of the reader, not the owner.
VIEW = f"""
    CREATE VIEW payment_statistics WITH (security_invoker = true) AS
    {statistics("({} AT TIME ZONE 'UTC')::date")};
"""
VIEW_ON_SQLITE = f"CREATE VIEW payment_statistics AS {statistics('date({})')}"
VIEW_BACK = "DROP VIEW payment_statistics;"

# Only of wallets, whose codes sort behind those of all other accounts, so that a gift's transfers pay nothing for it.
INDEXES = "".join(
    f"""
    CREATE INDEX wallets_statement_{side} ON payments_transfer ({side}_id, id) INCLUDE (amount_minor)
     WHERE {side}_id >= 'wallet:';
    """
    for side in ("debit", "credit")
)
INDEXES_BACK = "DROP INDEX wallets_statement_debit; DROP INDEX wallets_statement_credit;"


class Migration(migrations.Migration):
    dependencies = [("wallets", "0004_telegram"), ("payments", "0014_tenancy"), ("accounts", "0005_tenancy")]

    operations = [
        migrations.CreateModel(
            name="PaymentStatistic",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id", "currency", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
                ("currency", models.CharField(max_length=3)),
                ("day", models.DateField()),
                ("attempts", models.BigIntegerField()),
                ("paid", models.BigIntegerField(help_text="Of the attempts.")),
                ("failed", models.BigIntegerField(help_text="Of the attempts; some may still be paid.")),
                (
                    "conversion_per_mille",
                    models.BigIntegerField(help_text="Paid of the attempts; null where there is none.", null=True),
                ),
                ("volume_minor", models.BigIntegerField(help_text="Paid on this day.")),
                ("refunded_minor", models.BigIntegerField(help_text="Given back on this day, whenever it was paid.")),
            ],
            options={"db_table": "payment_statistics", "ordering": ["-day", "currency"], "managed": False},
        ),
        EngineSQL(postgresql=(VIEW, VIEW_BACK), sqlite=(VIEW_ON_SQLITE, VIEW_BACK)),
        EngineSQL(postgresql=(INDEXES, INDEXES_BACK), sqlite=("", "")),
    ]
