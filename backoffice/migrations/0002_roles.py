"""The roles of the staff, and the permissions that they name."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

from backoffice.roles import ROLES, grant

APPS = ("accounts", "backoffice", "campaigns", "djstripe", "donations", "payments")


def make(apps: Any, schema_editor: Any) -> None:
    """Django makes permissions after all migrations have run: too late for a group that is to have them."""
    database = schema_editor.connection.alias
    for label in APPS:
        config = apps.get_app_config(label)
        config.models_module = True  # else create_permissions takes it for an app without models
        create_permissions(config, verbosity=0, using=database, apps=apps)
        config.models_module = None
    grant(apps, database=database)


def unmake(apps: Any, schema_editor: Any) -> None:
    apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias).filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("backoffice", "0001_initial"),
        ("accounts", "0002_audit_entry"),
        ("campaigns", "0001_initial"),
        ("djstripe", "__first__"),
        ("donations", "0002_staff_acts"),
        ("payments", "0006_running"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make, unmake)]
