"""Rules that strike the next N of something, or a seeded share of it: faults and misdeliveries are both such."""

import random
from dataclasses import dataclass, field
from typing import Any

from sandbox.problems import Problem

MAX_RULES = 100


@dataclass(kw_only=True)
class Rule:
    number: int
    act: str | int
    count: int | None  # how many times it may still strike; None: no end
    share: float  # of those it could strike
    more: dict[str, Any] = field(default_factory=dict)
    struck: int = 0

    def shown(self) -> dict[str, Any]:
        return {"id": self.number, "act": self.act, "count": self.count, "share": self.share, "struck": self.struck,
                **self.more}  # fmt: skip


class Rules:
    def __init__(self, seed: int) -> None:
        self.source = random.Random(f"rules:{seed}")
        self.rules: list[Rule] = []
        self.made = 0

    def add(self, *, act: str | int, count: object, share: object, more: dict[str, Any]) -> Rule:
        """With neither count nor share: the next one only."""
        if len(self.rules) >= MAX_RULES:
            raise Problem(f"At most {MAX_RULES} rules at a time; DELETE removes them.")
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            raise Problem("count must be a whole number of at least 1", param="count")
        if share is not None and (not isinstance(share, int | float) or not 0 < share <= 1):
            raise Problem("share must be more than 0 and at most 1", param="share")
        self.made += 1
        limit = count if isinstance(count, int) else None if share is not None else 1
        chance = float(share) if isinstance(share, int | float) else 1.0
        rule = Rule(number=self.made, act=act, count=limit, share=chance, more=more)
        self.rules.append(rule)
        return rule

    def strikes(self, rule: Rule) -> bool:
        if rule.share < 1 and self.source.random() >= rule.share:
            return False
        rule.struck += 1
        if rule.count is not None:
            rule.count -= 1
            if rule.count == 0:
                self.rules.remove(rule)
        return True

    def clear(self) -> None:
        self.rules.clear()
