"""The sandbox's clock, which can be moved forward, and the acts that wait for it (a session expires, a debit settles)."""

import heapq
import time
from typing import NamedTuple

from sandbox.keeper import Keeper

DAY = 86_400


class Act(NamedTuple):
    due: int
    serial: int
    name: str
    subject: str


class Clock:
    """Seconds since 1970: the machine's, plus what was asked for by `advance`."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.ahead_s = 0
        self.serial = 0
        self.waiting: list[Act] = []
        for _, seconds in keeper.rows("clock"):
            self.ahead_s = seconds
        for key, (due, name, subject) in keeper.rows("act"):
            self.serial = max(self.serial, int(key))
            heapq.heappush(self.waiting, Act(due, int(key), name, subject))

    def now(self) -> int:
        return int(time.time()) + self.ahead_s

    def move_to(self, moment: int) -> None:
        """Forward only: objects are listed by age, so an earlier time would mix them up."""
        self.ahead_s += max(0, moment - self.now())
        self.keeper.keep("clock", "ahead_s", self.ahead_s)

    def schedule(self, name: str, subject: str, *, after_s: int) -> None:
        self.serial += 1
        act = Act(self.now() + after_s, self.serial, name, subject)
        heapq.heappush(self.waiting, act)
        self.keeper.keep("act", str(act.serial), [act.due, name, subject])

    def next_due(self) -> int | None:
        return self.waiting[0].due if self.waiting else None

    def take_due(self) -> Act | None:
        """The earliest act whose time has come; in order of time, then of scheduling."""
        if not self.waiting or self.waiting[0].due > self.now():
            return None
        act = heapq.heappop(self.waiting)
        self.keeper.keep("act", str(act.serial), None)
        return act

    def reset(self) -> None:
        self.ahead_s = 0
        self.waiting.clear()
