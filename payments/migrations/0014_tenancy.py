"""Row-level security: a payment that belongs to an organization is found by that organization alone, and so are its refunds
and disputes.

Gifts and plans have no organization: their payments are scoped by their products' QuerySets. What else hangs on a payment
names no tenant. Its transfers lie in accounts, and whoever gives a tenant an account of its own guards that account
(wallets/migrations). Events, calls to Stripe and balance transactions are the system's own notes: no route hands them out,
and each delivery writes them, so that they carry no policy.
"""

from django.db import migrations

from conventions.triggers import isolate_tenants

# The subquery itself sees only the payments that may be seen.
OF_SEEN_PAYMENTS = "EXISTS (SELECT 1 FROM payments_payment WHERE payments_payment.id = payment_id)"


class Migration(migrations.Migration):
    dependencies = [("payments", "0013_returns_from"), ("accounts", "0005_tenancy")]

    operations = [
        isolate_tenants("payments_payment", or_where="organization_id IS NULL"),
        isolate_tenants("payments_refund", column=None, or_where=OF_SEEN_PAYMENTS),
        isolate_tenants("payments_dispute", column=None, or_where=OF_SEEN_PAYMENTS),
    ]
