"""Payouts: the balance on its way to the bank. The dashboard makes them; a day later they have arrived, or failed."""

from sandbox import balance, shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.clock import DAY
from sandbox.listing import created_fits, listed
from sandbox.money import display
from sandbox.problems import Problem
from sandbox.state import Json

UNDER_WAY = ("pending", "in_transit")
BANK = "ba_1SandboxStandInBank01"
FAILURE = {"failure_code": "account_closed", "failure_message": "The bank account has been closed."}


def make(box: Box, *, currency: str, amount: int | None) -> Json:
    """With an amount, one that a person asked for; without, the automatic one of all that is available."""
    ready = [row for row in box.state.all("balance_transaction", status="available", currency=currency) if not paid_out(box, row)]
    available = balance.available(box, currency)
    wanted = available if amount is None else amount
    if not 1 <= wanted <= available:
        raise Problem(
            f"You have insufficient funds in your Stripe account for this transfer: {display(available, currency)} is available.",
            code="balance_insufficient", param="amount",
        )  # fmt: skip
    now, automatic = box.clock.now(), amount is None
    payout = box.state.add(
        shapes.thing(
            "payout", box.ids.new("po_1"), now, amount=wanted, arrival_date=(now // DAY + 1) * DAY, automatic=automatic,
            currency=currency, destination=BANK, status="in_transit",
            reconciliation_status="in_progress" if automatic else "not_applicable",
        )
    )  # fmt: skip
    own = move(box, payout, kind="payout", amount=-wanted)
    box.state.change(payout, balance_transaction=own["id"])
    for row in [*ready, own] if automatic else ():
        box.state.remember(row, payout=payout["id"])
    box.emit("payout.created", payout)
    box.later("arrive_payout", payout["id"], after_s=DAY)
    return payout


def paid_out(box: Box, row: Json) -> bool:
    return row["type"] == "payout" or "payout" in box.state.hidden.get(row["id"], ())


def move(box: Box, payout: Json, *, kind: str, amount: int) -> Json:
    return balance.post(
        box, kind=kind, category="payout" if amount < 0 else "payout_reversal", amount=amount,
        currency=payout["currency"], source=payout["id"], description="STRIPE PAYOUT", at_once=True,
    )  # fmt: skip


def resolve(box: Box, payout: Json, outcome: str) -> None:
    """What the bank says. One that has arrived may still come back."""
    if outcome not in ("paid", "failed", "canceled"):
        raise Problem("outcome must be paid, failed or canceled", param="outcome")
    may_still = payout["status"] in UNDER_WAY or (payout["status"] == "paid" and outcome == "failed")
    if not may_still:
        raise Problem(f"The payout is {payout['status']}; it cannot become {outcome}.", param="outcome")
    changes: Json = {"status": outcome}
    if payout["automatic"]:
        changes["reconciliation_status"] = "completed"
    if outcome != "paid":
        back = move(box, payout, kind="payout_failure" if outcome == "failed" else "payout_cancel", amount=payout["amount"])
        changes |= {"failure_balance_transaction": back["id"]} | (FAILURE if outcome == "failed" else {})
    previous = box.state.change(payout, **changes)
    box.emit(f"payout.{outcome}", payout)
    box.emit("payout.updated", payout, previous)


def arrive(box: Box, key: str) -> None:
    """The act behind a payout's arrival; the dashboard may have been quicker."""
    payout = box.state.objects[key]
    if payout["status"] in UNDER_WAY:
        resolve(box, payout, "paid")


def retrieve(call: Call) -> Json:
    return call.named("payout", "payout", "payout")


def index(call: Call) -> Json:
    arrival = call.params.pop("arrival_date", None)
    return listed(
        call, "payout", label="payout", url="/v1/payouts",
        extra=lambda box, payout: created_fits(arrival, payout["arrival_date"]),
    )  # fmt: skip
