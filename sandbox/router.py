"""From a method and a path to a row of a table of templates such as "GET /v1/refunds/{refund}"."""

from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import unquote


class Router:
    """Fixed segments win over placeholders."""

    def __init__(self, templates: Iterable[str]) -> None:
        self.rows: defaultdict[tuple[str, int], list[tuple[str, list[str]]]] = defaultdict(list)
        for template in sorted(templates, key=lambda text: text.count("{")):
            method, _, path = template.partition(" ")
            segments = path.split("/")
            self.rows[method, len(segments)].append((template, segments))

    def find(self, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        given = path.split("/")
        for template, segments in self.rows.get((method, len(given)), ()):
            names = {}
            for segment, value in zip(segments, given, strict=True):
                if segment[:1] == "{":
                    if not value:
                        break
                    names[segment[1:-1]] = unquote(value)
                elif segment != value:
                    break
            else:
                return template, names
        return None
