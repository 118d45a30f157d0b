"""SetupIntents: keeping a card for later without taking money."""

from sandbox import payment_intents, payment_methods, setup_shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.confirmation import CONFIRMABLE, NOT_AUTHENTICATED
from sandbox.instruments import Decline, Instrument
from sandbox.listing import listed
from sandbox.problems import Problem, no_such, unsupported
from sandbox.state import Json, merged_metadata

UNSUPPORTED = ("attach_to_self", "confirmation_token", "customer_account", "flow_directions", "on_behalf_of", "single_use")
KINDS = ("card", "sepa_debit", "link")


def wrong_state(intent: Json, verb: str) -> Problem:
    return Problem(
        f"You cannot {verb} this SetupIntent because it has a status of {intent['status']}.",
        code="setup_intent_unexpected_state", setup_intent=dict(intent),
    )  # fmt: skip


def fields_of(call: Call, current: Json | None) -> Json:
    params = call.params
    for name in UNSUPPORTED:
        if params.get(name):
            raise unsupported(name)
    fields: Json = {}
    if "customer" in params:
        fields["customer"] = call.referred("customer", "customer", "customer")["id"]
    if "description" in params:
        fields["description"] = params["description"] or None
    if "metadata" in params:
        fields["metadata"] = merged_metadata(current and current["metadata"], params["metadata"])
    if "usage" in params:
        fields["usage"] = params["usage"]
    if "payment_method_types" in params:
        for kind in params["payment_method_types"]:
            if kind not in KINDS:
                raise unsupported(f"payment_method_types={kind}")
        fields |= {"payment_method_types": params["payment_method_types"], "automatic_payment_methods": None}
    if "payment_method_options" in params or "payment_method_types" in fields:
        kinds = fields.get("payment_method_types") or (current or {"payment_method_types": ["card"]})["payment_method_types"]
        fields["payment_method_options"] = setup_shapes.options(kinds, params.get("payment_method_options") or {})
    return fields


def make(box: Box, **fields: object) -> Json:
    key = box.ids.new("seti_1")
    intent = setup_shapes.setup_intent(key, box.clock.now(), client_secret=f"{key}_secret_{box.ids.hidden(25)}", **fields)
    return box.state.add(intent, {})


def create(call: Call) -> Json:
    box, params = call.box, call.params
    fields = fields_of(call, None)
    automatic = params.get("automatic_payment_methods")
    if "payment_method_types" not in fields:
        redirects = (automatic or {}).get("allow_redirects", "always")
        if automatic is None or automatic["enabled"]:
            fields["automatic_payment_methods"] = {"allow_redirects": redirects, "enabled": True}
        fields["payment_method_types"] = ["card"]
        fields["payment_method_options"] = setup_shapes.options(["card"], params.get("payment_method_options") or {})
    if params.get("confirm"):
        payment_intents.check_return_url(params, fields.get("automatic_payment_methods"))
    method = payment_intents.given_method(call)
    if method is not None:
        check_usable(fields, method)
        fields |= {"payment_method": method["id"], "status": "requires_confirmation"}
    intent = make(box, **fields)
    box.emit("setup_intent.created", intent)
    if params.get("confirm"):
        confirm_with(call, intent, method)
    return intent


def check_usable(intent: Json, method: Json) -> None:
    if method["type"] not in intent["payment_method_types"]:
        raise Problem(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this SetupIntent.",
            code="setup_intent_invalid_parameter", param="payment_method",
        )  # fmt: skip
    if method["customer"] is not None and method["customer"] != intent.get("customer"):
        raise Problem(
            f"The PaymentMethod {method['id']} belongs to the Customer {method['customer']}. Please include the "
            "Customer in the `customer` parameter on the SetupIntent.",
            param="payment_method",
        )


def retrieve(call: Call) -> Json:
    intent = call.named("setup_intent", "setupintent", "intent")
    if call.publishable and call.params.get("client_secret") != intent["client_secret"]:
        raise no_such("setupintent", intent["id"], param="intent")
    return intent


