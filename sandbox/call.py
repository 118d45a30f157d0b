"""One API request, as its handler sees it; and finding what it names."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.box import Box
from sandbox.problems import no_such
from sandbox.state import Json


@dataclass(kw_only=True)
class Call:
    box: Box
    params: Json
    path: str
    names: dict[str, str] = field(default_factory=dict)  # the {placeholders} of the path
    publishable: bool = False  # made with a pk_ key, as a browser does
    request_id: str = ""
    idempotency_key: str | None = None

    def named(self, kind: str, label: str, placeholder: str) -> Json:
        """The object that the path names."""
        key = self.names[placeholder]
        found = self.box.state.get(key, kind)
        if found is None:
            raise no_such(label, key, param=placeholder)
        return found

    def referred(self, kind: str, label: str, param: str, value: Any = None) -> Json:
        """The object that a parameter names."""
        key = str(self.params[param] if value is None else value)
        found = self.box.state.get(key, kind)
        if found is None or found.get("deleted"):
            raise no_such(label, key, param=param, status=400)
        return found


@dataclass(frozen=True)
class Text:
    """An answer that is JSON text already (events are written once)."""

    text: str
