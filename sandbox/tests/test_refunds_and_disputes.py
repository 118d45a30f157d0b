"""Money that goes back: refunds that succeed, wait or fail, and disputes."""

import pytest
import stripe

from sandbox.tests.conftest import Control, payment, types_of


def test_refunds_add_up_to_the_charge_and_no_further(client: stripe.StripeClient) -> None:
    intent = payment(client)
    first = client.v1.refunds.create({"payment_intent": intent.id, "amount": 500, "reason": "requested_by_customer"})
    with pytest.raises(stripe.InvalidRequestError, match=r"\(\$20.00\) is greater than unrefunded amount on charge \(\$15.00\)"):
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 2000})
    rest = client.v1.refunds.create({"charge": str(intent.latest_charge)})
    assert (first.status, first.amount, rest.amount) == ("succeeded", 500, 1500)
    charge = client.v1.charges.retrieve(str(intent.latest_charge), {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded) == (2000, True)
    assert charge.refunds is not None
    assert [refund.id for refund in charge.refunds.data] == [rest.id, first.id]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"


def test_refund_made_in_the_dashboard_names_no_request(client: stripe.StripeClient, control: Control) -> None:
    intent = payment(client)
    control.post("refunds", payment_intent=intent.id, amount=300)
    event = client.v1.events.list({"type": "refund.created"}).data[0]
    assert event.to_dict()["request"] == {"id": None, "idempotency_key": None}


def test_refund_that_fails_later_gives_the_money_back(client: stripe.StripeClient, control: Control) -> None:
    intent = payment(client, "pm_card_refundFail")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    control.post("clock/advance", seconds=3600)
    failed = client.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert isinstance(failed.failure_balance_transaction, stripe.BalanceTransaction)
    assert failed.failure_balance_transaction.amount == 2000
    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert types_of(client)[-4:] == ["refund.failed", "refund.updated", "charge.refund.updated", "charge.updated"]


@pytest.mark.parametrize(("outcome", "refunded"), [("succeeded", 2000), ("failed", 0)])
def test_pending_refund_is_decided_in_the_dashboard(
    client: stripe.StripeClient, control: Control, outcome: str, refunded: int
) -> None:
    intent = payment(client, "pm_card_pendingRefund")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "pending"
    control.post(f"refunds/{refund.id}/resolve", outcome=outcome)
    assert client.v1.refunds.retrieve(refund.id).status == outcome
    assert client.v1.charges.retrieve(str(intent.latest_charge)).amount_refunded == refunded


def test_only_a_refund_that_requires_action_is_canceled(client: stripe.StripeClient, control: Control) -> None:
    intent = payment(client, "pm_card_pendingRefund")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError, match="this one is pending"):
        client.v1.refunds.cancel(refund.id)
    control.post(f"refunds/{refund.id}/resolve", outcome="requires_action")
    assert client.v1.refunds.cancel(refund.id).status == "canceled"


def test_dispute_takes_the_money_and_a_win_gives_it_back(client: stripe.StripeClient, control: Control) -> None:
    intent = payment(client, "pm_card_createDispute")
    dispute = client.v1.disputes.list({"payment_intent": intent.id}).data[0]
    assert (dispute.status, dispute.amount, dispute.reason) == ("needs_response", 2000, "fraudulent")
    assert [(row.amount, row.fee, row.net) for row in dispute.balance_transactions] == [(-2000, 1500, -3500)]
    control.post(f"disputes/{dispute.id}/resolve", outcome="won")
    won = client.v1.disputes.retrieve(dispute.id)
    assert (won.status, [row.net for row in won.balance_transactions]) == ("won", [-3500, 2000])
    assert types_of(client)[-2:] == ["charge.dispute.funds_reinstated", "charge.dispute.closed"]


def test_inquiry_moves_no_money(client: stripe.StripeClient, control: Control) -> None:
    intent = payment(client, "pm_card_createDisputeInquiry")
    dispute = client.v1.disputes.list({"charge": str(intent.latest_charge)}).data[0]
    assert (dispute.status, dispute.balance_transactions) == ("warning_needs_response", [])
    control.post(f"disputes/{dispute.id}/resolve", outcome="lost")
    assert client.v1.disputes.retrieve(dispute.id).status == "warning_closed"
    assert "charge.dispute.funds_withdrawn" not in types_of(client)


def test_dispute_opened_on_any_charge_blocks_its_refund(client: stripe.StripeClient, control: Control) -> None:
    intent = payment(client)
    control.post("disputes", payment_intent=intent.id, reason="duplicate", amount=700)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"


def test_evidence_is_submitted_and_decides(client: stripe.StripeClient) -> None:
    intent = payment(client, "pm_card_createDispute")
    dispute = client.v1.disputes.list({"payment_intent": intent.id}).data[0]
    staged = client.v1.disputes.update(dispute.id, {"evidence": {"customer_name": "Ada"}, "submit": False})
    assert (staged.status, staged.evidence_details.submission_count) == ("needs_response", 0)
    client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    assert client.v1.disputes.retrieve(dispute.id).status == "won"


def test_closing_a_dispute_loses_it(client: stripe.StripeClient) -> None:
    intent = payment(client, "pm_card_createDispute")
    dispute = client.v1.disputes.list({"payment_intent": intent.id}).data[0]
    assert client.v1.disputes.close(dispute.id).status == "lost"
    with pytest.raises(stripe.InvalidRequestError, match="lost already"):
        client.v1.disputes.close(dispute.id)
