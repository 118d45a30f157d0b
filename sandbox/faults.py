"""Calls that go wrong on request: refused, failed, hung, or done and then not answered.

`status` is an HTTP status (4xx or 5xx), or "hang" (silence, then the connection closes), "drop_response" (the work is
done, the connection closes), "delay" (answered late). `stage` of a status: "before" (default: nothing was done, nothing
is remembered under the idempotency key) or "after" (the work was done, and the error is what the key replays).
"""

import re
from typing import Any

from sandbox.problems import Problem
from sandbox.rules import Rule, Rules

WORDS = ("hang", "drop_response", "delay")
FIELDS = {"status", "count", "share", "method", "path", "should_retry", "stage", "seconds"}
MAX_SECONDS = 300
MESSAGES = {
    429: ("Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
          "rate_limit", "invalid_request_error"),
    409: ("This object cannot be accessed right now because another API request is currently accessing it.",
          "lock_timeout", "invalid_request_error"),
}  # fmt: skip


class Faults(Rules):
    def ask(self, wish: dict[str, Any]) -> Rule:
        unknown = sorted(set(wish) - FIELDS)
        if unknown:
            raise Problem(f"Unknown: {', '.join(unknown)}; a fault has {', '.join(sorted(FIELDS))}")
        status = wish.get("status")
        if status not in WORDS and not (isinstance(status, int) and 400 <= status <= 599):
            raise Problem(f"status must be 400 to 599, or one of {', '.join(WORDS)}", param="status")
        if wish.get("stage", "before") not in ("before", "after"):
            raise Problem("stage must be before or after", param="stage")
        seconds = wish.get("seconds", 1)
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
            raise Problem(f"seconds must be 0 to {MAX_SECONDS}", param="seconds")
        try:
            re.compile(str(wish.get("path", "")))
        except re.error as exc:
            raise Problem(f"path is not a regular expression: {exc}", param="path") from exc
        more = {
            "method": str(wish.get("method", "*")).upper(),
            "path": str(wish.get("path", "")),
            "seconds": seconds,
            "stage": wish.get("stage", "before"),
            "should_retry": wish.get("should_retry"),
        }
        return self.add(act=status, count=wish.get("count"), share=wish.get("share"), more=more)

    def strike(self, method: str, path: str) -> Rule | None:
        """The first rule that fits this call and strikes; at most one does."""
        for rule in list(self.rules):
            fits = rule.more["method"] in ("*", method) and re.search(rule.more["path"], path)
            if fits and self.strikes(rule):
                return rule
        return None


def problem_of(rule: Rule) -> Problem:
    status = int(rule.act)
    message, code, kind = MESSAGES.get(
        status, ("An unknown error occurred" if status >= 500 else "Refused, as asked of the sandbox", None,
                 "api_error" if status >= 500 else "invalid_request_error"))  # fmt: skip
    return Problem(message, status=status, kind=kind, code=code, replayable=rule.more["stage"] == "after")