def update(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in CONFIRMABLE and set(call.params) - {"metadata", "description"}:
        raise wrong_state(intent, "update")
    fields = fields_of(call, intent)
    method = payment_intents.given_method(call)
    if method is not None:
        check_usable(intent | fields, method)
        fields |= {"payment_method": method["id"], "status": "requires_confirmation", "next_action": None}
    call.box.state.change(intent, **fields)
    return intent


def confirm(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in CONFIRMABLE:
        raise wrong_state(intent, "confirm")
    if not call.publishable:
        payment_intents.check_return_url(call.params, intent["automatic_payment_methods"])
    if "payment_method_options" in call.params:
        call.box.state.change(intent, **fields_of(call, intent))
    confirm_with(call, intent, payment_intents.given_method(call))
    return intent


def confirm_with(call: Call, intent: Json, method: Json | None) -> None:
    params = call.params
    if method is None:
        method = call.box.state.objects.get(intent["payment_method"] or "")
    if method is None:
        raise Problem(
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the SetupIntent with a "
            "payment method and then confirm it again.",
            code="setup_intent_unexpected_state", setup_intent=dict(intent), replayable=True,
        )  # fmt: skip
    check_usable(intent, method)
    return_url = None if params.get("use_stripe_sdk") else params.get("return_url")
    set_up(call.box, intent, method, return_url=return_url)


def set_up(box: Box, intent: Json, method: Json, *, challenged: bool = False, return_url: str | None = None) -> None:
    """Keep the card. Raises its decline as a 402 that carries the intent, after recording it."""
    instrument = payment_methods.instrument_of(box, method)
    if not challenged and instrument.challenge != "none":
        page = f"{box.settings.public_url}/3ds/{intent['id']}"
        box.state.change(
            intent, status="requires_action", payment_method=method["id"], last_setup_error=None,
            next_action=setup_shapes.next_action(page, return_url, source=box.ids.new("src_1")),
        )  # fmt: skip
        box.emit("setup_intent.requires_action", intent)
        return
    refused = refusal(instrument)
    if refused is not None:
        raise fail(box, intent, method, refused)
    attempt = attempted(box, intent, method, status="succeeded", challenged=challenged)
    box.state.remember(method, set_up=True)
    if intent["customer"] and method["customer"] is None:
        box.state.change(method, customer=intent["customer"])
        box.emit("payment_method.attached", method)
    box.state.change(
        intent, status="succeeded", payment_method=method["id"], next_action=None, last_setup_error=None,
        latest_attempt=attempt["id"],
    )  # fmt: skip
    box.emit("setup_intent.succeeded", intent)


def refusal(instrument: Instrument) -> Decline | None:
    return None if instrument.name == "chargeCustomerFail" or instrument.challenge != "none" else instrument.decline


def attempted(box: Box, intent: Json, method: Json, *, status: str, challenged: bool, error: Json | None = None) -> Json:
    return box.state.add(
        setup_shapes.setup_attempt(
            box.ids.new("setatt_1"), box.clock.now(), intent=intent, method=method, status=status, challenged=challenged,
            error=error,
        )
    )  # fmt: skip


def fail(box: Box, intent: Json, method: Json, decline: Decline, *, kind: str = "card_error") -> Problem:
    """Record the failure, and give the 402 to raise."""
    error: Json = {"code": decline.code, "message": decline.message, "payment_method": dict(method), "type": kind,
                   "doc_url": "https://stripe.com/docs/error-codes/" + decline.code.replace("_", "-")}  # fmt: skip
    if decline.decline_code:
        error["decline_code"] = decline.decline_code
    attempt = attempted(box, intent, method, status="failed", challenged=kind != "card_error", error=error)
    box.state.change(intent, status="requires_payment_method", payment_method=None, next_action=None,
                     last_setup_error=error, latest_attempt=attempt["id"])  # fmt: skip
    box.emit("setup_intent.setup_failed", intent)
    shown = {"decline_code": decline.decline_code} if decline.decline_code else {}
    return Problem(
        decline.message, status=402, kind=kind, code=decline.code, replayable=True, setup_intent=dict(intent),
        payment_method=dict(method), **shown,
    )  # fmt: skip


def answer_challenge(box: Box, intent: Json, *, passed: bool) -> None:
    """The customer comes back from 3-D Secure. A decline after it is raised as a 402."""
    if intent["status"] != "requires_action":
        raise Problem(f"The SetupIntent is {intent['status']}: there is no challenge to answer.")
    method = box.state.objects[intent["payment_method"]]
    if passed:
        set_up(box, intent, method, challenged=True)
        return
    code = "setup_intent_authentication_failure"
    fail(box, intent, method, Decline(code=code, decline_code="", message=NOT_AUTHENTICATED), kind="invalid_request_error")


def cancel(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in CONFIRMABLE:
        raise wrong_state(intent, "cancel")
    reason = call.params.get("cancellation_reason")
    call.box.state.change(intent, status="canceled", cancellation_reason=reason, next_action=None)
    call.box.emit("setup_intent.canceled", intent)
    return intent


def index(call: Call) -> Json:
    return listed(call, "setup_intent", label="setupintent", url="/v1/setup_intents")
