"""The sandbox's own API under /_sandbox/: what a person would do in the dashboard, the clock, and misbehaviour.

JSON in and out; errors have Stripe's shape. None of it exists at Stripe.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from sandbox import (
    catalogue,
    checkout_payment,
    checkout_sessions,
    disputes,
    event_listing,
    payment_methods,
    payouts,
    refunds,
    setup_intents,
    webhook_endpoints,
)
from sandbox.box import Box
from sandbox.call import Call
from sandbox.clock import DAY
from sandbox.instruments import BY_NAME
from sandbox.money import read_currency
from sandbox.problems import Problem, missing_param, no_such
from sandbox.router import Router
from sandbox.state import Json, merged_metadata

Handler = Callable[[Box, Json, dict[str, str]], Json | Awaitable[Json]]

MAX_ADVANCE_S = 3 * 365 * DAY
ADVANCE_FLUSH_S = 30.0
CHANGEABLE = (
    "settle_soon_s", "settle_late_s", "balance_delay_s", "delivery_timeout_s", "retry_after_s", "invoice_retry_days",
    "after_retries",
)  # fmt: skip
LISTS = ("retry_after_s", "invoice_retry_days")
AFTER_RETRIES = ("canceled", "unpaid", "past_due")


def found(box: Box, kind: str, key: str) -> Json:
    thing = box.state.get(key, kind)
    if thing is None:
        raise no_such(kind, key)
    return thing


def health(box: Box, body: Json, names: dict[str, str]) -> Json:
    return {"status": "ok", "seed": box.settings.seed, "now": box.clock.now(), "ahead_s": box.clock.ahead_s}


def state(box: Box, body: Json, names: dict[str, str]) -> Json:
    """Everything, for a look after a failed test; a `kind` narrows it."""
    kinds = [body["kind"]] if "kind" in body else sorted(box.state.order)
    return {
        "seed": box.settings.seed, "now": box.clock.now(),
        "objects": {kind: box.state.all(kind) for kind in kinds},
        "events": len(box.events.by_id),
        "waiting": [act._asdict() for act in sorted(box.clock.waiting)[:1000]],
    }  # fmt: skip


def reset(box: Box, body: Json, names: dict[str, str]) -> Json:
    """Forget everything; `keep_endpoints` (default true) spares the webhook endpoints, `seed` starts ids anew."""
    seed = body.get("seed")
    if seed is not None and not isinstance(seed, int):
        raise Problem("seed must be a whole number", param="seed")
    kept = [(thing, box.state.secret(thing)) for thing in box.state.all("webhook_endpoint")]
    box.reset(seed=seed)
    if body.get("keep_endpoints", True):
        for endpoint, hidden in kept:
            box.state.add(endpoint, hidden)
    return health(box, body, names)


def change_settings(box: Box, body: Json, names: dict[str, str]) -> Json:
    settles = body.pop("settlement_currencies", None)
    if settles is not None:
        wanted = settles if isinstance(settles, list) else [settles]
        box.settings.settlement_currencies = [read_currency(str(one), param="settlement_currencies") for one in wanted]
    for name, value in body.items():
        if name not in CHANGEABLE:
            raise Problem(f"{name} cannot be set; these can: {', '.join(CHANGEABLE)}", param=name)
        if name == "after_retries":
            if value not in AFTER_RETRIES:
                raise Problem(f"after_retries must be one of {', '.join(AFTER_RETRIES)}", param=name)
            setattr(box.settings, name, value)
            continue
        numbers = value if name in LISTS else [value]
        if not isinstance(numbers, list) or not all(isinstance(n, int) and 0 <= n <= 30 * DAY for n in numbers):
            raise Problem(f"{name} must be seconds, 0 to {30 * DAY}", param=name)
        setattr(box.settings, name, value)
    return {name: getattr(box.settings, name) for name in (*CHANGEABLE, "settlement_currencies")}


async def advance(box: Box, body: Json, names: dict[str, str]) -> Json:
    """Move the clock forward, doing what falls due in order of time, each with its deliveries before the next."""
    seconds = body.get("seconds")
    if not isinstance(seconds, int) or not 0 <= seconds <= MAX_ADVANCE_S:
        raise Problem(f"seconds must be a whole number, 0 to {MAX_ADVANCE_S}", param="seconds")
    await box.deliveries.flush(timeout_s=ADVANCE_FLUSH_S)  # what is under way belongs to the time before
    target, done = box.clock.now() + seconds, 0
    while (due := box.clock.next_due()) is not None and due <= target:
        box.clock.move_to(due)
        while act := box.clock.take_due():
            box.run(act)
            done += 1
        await box.deliveries.flush(timeout_s=ADVANCE_FLUSH_S)
    box.clock.move_to(target)
    return health(box, body, names) | {"acts": done}


def method_from(box: Box, body: Json) -> Json:
    """`card` (number, pm_card_… or tok_…) or `iban`, with `email` and `name`."""
    billing = {"email": body.get("email"), "name": body.get("name")}
    if "iban" in body:
        return payment_methods.make(box, payment_methods.instrument_of_iban(str(body["iban"])), billing=billing)
    wish = str(body.get("card", "4242424242424242"))
    name = wish.removeprefix("pm_card_").removeprefix("tok_")
    instrument = BY_NAME[name] if name in BY_NAME else payment_methods.instrument_of_card(wish)
    return payment_methods.make(box, instrument, billing=billing)


def pay_session(box: Box, body: Json, names: dict[str, str]) -> Json:
    """As if a person had filled in the page. `authenticate` answers a 3-D Secure challenge: true passes, false fails."""
    session = found(box, "checkout.session", names["session"])
    checkout_payment.pay(box, session, method_from(box, body))
    intent = box.state.objects.get(session["payment_intent"] or "")
    if intent is not None and intent["status"] == "requires_action" and "authenticate" in body:
        checkout_payment.answer_challenge(box, intent, passed=bool(body["authenticate"]))
    waits = intent is not None and intent["status"] == "requires_action"
    return {
        "session": session,
        "payment_intent": intent,
        "redirect": None if session["status"] == "open" else checkout_payment.destination(session),
        "challenge": f"{box.settings.public_url}/3ds/{intent['id']}" if intent is not None and waits else None,
    }


def pay_link(box: Box, body: Json, names: dict[str, str]) -> Json:
    """A payment by a Payment Link that somebody made in the dashboard: a session the project never opened."""
    amount, currency = body.get("amount", 2_000), str(body.get("currency", "usd"))
    if not isinstance(amount, int):
        raise Problem("amount must be a whole number of minor units", param="amount")
    product = catalogue.make_product(box, {"name": str(body.get("name_of_product", "Payment Link"))})
    price = catalogue.make_price(box, {"currency": currency, "unit_amount": amount}, product=product["id"])
    params: Json = {
        "mode": "payment",
        "success_url": "https://example.com/thanks",
        "line_items": [{"price": price["id"], "quantity": 1}],
    }
    if "client_reference_id" in body:
        params["client_reference_id"] = str(body["client_reference_id"])
    metadata = merged_metadata(None, body.get("metadata", {}))
    params["metadata"] = metadata
    if body.get("copy_metadata"):
        params["payment_intent_data"] = {"metadata": metadata}
    session = checkout_sessions.create(Call(box=box, params=params, path=""))
    box.state.change(session, payment_link=box.ids.new("plink_1"))
    return pay_session(box, body, {"session": session["id"]})


def renew_card(box: Box, body: Json, names: dict[str, str]) -> Json:
    """With `exp_month` and `exp_year`, or three years more."""
    for name in ("exp_month", "exp_year"):
        if not isinstance(body.get(name, 1), int):
            raise Problem(f"{name} must be a whole number", param=name)
    method = found(box, "payment_method", names["payment_method"])
    return payment_methods.renew_card(box, method, exp_month=body.get("exp_month"), exp_year=body.get("exp_year"))


def expire_card(box: Box, body: Json, names: dict[str, str]) -> Json:
    return payment_methods.expire_card(box, found(box, "payment_method", names["payment_method"]))


def answer_setup_challenge(box: Box, body: Json, names: dict[str, str]) -> Json:
    intent = found(box, "setup_intent", names["intent"])
    setup_intents.answer_challenge(box, intent, passed=bool(body.get("passed", True)))
    return intent


def answer_challenge(box: Box, body: Json, names: dict[str, str]) -> Json:
    intent = found(box, "payment_intent", names["intent"])
    checkout_payment.answer_challenge(box, intent, passed=bool(body.get("passed", True)))
    return intent


def resolve_debit(box: Box, body: Json, names: dict[str, str]) -> Json:
    intent = found(box, "payment_intent", names["intent"])
    outcome = body.get("outcome", "succeeded")
    if outcome not in ("succeeded", "failed"):
        raise Problem("outcome must be succeeded or failed", param="outcome")
    checkout_payment.decide_debit(box, intent, succeeded=outcome == "succeeded")
    return intent


def refund(box: Box, body: Json, names: dict[str, str]) -> Json:
    return refunds.refund(
        box, refunds.asked_charge(box, body), amount=refunds.wanted_amount(body), reason=body.get("reason"),
        metadata=merged_metadata(None, body.get("metadata", {})),
    )  # fmt: skip


def resolve_refund(box: Box, body: Json, names: dict[str, str]) -> Json:
    one = found(box, "refund", names["refund"])
    refunds.resolve(box, one, str(body.get("outcome", "succeeded")))
    return one


def open_dispute(box: Box, body: Json, names: dict[str, str]) -> Json:
    return disputes.open_dispute(
        box, refunds.asked_charge(box, body), reason=str(body.get("reason", "fraudulent")),
        amount=refunds.wanted_amount(body),
    )  # fmt: skip


def resolve_dispute(box: Box, body: Json, names: dict[str, str]) -> Json:
    one = found(box, "dispute", names["dispute"])
    disputes.resolve(box, one, outcome=str(body.get("outcome", "")))
    return one


def make_payout(box: Box, body: Json, names: dict[str, str]) -> Json:
    """With `amount`, as a person asks for one; without, the automatic one of all that is available."""
    currency = read_currency(str(body.get("currency", "usd")))
    return payouts.make(box, currency=currency, amount=refunds.wanted_amount(body))


def resolve_payout(box: Box, body: Json, names: dict[str, str]) -> Json:
    one = found(box, "payout", names["payout"])
    payouts.resolve(box, one, str(body.get("outcome", "paid")))
    return one


def webhook_endpoint(box: Box, body: Json, names: dict[str, str]) -> Json:
    """Register an endpoint under a secret of one's own choice."""
    for name in ("url", "secret"):
        if name not in body:
            raise missing_param(name)
    events = webhook_endpoints.check_events([str(one) for one in body.get("enabled_events", ["*"])])
    url = checkout_sessions.check_url(str(body["url"]), "url")
    return webhook_endpoints.make(box, url=url, enabled_events=events, secret=str(body["secret"]))


