"""Support sees balance transactions, payouts, alerts and runs of reconcile, as finance does."""

from typing import Any

from django.db import migrations

from backoffice.roles import grant


def make(apps: Any, schema_editor: Any) -> None:
    """Their permissions were made with the roles (0002)."""
    grant(apps, database=schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [("backoffice", "0005_exports_of_wallets")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
