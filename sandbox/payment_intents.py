"""PaymentIntents."""

from sandbox import charges, confirmation, payment_methods, refunds, shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.listing import listed
from sandbox.money import check_charge, read_currency
from sandbox.problems import Problem, missing_param, no_such, unsupported
from sandbox.state import Json, merged_metadata

COPIED = ("capture_method", "confirmation_method", "description", "receipt_email", "setup_future_usage",
          "statement_descriptor", "statement_descriptor_suffix", "transfer_group", "excluded_payment_method_types",
          "payment_details")  # fmt: skip
UNSUPPORTED = ("application_fee_amount", "transfer_data", "on_behalf_of", "confirmation_token", "mandate",
               "customer_account", "hooks")  # fmt: skip
CARD_OPTIONS = {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
MAX_DESCRIPTOR = 22


def wrong_state(intent: Json, verb: str, allowed: str) -> Problem:
    return Problem(
        f"This PaymentIntent's {verb} because it has a status of {intent['status']}. {allowed}",
        code="payment_intent_unexpected_state", payment_intent=dict(intent),
    )  # fmt: skip


def method_options(kinds: list[str], given: Json) -> Json:
    options: Json = {}
    for kind in kinds:
        wish = given.get(kind) or {}
        if kind == "card":
            wish = CARD_OPTIONS | {k: v for k, v in wish.items() if k in ("request_three_d_secure", "capture_method")}
        options[kind] = wish if kind == "card" else {}
    return options


def default_kinds(currency: str) -> list[str]:
    """What an account whose dashboard allows cards and SEPA debits would offer."""
    return ["card", "sepa_debit"] if currency == "eur" else ["card"]


def fields_of(call: Call, current: Json | None) -> Json:
    """The fields that the parameters set, checked; shared by create, update and confirm."""
    params = call.params
    for name in UNSUPPORTED:
        if name in params:
            raise unsupported(name)
    fields: Json = {name: params[name] or None for name in COPIED if name in params}
    if "customer" in params:
        fields["customer"] = call.referred("customer", "customer", "customer")["id"] if params["customer"] else None
    if "currency" in params:
        fields["currency"] = read_currency(params["currency"])
    currency = fields.get("currency") or (current["currency"] if current else None)
    if "amount" in params:
        assert currency is not None
        check_charge(params["amount"], currency)
        fields["amount"] = params["amount"]
    if "metadata" in params:
        fields["metadata"] = merged_metadata(current and current["metadata"], params["metadata"])
    if "shipping" in params:
        given = params["shipping"]
        named = {name: given.get(name) for name in ("carrier", "name", "phone", "tracking_number")}
        fields["shipping"] = named | {"address": shapes.address(given["address"])} if given else None
    for name in ("statement_descriptor", "statement_descriptor_suffix"):
        if len(params.get(name) or "") > MAX_DESCRIPTOR:
            raise Problem(f"The {name} must be at most {MAX_DESCRIPTOR} characters.", param=name)
    if "payment_method_types" in params:
        kinds = params["payment_method_types"]
        for kind in kinds:
            if kind not in ("card", "sepa_debit", "link"):
                raise unsupported(f"payment_method_types={kind}")
        fields["payment_method_types"] = kinds
        fields["automatic_payment_methods"] = None
    if "payment_method_options" in params or "payment_method_types" in fields:
        kinds = fields.get("payment_method_types") or (current or shapes.BLANK["payment_intent"])["payment_method_types"]
        fields["payment_method_options"] = method_options(kinds, params.get("payment_method_options") or {})
    return fields


def make(box: Box, **fields: object) -> Json:
    key = box.ids.new("pi_3")
    secret = f"{key}_secret_{box.ids.hidden(25)}"
    return box.state.add(shapes.thing("payment_intent", key, box.clock.now(), client_secret=secret, **fields), {})


def given_method(call: Call) -> Json | None:
    if "payment_method" in call.params:
        return payment_methods.resolve(call, "payment_method")
    if "payment_method_data" in call.params:
        return payment_methods.from_params(call, call.params["payment_method_data"], "payment_method_data")
    return None


def check_usable(intent: Json, method: Json) -> None:
    if method["type"] not in intent["payment_method_types"]:
        raise Problem(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. Please attempt "
            "your request again with a PaymentMethod of one of these types: "
            + ", ".join(intent["payment_method_types"]) + ".",
            code="payment_intent_incompatible_payment_method",
            param="payment_method",
        )  # fmt: skip
    if method["customer"] is not None and method["customer"] != intent["customer"]:
        raise Problem(
            f"The PaymentMethod {method['id']} belongs to the Customer {method['customer']}. Please include the "
            "Customer in the `customer` parameter on the PaymentIntent.",
            param="payment_method",
        )
    if method["type"] == "sepa_debit" and intent["currency"] != "eur":
        raise Problem("The currency provided is invalid for SEPA debits. They must be in eur.", param="currency")


def create(call: Call) -> Json:
    box, params = call.box, call.params
    for name in ("amount", "currency"):
        if name not in params:
            raise missing_param(name)
    fields = fields_of(call, None)
    automatic = params.get("automatic_payment_methods")
    if "payment_method_types" not in fields:
        redirects = (automatic or {}).get("allow_redirects", "always")
        if automatic is None or automatic["enabled"]:
            fields["automatic_payment_methods"] = {"allow_redirects": redirects, "enabled": True}
            fields["payment_method_types"] = default_kinds(fields["currency"])
        fields["payment_method_options"] = method_options(
            fields.get("payment_method_types", ["card"]), params.get("payment_method_options") or {}
        )
    if params.get("confirm"):
        check_return_url(params, fields.get("automatic_payment_methods"))
    method = given_method(call)
    intent = make(box, **fields)
    if method is not None:
        check_usable(intent, method)
        box.state.change(intent, payment_method=method["id"], status="requires_confirmation")
    box.emit("payment_intent.created", intent)
    if params.get("confirm"):
        confirm_with(call, intent, method)
    return intent


def check_return_url(params: Json, automatic: Json | None) -> None:
    """Not where nobody is there to be redirected, nor where stripe.js shows what there is to show."""
    if params.get("off_session") not in (None, False, "false") or params.get("use_stripe_sdk"):
        return
    if automatic and automatic["allow_redirects"] == "always" and not params.get("return_url"):
        raise Problem(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
            "these payment methods might redirect your customer off of your page, you must provide a `return_url`. If "
            "you don't want to accept redirect-based payment methods, set "
            "`automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to "
            "`never` when creating Setup Intents and Payment Intents."
        )


def confirm_with(call: Call, intent: Json, method: Json | None) -> None:
    params = call.params
    if method is None:
        method = call.box.state.objects.get(intent["payment_method"] or "")
    if method is None:
        raise Problem(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state", payment_intent=dict(intent), replayable=True,
        )  # fmt: skip
    check_usable(intent, method)
    off_session = params.get("off_session", False) not in (False, "false")
    confirmation.confirm(
        call.box,
        intent,
        method,
        off_session=off_session or bool(params.get("error_on_requires_action")),
        return_url=None if params.get("use_stripe_sdk") else params.get("return_url"),
    )


def retrieve(call: Call) -> Json:
    intent = call.named("payment_intent", "payment_intent", "intent")
    if call.publishable and call.params.get("client_secret") != intent["client_secret"]:
        raise no_such("payment_intent", intent["id"], param="intent")
    return intent


def of_session(call: Call, intent: Json, verb: str) -> None:
    """An open Checkout Session's intent is its own business."""
    session = call.box.state.get(call.box.state.secret(intent).get("session", ""), "checkout.session")
    if session is not None and session["status"] == "open":
        raise Problem(
            f"You cannot {verb} a PaymentIntent that was created by a Checkout Session. To do so, use the session: "
            "it is paid on its page, and ended by expiring it.",
            code="payment_intent_unexpected_state", payment_intent=dict(intent),
        )  # fmt: skip


def update(call: Call) -> Json:
    intent, box = retrieve(call), call.box
    money = {"amount", "currency", "payment_method", "payment_method_data", "payment_method_types", "customer"}
    if intent["status"] not in confirmation.CONFIRMABLE and money & set(call.params):
        raise wrong_state(intent, "amount could not be updated", "You may only update it before it is confirmed.")
    fields = fields_of(call, intent)
    method = given_method(call)
    if method is not None:
        check_usable(intent | fields, method)
        fields |= {"payment_method": method["id"], "status": "requires_confirmation", "next_action": None}
    box.state.change(intent, **fields)
    return intent


def confirm(call: Call) -> Json:
    intent = retrieve(call)
    of_session(call, intent, "confirm")
    if intent["status"] not in confirmation.CONFIRMABLE:
        raise wrong_state(
            intent, "could not be confirmed",
            "Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, "
            "requires_action, requires_payment_method.",
        )  # fmt: skip
    if not call.publishable:
        check_return_url(call.params, intent["automatic_payment_methods"])
    fields = fields_of(call, intent)
    method = given_method(call)
    call.box.state.change(intent, **fields)
    confirm_with(call, intent, method)
    return intent


def cancel(call: Call) -> Json:
    intent, box = retrieve(call), call.box
    of_session(call, intent, "cancel")
    if "invoice" in box.state.secret(intent):
        raise Problem("You cannot cancel this PaymentIntent because it was created by an invoice. Void the invoice instead.",
                      code="payment_intent_unexpected_state", payment_intent=dict(intent))  # fmt: skip
    if intent["status"] not in (*confirmation.CONFIRMABLE, "requires_capture"):
        raise wrong_state(
            intent, "could not be canceled",
            "Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, "
            "requires_capture, requires_confirmation, requires_action, processing.",
        )  # fmt: skip
    if intent["status"] == "requires_capture":
        refunds.release(box, box.state.objects[intent["latest_charge"]])
    cancel_intent(box, intent, reason=call.params.get("cancellation_reason"))
    return intent


def cancel_intent(box: Box, intent: Json, *, reason: str | None) -> None:
    box.state.change(intent, status="canceled", canceled_at=box.clock.now(), cancellation_reason=reason,
                     amount_capturable=0, next_action=None)  # fmt: skip
    box.emit("payment_intent.canceled", intent)


def capture(call: Call) -> Json:
    intent, box = retrieve(call), call.box
    if intent["status"] != "requires_capture":
        raise wrong_state(intent, "could not be captured",
                          "Only a PaymentIntent with a status of requires_capture may be captured.")  # fmt: skip
    amount: int = call.params["amount_to_capture"] if "amount_to_capture" in call.params else intent["amount_capturable"]
    if not 1 <= amount <= intent["amount_capturable"]:
        raise Problem(
            f"The amount to capture must be between 1 and the amount capturable ({intent['amount_capturable']}).",
            code="amount_too_large" if amount > 0 else "parameter_invalid_integer",
            param="amount_to_capture",
        )
    charge = box.state.objects[intent["latest_charge"]]
    box.state.change(charge, captured=True, amount_captured=amount, amount_refunded=charge["amount"] - amount)
    if "metadata" in call.params:
        box.state.change(intent, metadata=merged_metadata(intent["metadata"], call.params["metadata"]))
    charges.book(box, charge)
    box.emit("charge.captured", charge)
    box.state.change(intent, status="succeeded", amount_received=amount, amount_capturable=0)
    session = box.state.get(box.state.secret(intent).get("session", ""), "checkout.session")
    if session is not None:
        box.state.change(session, payment_status="paid")
    box.emit("payment_intent.succeeded", intent)
    return intent


def index(call: Call) -> Json:
    return listed(call, "payment_intent", label="payment_intent", url="/v1/payment_intents")
