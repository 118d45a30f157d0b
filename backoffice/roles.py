"""Who of the staff may do what: the roles that every installation has, as one table.

A role is a Django group. Staff are given roles by a superuser, who alone hands out power; whoever has none sees an
empty back office. A change of this table needs a migration that calls `grant` again.
"""

from __future__ import annotations

from typing import Any

SEE_PEOPLE = ("accounts.view_user", "accounts.view_organization", "accounts.view_membership", "accounts.view_invitation")
SEE_GIFTS = (
    "campaigns.view_campaign",
    "donations.view_donation",
    "donations.view_donor",
    "donations.view_supporter",
    "donations.view_receipt",
)
SEE_PAYMENTS = ("payments.view_payment", "payments.view_refund", "payments.view_dispute")
SEE_HOURS = (
    "pricing.view_pricingplan",
    "pricing.view_planprice",
    "pricing.view_product",
    "pricing.view_purchasetransaction",
    "pricing.view_subscription",
    "pricing.view_hourlot",
    "pricing.view_hourconsumption",
    "pricing.view_student",
)
SEE_WALLETS = (
    "wallets.view_wallet",
    "wallets.view_topup",
    "wallets.view_walletspend",
    "wallets.view_spendreversal",
    "wallets.view_wallethold",
    "wallets.view_walletadjustment",
    "wallets.view_paymentmethod",
    "wallets.view_notice",
)
# Stripe's own objects, as payments/mirror.py keeps them.
SEE_STRIPE = (
    "djstripe.view_charge",
    "djstripe.view_customer",
    "djstripe.view_dispute",
    "djstripe.view_paymentintent",
    "djstripe.view_paymentmethod",
    "djstripe.view_refund",
    "djstripe.view_session",
)
# What was pulled of Stripe's own books, and what watches over payments.
SEE_STRIPES_BOOKS = (
    "payments.view_balancetransaction",
    "payments.view_payout",
    "payments.view_reconciliation",
    "payments.view_alert",
)
SEE_BOOKS = (
    "djstripe.view_balancetransaction",
    "djstripe.view_payout",
    "payments.view_transfer",
    "payments.view_ledgeraccount",
    "payments.view_stripeevent",
    "payments.view_stripecall",
    "accounts.view_auditentry",
)

ROLES: dict[str, tuple[str, ...]] = {
    # Answers people: sees what they gave, paid and used, sends a receipt once more. Moves no money.
    "support": (
        *SEE_PEOPLE,
        *SEE_GIFTS,
        *SEE_PAYMENTS,
        *SEE_HOURS,
        *SEE_WALLETS,
        *SEE_STRIPE,
        *SEE_STRIPES_BOOKS,
        "donations.resend_receipt",
    ),
    # Answers for the money: refunds, assigns, replays, exports, prices plans, adjusts hours and (two of them) wallets, reads
    # the books and who did what.
    "finance": (
        *SEE_PEOPLE,
        *SEE_GIFTS,
        *SEE_PAYMENTS,
        *SEE_HOURS,
        *SEE_WALLETS,
        *SEE_STRIPE,
        *SEE_STRIPES_BOOKS,
        *SEE_BOOKS,
        "donations.resend_receipt",
        "payments.refund_payment",
        "payments.assign_payment",
        "payments.replay_event",
        "pricing.adjust_hours",
        "pricing.consume_hours",
        "wallets.block_wallet",
        "wallets.reverse_walletspend",
        "wallets.propose_walletadjustment",
        "wallets.approve_walletadjustment",  # never of what they proposed themselves (wallets/adjusting.py)
        *(f"pricing.{act}_{model}" for model in ("pricingplan", "planprice", "product") for act in ("add", "change", "delete")),
        "backoffice.view_export",
        "backoffice.export",
    ),
    # Runs campaigns and moderates what donors wrote on them. No act on money.
    "campaign manager": (
        *SEE_GIFTS,
        "campaigns.add_campaign",
        "campaigns.change_campaign",
        "campaigns.delete_campaign",
        "donations.change_donation",
    ),
}


def grant(apps: Any, *, database: str) -> None:
    """Make the groups, and give each the permissions of the table that exist by now."""
    group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    known = {
        f"{app}.{codename}": pk
        for app, codename, pk in permission_model.objects.using(database).values_list("content_type__app_label", "codename", "pk")
    }
    for name, permissions in ROLES.items():
        group, _ = group_model.objects.using(database).get_or_create(name=name)
        group.permissions.add(*(known[permission] for permission in permissions if permission in known))
