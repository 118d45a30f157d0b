"""Webhook endpoints. The secret is shown once, when the endpoint is made."""

from sandbox import shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.checkout_sessions import check_url
from sandbox.events import VERSION
from sandbox.listing import listed
from sandbox.problems import Problem, missing_param, unsupported
from sandbox.state import Json, merged_metadata

MAX_ENDPOINTS = 16


def make(box: Box, *, url: str, enabled_events: list[str], secret: str | None = None, **fields: object) -> Json:
    endpoint = shapes.thing(
        "webhook_endpoint", box.ids.new("we_1"), box.clock.now(), url=url, enabled_events=enabled_events, **fields
    )
    return box.state.add(endpoint, {"secret": secret or box.ids.new("whsec_")})


def register(box: Box, *, url: str, secret: str) -> None:
    """The endpoint named on the command line, once: a restart with `--data` finds it there."""
    for endpoint in box.state.all("webhook_endpoint"):
        if endpoint["url"] == url:
            box.state.remember(endpoint, secret=secret)
            return
    make(box, url=url, enabled_events=["*"], secret=secret)


def check_events(names: list[str]) -> list[str]:
    if not names:
        raise missing_param("enabled_events")
    return names


def create(call: Call) -> Json:
    box, params = call.box, call.params
    if params.get("connect"):
        raise unsupported("connect")
    if params.get("api_version", VERSION) != VERSION:
        raise unsupported(f"api_version={params['api_version']}")
    if len(box.state.all("webhook_endpoint")) >= MAX_ENDPOINTS:
        raise Problem(f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    endpoint = make(
        box, url=check_url(params["url"], "url"), enabled_events=check_events(params["enabled_events"]),
        description=params.get("description") or None, api_version=params.get("api_version"),
        metadata=merged_metadata(None, params.get("metadata") or {}),
    )  # fmt: skip
    return endpoint | {"secret": box.state.secret(endpoint)["secret"]}


def retrieve(call: Call) -> Json:
    return call.named("webhook_endpoint", "webhook endpoint", "webhook_endpoint")


def update(call: Call) -> Json:
    endpoint, params = retrieve(call), call.params
    fields: Json = {}
    if "url" in params:
        fields["url"] = check_url(params["url"], "url")
    if "enabled_events" in params:
        fields["enabled_events"] = check_events(params["enabled_events"])
    if "disabled" in params:
        fields["status"] = "disabled" if params["disabled"] else "enabled"
    if "description" in params:
        fields["description"] = params["description"] or None
    if "metadata" in params:
        fields["metadata"] = merged_metadata(endpoint["metadata"], params["metadata"])
    call.box.state.change(endpoint, **fields)
    return endpoint


def delete(call: Call) -> Json:
    endpoint = retrieve(call)
    call.box.state.remove(endpoint)
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def index(call: Call) -> Json:
    return listed(call, "webhook_endpoint", label="webhook endpoint", url="/v1/webhook_endpoints")