def list_deliveries(box: Box, body: Json, names: dict[str, str]) -> Json:
    limit = int(body.pop("limit", 100))
    rows = box.deliveries.shown(**{name: str(value) for name, value in body.items()})
    return {"data": rows[:limit], "total": len(rows)}


async def flush(box: Box, body: Json, names: dict[str, str]) -> Json:
    done = await box.deliveries.flush(timeout_s=float(body.get("timeout_s", 10)))
    due = sum(1 for act in box.clock.waiting if act.name == "attempt_delivery")
    return {"done": done, "unfinished": box.deliveries.unfinished, "scheduled": due}


def replay(box: Box, body: Json, names: dict[str, str]) -> Json:
    row = box.deliveries.log.get(names["delivery"])
    if row is None:
        raise no_such("delivery", names["delivery"])
    again = box.deliveries.attempt_again(row.event, row.endpoint, 1)
    if again is None:
        raise Problem("The event or the endpoint is gone, or the endpoint is disabled.")
    return asdict(again)


def resend(box: Box, body: Json, names: dict[str, str]) -> Json:
    """To every endpoint that wants its type, whatever became of the first delivery; or to `endpoint` alone."""
    event = event_listing.find(box, names["event"])
    wanted = [body["endpoint"]] if "endpoint" in body else box.deliveries.endpoints_for(event.type)
    sent = [box.deliveries.attempt_again(event.id, endpoint, 1) for endpoint in wanted]
    return {"event": event.id, "deliveries": [asdict(one) for one in sent if one is not None]}


