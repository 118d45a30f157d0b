"""Telling webhook endpoints what happened: signed, retried with back-off, logged, and repeatable."""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict, deque
from dataclasses import asdict, dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import aiohttp

from sandbox.events import Event

if TYPE_CHECKING:
    from sandbox.box import Box

LOGGED = 20_000  # deliveries remembered; the oldest are forgotten
AT_ONCE = 24  # requests under way to one endpoint
WAITING = 200_000  # deliveries queued for one endpoint
USER_AGENT = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


@dataclass(kw_only=True)
class Delivery:
    id: str
    event: str
    type: str
    endpoint: str
    url: str
    attempt: int
    status: str  # waiting | succeeded | failed | delayed | held | dropped
    created: int
    http_status: int | None = None
    error: str | None = None
    took_ms: int | None = None
    next_attempt_at: int | None = None


@dataclass
class Lane:
    """One endpoint's queue."""

    waiting: deque[tuple[Event, Delivery]] = field(default_factory=deque)
    held: list[tuple[Event, Delivery]] = field(default_factory=list)
    workers: int = 0


def signature(secret: str, body: bytes, stamp: int) -> str:
    digest = hmac.new(secret.encode(), str(stamp).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


class Deliveries:
    def __init__(self, box: "Box") -> None:
        self.box = box
        self.client: aiohttp.ClientSession | None = None
        self.reset()

    def reset(self) -> None:
        for task in getattr(self, "tasks", set()):
            task.cancel()
        self.tasks: set[asyncio.Task[None]] = set()
        self.log: OrderedDict[str, Delivery] = OrderedDict()
        self.lanes: dict[str, Lane] = {}
        self.unfinished = 0
        self.made = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.shuffler = Random(f"deliveries:{self.box.settings.seed}")

    async def start(self) -> None:
        """Open the client, and take up what a killed process had not delivered."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        self.client = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        for event in list(self.box.events.by_id.values()):
            for endpoint in sorted(event.undelivered):
                self.send(event.id, endpoint)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.client is not None:
            await self.client.close()

    def endpoints_for(self, kind: str) -> list[str]:
        return [
            endpoint["id"]
            for endpoint in self.box.state.all("webhook_endpoint")
            if endpoint["status"] == "enabled" and {"*", kind} & set(endpoint["enabled_events"])
        ]

    def begin(self, event: Event) -> None:
        for endpoint in sorted(event.undelivered):
            rule = self.box.misbehaviour.strike(event.type)
            self.send(event.id, endpoint, rule.act if rule else "", rule.more if rule else {})

    def send(self, event_id: str, endpoint_id: str, act: str | int = "", more: dict[str, Any] | None = None) -> None:
        """Queue the first attempt, or do to it what a misbehaviour asks."""
        delivery = self.logged(event_id, endpoint_id, attempt=1)
        if delivery is None:
            return
        more = more or {}
        event = self.box.events.by_id[event_id]
        if act == "drop":
            delivery.status = "dropped"
        elif act == "delay":
            delivery.status = "delayed"
            delivery.next_attempt_at = self.box.clock.now() + more["seconds"]
            self.box.later("attempt_delivery", f"{event_id} {endpoint_id} 1", after_s=more["seconds"])
        elif act == "reorder":
            delivery.status = "held"
            lane = self.lane(endpoint_id)
            lane.held.append((event, delivery))
            if len(lane.held) >= more["window"]:
                self.release(endpoint_id)
        else:
            self.queue(event, delivery)
            again = self.logged(event_id, endpoint_id, attempt=1) if act == "duplicate" else None
            if again is not None:
                self.queue(event, again)

    def attempt_again(self, event_id: str, endpoint_id: str, attempt: int) -> Delivery | None:
        delivery = self.logged(event_id, endpoint_id, attempt=attempt)
        if delivery is not None:
            self.queue(self.box.events.by_id[event_id], delivery)
        return delivery

    def logged(self, event_id: str, endpoint_id: str, *, attempt: int) -> Delivery | None:
        """None where the event or the endpoint is gone, or the endpoint was disabled meanwhile."""
        event = self.box.events.by_id.get(event_id)
        endpoint = self.box.state.get(endpoint_id, "webhook_endpoint")
        if event is None or endpoint is None or endpoint["status"] != "enabled":
            return None
        self.made += 1
        delivery = Delivery(
            id=f"del_{self.made}",
            event=event_id,
            type=event.type,
            endpoint=endpoint_id,
            url=endpoint["url"],
            attempt=attempt,
            status="waiting",
            created=self.box.clock.now(),
        )
        self.log[delivery.id] = delivery
        if len(self.log) > LOGGED:
            self.log.popitem(last=False)
        return delivery

    def lane(self, endpoint_id: str) -> Lane:
        return self.lanes.setdefault(endpoint_id, Lane())

    def release(self, endpoint_id: str) -> None:
        """Send what a reorder rule held back, shuffled."""
        lane = self.lane(endpoint_id)
        held, lane.held = lane.held, []
        self.shuffler.shuffle(held)
        for event, delivery in held:
            self.queue(event, delivery)

    def queue(self, event: Event, delivery: Delivery) -> None:
        lane = self.lane(delivery.endpoint)
        if len(lane.waiting) >= WAITING:
            delivery.status, delivery.error = "dropped", "the endpoint's queue is full"
            return
        delivery.status = "waiting"
        lane.waiting.append((event, delivery))
        self.unfinished += 1
        self.idle.clear()
        if lane.workers < AT_ONCE and self.client is not None:
            lane.workers += 1
            task = asyncio.create_task(self.work(lane))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def work(self, lane: Lane) -> None:
        try:
            while lane.waiting:
                event, delivery = lane.waiting.popleft()
                await self.attempt(event, delivery)
                self.unfinished -= 1
                if self.unfinished == 0:
                    self.idle.set()
        finally:
            lane.workers -= 1

    async def attempt(self, event: Event, delivery: Delivery) -> None:
        assert self.client is not None
        endpoint = self.box.state.get(delivery.endpoint, "webhook_endpoint")
        if endpoint is None:
            delivery.status, delivery.error = "failed", "the endpoint was deleted"
            return
        body = event.text().encode()
        headers = {
            # The machine's time, not the sandbox's: a receiver compares it with its own clock.
            "Stripe-Signature": signature(self.box.state.secret(endpoint)["secret"], body, int(time.time())),
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": USER_AGENT,
            "Accept": "*/*; q=0.5, application/xml",
        }
        began = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=self.box.settings.delivery_timeout_s)
        try:
            async with self.client.post(
                delivery.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                await answer.content.read(65_536)
                delivery.http_status = answer.status
        except TimeoutError:
            delivery.error = "timed out"
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            delivery.error = f"{type(exc).__name__}: {exc}"[:300]
        delivery.took_ms = int((time.monotonic() - began) * 1000)
        if delivery.http_status is not None and 200 <= delivery.http_status < 300:
            delivery.status = "succeeded"
            self.box.events.delivered(event, delivery.endpoint)
            return
        delivery.status = "failed"
        pauses = self.box.settings.retry_after_s
        if delivery.attempt <= len(pauses):
            pause = pauses[delivery.attempt - 1]
            delivery.next_attempt_at = self.box.clock.now() + pause
            subject = f"{event.id} {delivery.endpoint} {delivery.attempt + 1}"
            self.box.later("attempt_delivery", subject, after_s=pause)

    async def flush(self, *, timeout_s: float) -> bool:
        """Wait until nothing is queued or under way (held ones are released; delayed ones and retries are not due)."""
        for endpoint_id in list(self.lanes):
            self.release(endpoint_id)
        try:
            await asyncio.wait_for(self.idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def shown(self, **equal: str) -> list[dict[str, Any]]:
        """Newest first."""
        rows = (asdict(delivery) for delivery in reversed(self.log.values()))
        return [row for row in rows if all(str(row[name]) == value for name, value in equal.items())]


def attempt_delivery(box: "Box", subject: str) -> None:
    """The act behind a retry or a delayed delivery."""
    event_id, endpoint_id, attempt = subject.split()
    box.deliveries.attempt_again(event_id, endpoint_id, int(attempt))
