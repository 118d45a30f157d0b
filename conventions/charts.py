"""Bar and line charts as SVG, drawn on the server: no script, colours by classes (static/charts.css) so that both themes fit.

A picture has a name and a sentence for those who cannot see it; the page puts the figures themselves in a table beneath
(templates/admin/charts.html). Heights are integers of the values' own units; nothing is rounded but the place on the
screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import slugify

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 12, 26
MOST_LABELS = 7
LONGEST_LABEL = 28
RANKING_WIDTH, ROW = 560, 32


@dataclass(frozen=True, kw_only=True)
class Series:
    """One value for each label of the chart; None where there is nothing to tell."""

    name: str
    values: Sequence[int | None]
    look: str = "first"  # first, second, bad: a class of the style sheet


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture, the sum above it, and beneath the same figures as a table. `key` says which look is which series."""

    title: str
    sum: str
    note: str
    picture: SafeString
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    url: str
    key: Sequence[Series] = ()


def nice_ticks(largest: int, *, most: int = 5) -> list[int]:
    """From zero in steps of 1, 2 or 5 times a power of ten, up to the first that covers `largest`."""
    if largest <= 0:
        return [0, 1]
    for power in count():
        for step in (10**power, 2 * 10**power, 5 * 10**power):
            if -(-largest // step) < most:
                return [step * n for n in range(-(-largest // step) + 1)]
    raise AssertionError  # the steps grow without end


def bars(*, title: str, told: str, labels: Sequence[str], series: Sequence[Series], show: Callable[[int], str]) -> SafeString:
    """Bars for each label, of the first series; further series are drawn within the bar of the first."""
    top, ticks = _scale(value for one in series for value in one.values)
    step = _step(labels)
    shapes = [
        _bar(one, place, label, 0, value, top, step, show)
        for one in series
        for place, (label, value) in enumerate(zip(labels, one.values, strict=True))
        if value
    ]
    return _picture(title, told, [*_grid(ticks, top, show), *shapes, *_labels(labels, step)])


def stacks(*, title: str, told: str, labels: Sequence[str], series: Sequence[Series], show: Callable[[int], str]) -> SafeString:
    """A bar for each label, of parts that add up: the first series at the foot, each further one upon it."""
    floors = [0] * len(labels)
    step = _step(labels)
    top, ticks = _scale(sum(value or 0 for value in parts) for parts in zip(*(one.values for one in series), strict=True))
    shapes = []
    for one in series:
        for place, (label, value) in enumerate(zip(labels, one.values, strict=True)):
            if value:
                shapes.append(_bar(one, place, label, floors[place], value, top, step, show))
                floors[place] += value
    return _picture(title, told, [*_grid(ticks, top, show), *shapes, *_labels(labels, step)])


def lines(*, title: str, told: str, labels: Sequence[str], series: Sequence[Series], show: Callable[[int], str]) -> SafeString:
    """A line for each series, broken where there is no value; the first is filled beneath."""
    top, ticks = _scale(value for one in series for value in one.values)
    step = _step(labels)
    shapes: list[SafeString] = []
    for one in series:
        for run in _runs(one.values):
            points = [(LEFT + step * (place + 0.5), _y(value, top)) for place, value in run]
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            if one.look == "first":
                floor = HEIGHT - BOTTOM
                area = f"{path}L{points[-1][0]:.1f} {floor}L{points[0][0]:.1f} {floor}Z"
                shapes.append(format_html('<path class="area {}" d="{}"/>', one.look, area))
            shapes.append(format_html('<path class="line {}" d="{}"/>', one.look, path))
            for (place, value), (x, y) in zip(run, points, strict=True):
                dot = '<circle class="dot {}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>'
                told_here = f"{labels[place]}: {one.name} {show(value)}"
                radius = "3" if len(run) == 1 or len(labels) <= 31 else "1.5"
                shapes.append(format_html(dot, one.look, f"{x:.1f}", f"{y:.1f}", radius, told_here))
    return _picture(title, told, [*_grid(ticks, top, show), *shapes, *_labels(labels, step)])


def ranking(*, title: str, told: str, labels: Sequence[str], values: Sequence[int], show: Callable[[int], str]) -> SafeString:
    """Bars that lie, the name above each and its value at the right."""
    top = max(values, default=0) or 1
    shapes = []
    for place, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = place * ROW
        short = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
        shape = format_html(
            '<text class="name" x="0" y="{}">{}</text><text class="value" x="{}" y="{}">{}</text>'
            '<rect class="track" x="0" y="{}" width="{}" height="8" rx="4"/>'
            '<rect class="mark first" x="0" y="{}" width="{}" height="8" rx="4"><title>{}</title></rect>',
            y + 14,
            short,
            RANKING_WIDTH,
            y + 14,
            show(value),
            y + 21,
            RANKING_WIDTH,
            y + 21,
            f"{max(3.0, RANKING_WIDTH * value / top):.1f}",
            f"{label}: {show(value)}",
        )
        shapes.append(shape)
    height = max(1, len(labels)) * ROW
    return _picture(title, told, shapes, size=(RANKING_WIDTH, height))


def _scale(values: Iterable[int | None]) -> tuple[int, list[int]]:
    ticks = nice_ticks(max((value for value in values if value), default=0))
    return ticks[-1], ticks


def _step(labels: Sequence[str]) -> float:
    """From one label to the next."""
    return (WIDTH - LEFT - RIGHT) / max(1, len(labels))


def _bar(
    one: Series, place: int, label: str, floor: int, value: int, top: int, step: float, show: Callable[[int], str]
) -> SafeString:
    """Of `value`, standing on `floor`."""
    # At most 24 wide, and a gap of a quarter between two.
    width = min(24.0, step * 0.75)
    y = _y(floor + value, top)
    return format_html(
        '<rect class="mark {}" x="{}" y="{}" width="{}" height="{}" rx="{}"><title>{}</title></rect>',
        one.look,
        f"{LEFT + step * (place + 0.5) - width / 2:.1f}",
        f"{y:.1f}",
        f"{width:.1f}",
        f"{_y(floor, top) - y:.1f}",
        "2" if width > 6 else "0",
        f"{label}: {one.name} {show(value)}",
    )


def _y(value: int, top: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top


def _runs(values: Sequence[int | None]) -> list[list[tuple[int, int]]]:
    """The stretches without a gap, each a list of place and value."""
    runs: list[list[tuple[int, int]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((place, value))
    return [run for run in runs if run]


def _grid(ticks: Sequence[int], top: int, show: Callable[[int], str]) -> list[SafeString]:
    grid = '<path class="grid" d="M{} {}H{}"/><text class="tick" x="{}" y="{}">{}</text>'
    return [
        format_html(grid, LEFT, f"{_y(tick, top):.1f}", WIDTH - RIGHT, LEFT - 8, f"{_y(tick, top) + 4:.1f}", show(tick))
        for tick in ticks
    ]


def _labels(labels: Sequence[str], step: float) -> list[SafeString]:
    """Not every label: as many as can be read, evenly, so that the last (today) is among them."""
    every = max(1, -(-len(labels) // MOST_LABELS))
    text = '<text class="label" x="{}" y="{}">{}</text>'
    return [
        format_html(text, f"{LEFT + step * (place + 0.5):.1f}", HEIGHT - 8, label)
        for place, label in enumerate(labels)
        if (len(labels) - 1 - place) % every == 0
    ]


def _picture(title: str, told: str, shapes: Sequence[SafeString], size: tuple[int, int] = (WIDTH, HEIGHT)) -> SafeString:
    """`role="img"` makes it one thing for a screen reader: its title and description, not its parts."""
    inside = format_html_join("", "{}", ((shape,) for shape in shapes))
    name = f"chart-{slugify(title)}"
    picture = (
        '<svg class="chart" role="img" viewBox="0 0 {} {}" aria-labelledby="{}" aria-describedby="{}-told">'
        '<title id="{}">{}</title><desc id="{}-told">{}</desc>{}</svg>'
    )
    return format_html(picture, size[0], size[1], name, name, name, title, name, told, inside)