def add_misbehaviour(box: Box, body: Json, names: dict[str, str]) -> Json:
    return box.misbehaviour.ask(body).shown() | {"seed": box.settings.seed}


def list_misbehaviour(box: Box, body: Json, names: dict[str, str]) -> Json:
    return {"data": [rule.shown() for rule in box.misbehaviour.rules], "seed": box.settings.seed}


def clear_misbehaviour(box: Box, body: Json, names: dict[str, str]) -> Json:
    box.misbehaviour.clear()
    return list_misbehaviour(box, body, names)


def add_fault(box: Box, body: Json, names: dict[str, str]) -> Json:
    return box.faults.ask(body).shown() | {"seed": box.settings.seed}


def list_faults(box: Box, body: Json, names: dict[str, str]) -> Json:
    return {"data": [rule.shown() for rule in box.faults.rules], "seed": box.settings.seed}


def clear_faults(box: Box, body: Json, names: dict[str, str]) -> Json:
    box.faults.clear()
    return list_faults(box, body, names)


HANDLERS: dict[str, Handler] = {
    "GET /_sandbox/healthz": health,
    "GET /_sandbox/state": state,
    "POST /_sandbox/reset": reset,
    "POST /_sandbox/settings": change_settings,
    "POST /_sandbox/clock/advance": advance,
    "POST /_sandbox/checkout_sessions/{session}/pay": pay_session,
    "POST /_sandbox/payment_links/pay": pay_link,
    "POST /_sandbox/payment_intents/{intent}/authenticate": answer_challenge,
    "POST /_sandbox/payment_intents/{intent}/settle": resolve_debit,
    "POST /_sandbox/payment_methods/{payment_method}/renew_card": renew_card,
    "POST /_sandbox/payment_methods/{payment_method}/expire_card": expire_card,
    "POST /_sandbox/refunds": refund,
    "POST /_sandbox/refunds/{refund}/resolve": resolve_refund,
    "POST /_sandbox/setup_intents/{intent}/authenticate": answer_setup_challenge,
    "POST /_sandbox/disputes": open_dispute,
    "POST /_sandbox/disputes/{dispute}/resolve": resolve_dispute,
    "POST /_sandbox/payouts": make_payout,
    "POST /_sandbox/payouts/{payout}/resolve": resolve_payout,
    "POST /_sandbox/webhook_endpoints": webhook_endpoint,
    "GET /_sandbox/deliveries": list_deliveries,
    "POST /_sandbox/deliveries/flush": flush,
    "POST /_sandbox/deliveries/{delivery}/replay": replay,
    "POST /_sandbox/events/{event}/resend": resend,
    "GET /_sandbox/misbehaviour": list_misbehaviour,
    "POST /_sandbox/misbehaviour": add_misbehaviour,
    "DELETE /_sandbox/misbehaviour": clear_misbehaviour,
    "GET /_sandbox/faults": list_faults,
    "POST /_sandbox/faults": add_fault,
    "DELETE /_sandbox/faults": clear_faults,
}
ROUTER = Router(HANDLERS)


async def answer(box: Box, request: web.BaseRequest) -> web.Response:
    try:
        route = ROUTER.find(request.method, request.path)
        if route is None:
            raise Problem(f"The control API has no {request.method} {request.path}; see docs/sandbox.md.", status=404)
        body = read_body(await request.read()) | dict(request.query)
        box.run_due()
        result: Any = HANDLERS[route[0]](box, body, route[1])
        if asyncio.iscoroutine(result):
            result = await result
        status, text = 200, json.dumps(result)
    except Problem as problem:
        status, text = problem.status, json.dumps({"error": problem.error})
    finally:
        box.run_due()
        box.keeper.save()
    return web.Response(status=status, text=text, content_type="application/json")


def read_body(raw: bytes) -> Json:
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as exc:
        raise Problem(f"The body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise Problem("The body must be a JSON object.")
    return body
