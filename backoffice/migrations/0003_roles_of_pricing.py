"""What the roles may do with plans and hours."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

from backoffice.roles import grant


def make(apps: Any, schema_editor: Any) -> None:
    """Django makes permissions after all migrations have run: too late for a group that is to have them."""
    database = schema_editor.connection.alias
    config = apps.get_app_config("pricing")
    config.models_module = True  # else create_permissions takes it for an app without models
    create_permissions(config, verbosity=0, using=database, apps=apps)
    config.models_module = None
    grant(apps, database=database)


class Migration(migrations.Migration):
    dependencies = [("backoffice", "0002_roles"), ("pricing", "0004_students")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
