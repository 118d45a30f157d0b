"""Row-level security: an organization finds its own wallets, what moves in them and what it is told; and in the books its
own accounts, and the transfers between accounts of which none is somebody else's.

Accounts name whose they are: `wallet:<wallet>:eur` and `held:<wallet>:eur` a wallet, `receivable:<organization>:eur` an
organization. All others, those of campaigns among them, are nobody's secret. The function is PL/pgSQL so that planning a
transfer, of which every gift posts one, does not plan its query as well.
"""

from django.db import migrations

from conventions.triggers import ORGANIZATION, EngineSQL, isolate_tenants

OWNED = (
    "wallet",
    "topup",
    "walletspend",
    "spendreversal",
    "wallethold",
    "walletadjustment",
    "paymentmethod",
    "notice",
    "noticedelivery",
)
IS_SEEN = f"""
    CREATE FUNCTION wallets_account_is_seen(code text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
    BEGIN RETURN split_part(code, ':', 1) NOT IN ('wallet', 'held', 'receivable')
        OR split_part(code, ':', 2) = current_setting('{ORGANIZATION}', true)
        OR EXISTS (SELECT 1 FROM wallets_wallet WHERE wallets_wallet.id = split_part(code, ':', 2)); END $$;
"""  # noqa: S608  a constant
IS_SEEN_BACK = "DROP FUNCTION wallets_account_is_seen(text);"
BOTH_ARE_SEEN = "wallets_account_is_seen(debit_id) AND wallets_account_is_seen(credit_id)"


class Migration(migrations.Migration):
    dependencies = [("wallets", "0002_rules"), ("payments", "0014_tenancy")]

    operations = [
        *(isolate_tenants(f"wallets_{name}") for name in OWNED),
        EngineSQL(postgresql=(IS_SEEN, IS_SEEN_BACK), sqlite=("", "")),
        isolate_tenants("payments_ledgeraccount", column=None, or_where="wallets_account_is_seen(code)"),
        isolate_tenants("payments_transfer", column=None, or_where=BOTH_ARE_SEEN),
    ]
