"""Balance transactions: what each charge, refund, dispute and payout does to the account, in integers; and their sum."""

from typing import Any

from sandbox import shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.clock import DAY
from sandbox.listing import listed
from sandbox.money import converted, fee
from sandbox.state import Json

AVAILABLE_AFTER_DAYS = 2


def post(
    box: Box,
    *,
    kind: str,
    category: str,
    amount: int,
    currency: str,
    source: str,
    description: str | None,
    charged: bool = False,
    fixed_fee: int = 0,
    fee_description: str = "Stripe processing fees",
    at_once: bool = False,
) -> Json:
    """Money moves at midnight UTC two days later, except where a test card asks for at once. Where the account does not
    settle in the currency, it is converted first, and the fee of what is `charged` is that of the converted amount."""
    now, rate = box.clock.now(), None
    settles = box.settings.settlement_currencies
    if settles and currency not in settles:
        amount, rate = converted(amount, currency, settles[0])
        currency = settles[0]
    cost = fee(amount) if charged else fixed_fee
    available_on = now if at_once else (now // DAY + AVAILABLE_AFTER_DAYS) * DAY
    details = {"amount": cost, "application": None, "currency": currency, "description": fee_description,
               "type": "stripe_fee"}  # fmt: skip
    if not at_once and available_on not in box.settlement_days:
        box.settlement_days.add(available_on)
        box.later("make_available", str(available_on), after_s=available_on - now)
    return box.state.add(
        shapes.balance_transaction(
            box.ids.new("txn_3"), now,
            amount=amount, available_on=available_on, currency=currency, description=description, exchange_rate=rate, fee=cost,
            fee_details=[details] if cost else [], net=amount - cost, reporting_category=category, source=source,
            status="available" if at_once else "pending", type=kind,
        )
    )  # fmt: skip


def make_available(box: Box, day: str) -> None:
    """The act behind a day's settlement."""
    box.settlement_days.discard(int(day))
    for row in box.state.all("balance_transaction", status="pending"):
        if row["available_on"] <= box.clock.now():
            box.state.change(row, status="available")


def retrieve(call: Call) -> Json:
    return call.named("balance_transaction", "balance transaction", "id")


def index(call: Call) -> Json:
    payout = call.params.pop("payout", None)

    def fits(box: Box, row: Json) -> bool:
        return payout is None or box.state.hidden.get(row["id"], {}).get("payout") == payout

    return listed(call, "balance_transaction", label="balance transaction", url="/v1/balance_transactions", extra=fits)


def available(box: Box, currency: str) -> int:
    return sum(row["net"] for row in box.state.all("balance_transaction", status="available", currency=currency))


def total(call: Call) -> Json:
    sums: dict[str, dict[str, int]] = {"available": {"usd": 0}, "pending": {"usd": 0}}
    for row in call.box.state.all("balance_transaction"):
        side = sums[row["status"]]
        side[row["currency"]] = side.get(row["currency"], 0) + row["net"]

    def shown(side: dict[str, int]) -> list[dict[str, Any]]:
        return [{"amount": n, "currency": c, "source_types": {"card": n}} for c, n in sorted(side.items())]

    return {"object": "balance", "available": shown(sums["available"]), "livemode": False,
            "pending": shown(sums["pending"])}  # fmt: skip
