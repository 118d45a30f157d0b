"""Lists, newest first, paged by cursors as Stripe pages them."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.box import Box
from sandbox.call import Call
from sandbox.problems import Problem, no_such
from sandbox.state import INDEXED, Json

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
PAGING = frozenset({"limit", "starting_after", "ending_before", "expand", "created"})


def window(
    *,
    order: Sequence[str],
    position: dict[str, int],
    fits: Callable[[str], bool],
    params: Json,
    label: str,
) -> tuple[list[str], bool]:
    """One page of ids, newest first, and whether there is more beyond it. `order` is oldest first."""
    limit = params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(
            f"This value must be {'less' if limit > MAX_LIMIT else 'greater'} than or equal to "
            f"{MAX_LIMIT if limit > MAX_LIMIT else 1} (it currently is '{limit}').",
            code="parameter_invalid_integer",
            param="limit",
        )
    if "starting_after" in params and "ending_before" in params:
        raise Problem("You can only specify one of these parameters: starting_after, ending_before.")
    cursor = params.get("starting_after", params.get("ending_before"))
    if cursor is not None and cursor not in position:
        name = "starting_after" if "starting_after" in params else "ending_before"
        raise no_such(label, cursor, param=name, status=400)
    backwards = "ending_before" in params
    place = len(order) if cursor is None else bisect_left(order, position[cursor], key=position.__getitem__)
    if backwards:
        ahead = range(place + 1 if place < len(order) and order[place] == cursor else place, len(order))
    else:
        ahead = range(place - 1, -1, -1)
    found: list[str] = []
    for index in ahead:
        if fits(order[index]):
            found.append(order[index])
            if len(found) > limit:
                break
    page = found[:limit]
    return (page[::-1] if backwards else page), len(found) > limit


def created_fits(wish: Any, created: int) -> bool:
    if wish is None:
        return True
    if isinstance(wish, int):
        return created == wish
    return bool(
        created > wish.get("gt", created - 1)
        and created >= wish.get("gte", created)
        and created < wish.get("lt", created + 1)
        and created <= wish.get("lte", created)
    )


def listed(
    call: Call,
    kind: str,
    *,
    label: str,
    url: str,
    extra: Callable[[Box, Json], bool] | None = None,
    only: dict[str, str] | None = None,
) -> Json:
    """The page that the call asks for: every parameter but the paging ones is a field to be equal, or in `extra`."""
    box, state = call.box, call.box.state
    equal = {name: value for name, value in call.params.items() if name not in PAGING} | (only or {})
    wish = call.params.get("created")

    def fits(key: str) -> bool:
        thing = state.objects.get(key)
        if thing is None or thing.get("deleted"):
            return False
        return (
            all(thing.get(name) == value for name, value in equal.items())
            and created_fits(wish, thing.get("created", 0))
            and (extra is None or extra(box, thing))
        )

    indexed = {name: str(value) for name, value in equal.items() if name in INDEXED.get(kind, ())}
    order: Sequence[str] = state.ids(kind, **indexed)
    if indexed:
        order = sorted(order, key=state.position.__getitem__)
    page, more = window(order=order, position=state.position, fits=fits, params=call.params, label=label)
    return {"object": "list", "data": [state.objects[key] for key in page], "has_more": more, "url": url}
