"""Every object that the sandbox holds, in the form in which Stripe shows it, plus what it hides beside it.

Relations are kept as ids; expansion.py puts objects in their place when a caller asks. Objects change only through
`change`, which is what keeps the index, the file and an event's `previous_attributes` right.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sandbox.keeper import Keeper

Json = dict[str, Any]

INDEXED = {
    "checkout.session": ("payment_intent", "customer", "payment_link", "status"),
    "charge": ("payment_intent", "customer"),
    "refund": ("charge", "payment_intent"),
    "dispute": ("charge", "payment_intent"),
    "payment_intent": ("customer",),
    "payment_method": ("customer",),
    "customer": ("email",),
    "price": ("product",),
    "balance_transaction": ("source",),
    "setup_intent": ("customer",),
    "subscription": ("customer",),
    "invoice": ("customer",),
    "invoiceitem": ("customer",),
    "invoice_payment": ("invoice",),
}


class State:
    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.objects: dict[str, Json] = {}
        self.hidden: dict[str, Json] = {}
        self.order: defaultdict[str, list[str]] = defaultdict(list)
        self.position: dict[str, int] = {}
        self.index: defaultdict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
        for _, (thing, hidden) in keeper.rows("object"):
            self.add(thing, hidden)
        keeper.waiting.clear()

    def add(self, thing: Json, hidden: Json | None = None) -> Json:
        key, kind = thing["id"], thing["object"]
        self.objects[key] = thing
        if hidden is not None:
            self.hidden[key] = hidden
        self.position[key] = len(self.order[kind])
        self.order[kind].append(key)
        for field in INDEXED.get(kind, ()):
            if thing.get(field) is not None:  # a deleted customer's stub has no fields
                self.index[kind, field, thing[field]][key] = None
        self.keeper.keep("object", key, (thing, self.hidden.get(key)))
        return thing

    def get(self, key: str, kind: str) -> Json | None:
        thing = self.objects.get(key)
        return thing if thing is not None and thing["object"] == kind else None

    def change(self, thing: Json, **changes: Any) -> Json:
        """Write the fields that differ, and say what they were (of metadata: only the keys that differ)."""
        previous: Json = {}
        kind, key = thing["object"], thing["id"]
        indexed = INDEXED.get(kind, ())
        for field, new in changes.items():
            old = thing.get(field)
            if old == new:
                continue
            previous[field] = previous_metadata(old, new) if field == "metadata" else old
            thing[field] = new
            if field in indexed:
                if old is not None:
                    self.index[kind, field, old].pop(key, None)
                if new is not None:
                    self.index[kind, field, new][key] = None
        self.keeper.keep("object", key, (thing, self.hidden.get(key)))
        return previous

    def secret(self, thing: Json) -> Json:
        """What the sandbox knows of an object and Stripe does not show."""
        return self.hidden.setdefault(thing["id"], {})

    def remember(self, thing: Json, **facts: Any) -> None:
        self.secret(thing).update(facts)
        self.keeper.keep("object", thing["id"], (thing, self.hidden.get(thing["id"])))

    def remove(self, thing: Json, *, leaving: Json | None = None) -> None:
        """Its place in the order stays, so that a cursor may still point at it; `leaving` is what a reader then finds."""
        key, kind = thing["id"], thing["object"]
        if leaving is None:
            del self.objects[key]
        else:
            self.objects[key] = leaving
        self.hidden.pop(key, None)
        for field in INDEXED.get(kind, ()):
            if thing[field] is not None:
                self.index[kind, field, thing[field]].pop(key, None)
        self.keeper.keep("object", key, (leaving, None) if leaving else None)

    def ids(self, kind: str, **equal: str) -> Sequence[str]:
        """Oldest first, of one kind; narrowed by the first indexed field among those given."""
        for field, value in equal.items():
            if field in INDEXED.get(kind, ()):
                return list(self.index.get((kind, field, value), ()))
        return self.order[kind]

    def all(self, kind: str, **equal: str) -> list[Json]:
        found = (self.objects.get(key) for key in self.ids(kind, **equal))
        return [o for o in found if o is not None and all(o.get(field) == value for field, value in equal.items())]


def previous_metadata(old: Json | None, new: Json | None) -> Json:
    before, after = old or {}, new or {}
    return {key: before.get(key) for key in {*before, *after} if before.get(key) != after.get(key)}


def merged_metadata(old: Json | None, given: Any) -> Json:
    """Stripe's rule: keys merge, an empty value removes a key, an empty string for the whole removes all."""
    if given == "" or given == {}:
        return {}
    merged = dict(old or {})
    for key, value in given.items():
        if value == "":
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged
