"""Deliveries that go wrong on request: twice, late, in another order, or never.

`act` is "duplicate", "delay" (by `seconds` of the sandbox's clock), "reorder" (`window` deliveries to an endpoint are
held and sent shuffled) or "drop" (the event is listed, no endpoint hears of it, and nothing retries).
"""

from typing import Any

from sandbox.problems import Problem
from sandbox.rules import Rule, Rules

ACTS = ("duplicate", "delay", "reorder", "drop")
FIELDS = {"act", "count", "share", "types", "seconds", "window"}
MAX_SECONDS, MAX_WINDOW = 30 * 86_400, 1_000


class Misbehaviour(Rules):
    def ask(self, wish: dict[str, Any]) -> Rule:
        unknown = sorted(set(wish) - FIELDS)
        if unknown:
            raise Problem(f"Unknown: {', '.join(unknown)}; a misbehaviour has {', '.join(sorted(FIELDS))}")
        if wish.get("act") not in ACTS:
            raise Problem(f"act must be one of {', '.join(ACTS)}", param="act")
        types = wish.get("types", [])
        if not isinstance(types, list) or not all(isinstance(one, str) for one in types):
            raise Problem("types must be a list of event types", param="types")
        seconds, window = wish.get("seconds", 60), wish.get("window", 5)
        if not isinstance(seconds, int) or not 0 <= seconds <= MAX_SECONDS:
            raise Problem(f"seconds must be a whole number up to {MAX_SECONDS}", param="seconds")
        if not isinstance(window, int) or not 2 <= window <= MAX_WINDOW:
            raise Problem(f"window must be 2 to {MAX_WINDOW}", param="window")
        more = {"types": types, "seconds": seconds, "window": window}
        return self.add(act=wish["act"], count=wish.get("count"), share=wish.get("share"), more=more)

    def strike(self, kind: str) -> Rule | None:
        for rule in list(self.rules):
            if (not rule.more["types"] or kind in rule.more["types"]) and self.strikes(rule):
                return rule
        return None
