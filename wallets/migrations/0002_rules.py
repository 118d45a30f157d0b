"""What must never break, said in the database: a row's organization and currency are its wallet's, what happened to money
is written once, and what was decided, ended or detached stays so."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import migrations
from django.db.models import CheckConstraint, F, Q

from conventions.triggers import EngineSQL, refuse_changes, refuse_when


def belongs(table: str, column: str, *, to: str, sharing: Sequence[str], act: str = "INSERT") -> EngineSQL:
    """Where `column` of `table` names a row of `to`, both have the same values in the columns that they share."""
    same = " AND ".join(f"whose.{shared} = NEW.{shared}" for shared in sharing)
    missing = f"NOT EXISTS (SELECT 1 FROM {to} AS whose WHERE whose.id = NEW.{column} AND {same})"  # noqa: S608 our own names
    name = f"other_{column.removesuffix('_id')}" + ("" if act == "INSERT" else "_later")
    return refuse_when(table, name, act=act, when=f"NEW.{column} IS NOT NULL AND {missing}")


def stays(table: str, columns: Sequence[str]) -> EngineSQL:
    """These columns, never null, keep their values. Unlike `refuse_changes` it lets a statement pass that writes them as
    they are, as saving a whole row does."""
    moved = " OR ".join(f"NEW.{column} <> OLD.{column}" for column in columns)
    return refuse_when(table, "move", act=f"UPDATE OF {', '.join(columns)}", when=moved)


WALLET = ["organization_id", "currency"]
MONEY = [*WALLET, "id", "wallet_id", "amount_minor"]

TOP_UP_WHOLE = CheckConstraint(
    name="wallet_top_up_whole",
    condition=Q(top_up_below_minor=None, top_up_amount_minor=None, top_up_daily_limit_minor=None)
    | Q(top_up_below_minor__isnull=False, top_up_amount_minor__isnull=False, top_up_daily_limit_minor__isnull=False)
    & Q(top_up_below_minor__gt=0, top_up_amount_minor__gt=0, top_up_daily_limit_minor__gte=F("top_up_amount_minor")),
)


class Migration(migrations.Migration):
    dependencies = [("wallets", "0001_initial"), ("payments", "0013_returns_from")]

    operations = [
        # It passed where some of its columns were null.
        migrations.RemoveConstraint("wallet", "wallet_top_up_whole"),
        migrations.AddConstraint("wallet", TOP_UP_WHOLE),
        refuse_changes("wallets_wallet", columns=["id"]),
        stays("wallets_wallet", WALLET),
        # Money in.
        refuse_changes("wallets_topup", columns=[*MONEY, "payment_id"]),
        belongs("wallets_topup", "wallet_id", to="wallets_wallet", sharing=WALLET),
        belongs("wallets_topup", "payment_id", to="payments_payment", sharing=[*WALLET, "amount_minor"]),
        # Money out, and back.
        refuse_changes("wallets_walletspend", columns=[*MONEY, "hold_id", "idempotency_key"]),
        belongs("wallets_walletspend", "wallet_id", to="wallets_wallet", sharing=WALLET),
        belongs("wallets_walletspend", "hold_id", to="wallets_wallethold", sharing=[*WALLET, "wallet_id"]),
        refuse_when(
            "wallets_walletspend",
            "fewer_reversed",
            act="UPDATE OF reversed_minor",
            when="NEW.reversed_minor < OLD.reversed_minor",
        ),
        refuse_changes("wallets_spendreversal", columns=[*WALLET, "id", "spend_id", "amount_minor", "idempotency_key"]),
        belongs("wallets_spendreversal", "spend_id", to="wallets_walletspend", sharing=WALLET),
        refuse_changes("wallets_wallethold", columns=[*MONEY, "idempotency_key"]),
        belongs("wallets_wallethold", "wallet_id", to="wallets_wallet", sharing=WALLET),
        refuse_when(
            "wallets_wallethold",
            "second_end",
            act="UPDATE OF state, captured_minor, ended_at",
            when="OLD.state <> 'authorized'",
        ),
        # Corrections.
        refuse_changes("wallets_walletadjustment", columns=["id"]),
        stays("wallets_walletadjustment", [*WALLET, "wallet_id", "amount_minor", "reason", "proposed_by_id"]),
        belongs("wallets_walletadjustment", "wallet_id", to="wallets_wallet", sharing=WALLET),
        refuse_when("wallets_walletadjustment", "second_decision", act="UPDATE", when="OLD.state <> 'proposed'"),
        # A method that was detached at Stripe can never be attached again, so a late event about it changes nothing.
        stays("wallets_paymentmethod", ["organization_id", "stripe_id"]),
        refuse_when(
            "wallets_paymentmethod",
            "coming_back",
            act="UPDATE OF detached_at",
            when="OLD.detached_at IS NOT NULL AND NEW.detached_at IS NULL",
        ),
        # What organizations are told.
        belongs("wallets_notice", "wallet_id", to="wallets_wallet", sharing=["organization_id"]),
        belongs(
            "wallets_notice",
            "wallet_id",
            to="wallets_wallet",
            sharing=["organization_id"],
            act="UPDATE OF organization_id, wallet_id",
        ),
        belongs("wallets_noticedelivery", "notice_id", to="wallets_notice", sharing=["organization_id"]),
    ]
