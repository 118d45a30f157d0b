"""Reading events: by id, and listed with filters and cursors."""

from sandbox.box import Box
from sandbox.call import Call, Text
from sandbox.events import Event
from sandbox.listing import created_fits, window
from sandbox.problems import Problem, no_such

MAX_TYPES = 20


def find(box: Box, key: str) -> Event:
    event = box.events.by_id.get(key)
    if event is None:
        raise no_such("event", key)
    return event


def retrieve(call: Call) -> Text:
    return Text(find(call.box, call.names["id"]).text())


def index(call: Call) -> Text:
    events, params = call.box.events, call.params
    if "type" in params and "types" in params:
        raise Problem("You may only specify one of these parameters: type, types.")
    if len(params.get("types", [])) > MAX_TYPES:
        raise Problem(f"You can pass at most {MAX_TYPES} types.", param="types")
    types = params.get("types") or ([params["type"]] if "type" in params else None)
    delivered = params.get("delivery_success")

    def fits(key: str) -> bool:
        event = events.by_id[key]
        return (
            (types is None or any(matches(event.type, one) for one in types))
            and (delivered is None or delivered == (not event.undelivered))
            and created_fits(params.get("created"), event.created)
        )

    page, more = window(order=events.order, position=events.position, fits=fits, params=params, label="event")
    data = ", ".join(events.by_id[key].text() for key in page)
    more_text = "true" if more else "false"
    return Text(f'{{"object": "list", "data": [{data}], "has_more": {more_text}, "url": "/v1/events"}}')


def matches(kind: str, wish: str) -> bool:
    """`charge.*` stands for all that begin with `charge.`"""
    return kind == wish or (wish.endswith("*") and kind.startswith(wish[:-1]))
