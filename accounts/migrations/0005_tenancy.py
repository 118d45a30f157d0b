"""Row-level security: people find their own memberships and organizations, and all of the organization they act for. They
write only in the latter, or anybody could make themselves a member.

The policy of memberships must not ask organizations, since that of organizations asks memberships. Nobody is in a new
organization yet, so whoever creates one, or lets somebody in by an invitation, does it as the system.
"""

from django.db import migrations

from conventions.triggers import USER, isolate_tenants

OWN = f"current_setting('{USER}', true)"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_invitations")]

    operations = [
        isolate_tenants("accounts_membership", or_read_where=f"user_id = {OWN}"),
        isolate_tenants(
            "accounts_organization",
            column="id",
            or_read_where=f"id IN (SELECT organization_id FROM accounts_membership WHERE user_id = {OWN})",  # noqa: S608  a constant
        ),
        isolate_tenants("accounts_invitation"),
    ]
