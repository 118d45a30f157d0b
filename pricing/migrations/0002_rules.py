"""What must never break, said in the database: what happened to hours is written once."""

from django.db import migrations

from conventions.triggers import refuse_changes


class Migration(migrations.Migration):
    dependencies = [("pricing", "0001_initial")]

    operations = [
        refuse_changes("pricing_hourmovement"),
        refuse_changes("pricing_hourconsumption", columns=["id", "student_id", "session_reference", "hours_hundredths"]),
        refuse_changes("pricing_hourlot", columns=["id", "granted_hundredths", "purchase_id"]),
    ]
