"""Ids that look like Stripe's, from one seeded source, so that a run can be repeated."""

import random
import string

ALPHABET = string.ascii_letters + string.digits
LENGTHS = {"cs_test_": 58, "pi_": 24, "ch_": 24, "py_": 24, "re_": 24, "evt_": 24, "whsec_": 32}


class Ids:
    def __init__(self, seed: int, already: int) -> None:
        """`already` counts what an earlier process made, or the same seed would repeat its ids after a restart."""
        self.source = random.Random(f"{seed}:{already}")

    def new(self, prefix: str) -> str:
        return prefix + "".join(self.source.choices(ALPHABET, k=LENGTHS.get(prefix, 24)))

    def hidden(self, length: int) -> str:
        return "".join(self.source.choices(ALPHABET, k=length))

    def digits(self, length: int) -> str:
        return "".join(self.source.choices(string.digits, k=length))
