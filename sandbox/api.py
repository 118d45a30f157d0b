"""Answering one call of Stripe's API: key, version, idempotency, faults, the handler, expansion, the error body."""

import asyncio
import base64
import binascii
import json
import re
import sys
import traceback
from typing import Any

from aiohttp import web

from sandbox.box import ACCOUNT, Box
from sandbox.call import Call, Text
from sandbox.events import VERSION, Cause
from sandbox.expansion import check_before, expanded, tree_of
from sandbox.faults import problem_of
from sandbox.forms import decode_form
from sandbox.idempotency import fingerprint_of
from sandbox.parameters import read_parameters
from sandbox.problems import Problem
from sandbox.router import Router
from sandbox.routes import PUBLISHABLE, ROUTES
from sandbox.rules import Rule
from sandbox.stripe_js import for_browser

KEY = re.compile(r"(sk|rk|pk)_test_[A-Za-z0-9_]{8,255}")
VERSION_FORM = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")
ROUTER = Router(ROUTES)


class Silence(Exception):
    """The connection closes without an answer."""


def key_of(header: str | None, params: dict[str, Any]) -> str:
    """The API key from `Authorization: Bearer` or Basic, or, as a browser sends it, from the parameter `key`."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError) as exc:
            raise Problem("Invalid Authorization header.", status=401) from exc
    if not value and isinstance(params.get("key"), str):
        value = str(params.pop("key"))
    if not value:
        raise Problem(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    shown = f"{value[:8]}{'*' * 8}{value[-4:]}" if len(value) > 16 else "*" * len(value)
    if "_live_" in value[:9]:
        raise Problem(
            f"This is the sandbox, a local stand-in for Stripe: it refuses the live key {shown}. Live keys belong to "
            "Stripe alone; if this one left your safe, roll it.",
            status=401, code="api_key_live_refused",
        )  # fmt: skip
    if not KEY.fullmatch(value):
        raise Problem(f"Invalid API Key provided: {shown}", status=401)
    return value


def find_route(method: str, path: str) -> tuple[str, dict[str, str]]:
    found = ROUTER.find(method, path)
    if found is None:
        raise Problem(
            f"Unrecognized request URL ({method}: {path}). The sandbox implements a part of Stripe's API; see docs/sandbox.md.",
            status=404,
        )
    return found


async def answer(box: Box, request: web.BaseRequest) -> web.Response:
    """Every answer carries `request-id`; errors are Stripe's JSON."""
    request_id = box.ids.new("req_")[:18]
    headers = {"request-id": request_id, "stripe-version": VERSION, "access-control-allow-origin": "*"}
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    if key:
        headers["idempotency-key"] = key
    fault = box.faults.strike(request.method, request.path)
    try:
        body = (await request.read()).decode()
        await suffer(fault)
        status, text = await replayed_or_done(box, request, body, request_id, key, fault, headers)
    except (Problem, UnicodeDecodeError) as exc:
        problem = exc if isinstance(exc, Problem) else Problem("Invalid request body: not UTF-8")
        status, text = problem.status, json.dumps({"error": problem.error})
    if fault is not None and fault.more["should_retry"] is not None and status == fault.act:
        headers["stripe-should-retry"] = "true" if fault.more["should_retry"] else "false"
    if fault is not None and fault.act == "drop_response":
        raise Silence
    return web.Response(status=status, body=text.encode(), headers=headers, content_type="application/json")


async def suffer(fault: Rule | None) -> None:
    """What goes wrong before anything is done."""
    if fault is None:
        return
    if fault.act == "hang":
        await asyncio.sleep(fault.more["seconds"])
        raise Silence
    if isinstance(fault.act, int) and fault.more["stage"] == "before":
        raise problem_of(fault)


async def replayed_or_done(
    box: Box,
    request: web.BaseRequest,
    body: str,
    request_id: str,
    key: str | None,
    fault: Rule | None,
    headers: dict[str, str],
) -> tuple[int, str]:
    given = decode_form("&".join(filter(None, [request.rel_url.raw_query_string, body])))
    secret = key_of(request.headers.get("Authorization"), given)
    check_headers(request)
    template, names = find_route(request.method, request.path)
    publishable = secret.startswith("pk_")
    if publishable and template not in PUBLISHABLE:
        raise Problem(
            "This API call cannot be made with a publishable API key. Please use a secret API key.",
            status=401, code="secret_key_required",
        )  # fmt: skip
    fingerprint = ""
    if key is not None:
        fingerprint = fingerprint_of(request.method, request.path, given)
        earlier = box.idempotency.begin(key, fingerprint, now=box.clock.now())
        if earlier is not None:
            headers["idempotent-replayed"] = "true"
            return earlier.status, earlier.body
    remembered: tuple[int, str] | None = None
    try:
        if fault is not None and fault.act == "delay":
            await asyncio.sleep(fault.more["seconds"])
        call = Call(
            box=box,
            params=read_parameters(template, given),
            path=request.path,
            names=names,
            publishable=publishable,
            request_id=request_id,
            idempotency_key=key,
        )
        status, text, replayable = work(call, template)
        if fault is not None and fault.more["stage"] == "after" and isinstance(fault.act, int):
            status, text, replayable = fault.act, json.dumps({"error": problem_of(fault).error}), True
        remembered = (status, text) if replayable else None
        return status, text
    finally:
        if key is not None:
            box.idempotency.end(key, fingerprint, now=box.clock.now(), answer=remembered)
            box.keeper.save()


def work(call: Call, template: str) -> tuple[int, str, bool]:
    """Do it in one step, so that no other call sees it half done: status, body, whether a key remembers it."""
    box = call.box
    box.run_due()  # what fell due before this call happened before it
    box.cause = Cause(call.request_id, call.idempotency_key)
    try:
        tree = tree_of(call.params.pop("expand", []))
        if tree and template.startswith("POST "):
            check_before(call.path, tree)
        result = ROUTES[template](call)
        if isinstance(result, Text):
            text = result.text
        else:
            shown = expanded(box, result, tree) if tree else result
            text = json.dumps(for_browser(shown) if call.publishable else shown)
        return 200, text, True
    except Problem as problem:
        error = for_browser(problem.error) if call.publishable else problem.error
        return problem.status, json.dumps({"error": error}), problem.replayable
    except Exception:  # noqa: BLE001 (a defect of the sandbox: said aloud, and answered as Stripe answers its own)
        traceback.print_exc(file=sys.stderr)
        error = {"message": "The sandbox failed; its log has the traceback.", "type": "api_error"}
        return 500, json.dumps({"error": error}), True
    finally:
        box.cause = Cause()
        box.run_due()
        box.keeper.save()


def check_headers(request: web.BaseRequest) -> None:
    version = request.headers.get("Stripe-Version", VERSION)
    if not VERSION_FORM.fullmatch(version):
        raise Problem(f"Invalid Stripe API version: {version}")
    account = request.headers.get("Stripe-Account", ACCOUNT)
    if account != ACCOUNT:
        raise Problem(
            f"The provided key does not have access to account '{account}' (or that account does not exist).",
            status=403, code="account_invalid",
        )  # fmt: skip
