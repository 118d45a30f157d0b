"""Charts: ticks that people like, marks where they belong, words for those who cannot see them, no style or script."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conventions import charts
from conventions.charts import Series, nice_ticks

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (7, [0, 2, 4, 6, 8]),
        (100, [0, 50, 100]),
        (515_000, [0, 200_000, 400_000, 600_000]),
    ],
)
def test_ticks_are_round_and_cover_the_largest_value(largest: int, ticks: list[int]) -> None:
    assert nice_ticks(largest) == ticks


@given(st.integers(min_value=1, max_value=10**18))
def test_there_are_few_ticks_whatever_the_value(largest: int) -> None:
    ticks = nice_ticks(largest)
    assert 2 <= len(ticks) <= 5
    assert ticks[-2] < largest <= ticks[-1]


def test_bars_are_as_high_as_their_values_and_zero_has_none() -> None:
    picture = drawn(
        charts.bars(
            title="Raised",
            told="all of it",
            labels=["a", "b", "c"],
            series=[Series(name="raised", values=[100, 50, 0])],
            show=str,
        )
    )

    bars = picture.findall(f".//{SVG}rect")
    assert len(bars) == 2
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert heights[0] == pytest.approx(charts.HEIGHT - charts.TOP - charts.BOTTOM)
    assert heights[1] == pytest.approx(heights[0] / 2, abs=0.1)
    assert [bar.findtext(f"{SVG}title") for bar in bars] == ["a: raised 100", "b: raised 50"]


def test_stacks_stand_upon_each_other_and_their_sum_is_the_scale() -> None:
    series = [Series(name="paid", values=[2, 0, 0]), Series(name="failed", values=[1, 3, None], look="bad")]
    picture = drawn(charts.stacks(title="Top-ups", told="", labels=["a", "b", "c"], series=series, show=str))

    marks = picture.findall(f".//{SVG}rect")
    assert [mark.findtext(f"{SVG}title") for mark in marks] == ["a: paid 2", "a: failed 1", "b: failed 3"]
    assert [mark.attrib["class"] for mark in marks] == ["mark first", "mark bad", "mark bad"]
    low, upon, alone = ((float(mark.attrib["y"]), float(mark.attrib["height"])) for mark in marks)
    whole = charts.HEIGHT - charts.TOP - charts.BOTTOM
    assert list(alone) == [charts.TOP, whole]
    assert (low[1], upon[1]) == (pytest.approx(whole * 2 / 3, abs=0.1), pytest.approx(whole / 3, abs=0.1))
    assert upon[0] + upon[1] == pytest.approx(low[0], abs=0.1)
    assert low[0] + low[1] == pytest.approx(charts.HEIGHT - charts.BOTTOM, abs=0.1)


def test_a_line_is_broken_where_there_is_nothing_to_tell() -> None:
    picture = drawn(
        charts.lines(
            title="Delay",
            told="",
            labels=["1", "2", "3", "4"],
            series=[Series(name="average", values=[5, None, 7, 8])],
            show=str,
        )
    )

    lines = [path for path in picture.findall(f".//{SVG}path") if path.attrib["class"].startswith("line")]
    assert [path.attrib["d"].count("L") for path in lines] == [0, 1]
    assert len(picture.findall(f".//{SVG}circle")) == 3


def test_a_chart_has_a_name_and_a_description() -> None:
    picture = drawn(charts.ranking(title="By campaign", told="Wells 5", labels=["Wells"], values=[5], show=str))

    assert picture.attrib["role"] == "img"
    assert (picture.findtext(f"{SVG}title"), picture.findtext(f"{SVG}desc")) == ("By campaign", "Wells 5")
    assert picture.attrib["aria-labelledby"] == picture.find(f"{SVG}title").attrib["id"]
    assert picture.attrib["aria-describedby"] == picture.find(f"{SVG}desc").attrib["id"]


def test_names_are_written_and_never_run() -> None:
    name = "<script>alert(1)</script> & co"
    picture = charts.ranking(title="By campaign", told=name, labels=[name], values=[5], show=str)

    assert "<script" not in picture
    assert drawn(picture).findtext(f"{SVG}desc") == name


def test_charts_use_nothing_that_the_content_policy_forbids() -> None:
    picture = charts.bars(title="Raised", told="", labels=["a"], series=[Series(name="raised", values=[1])], show=str)
    assert "style" not in picture
    assert "http" not in picture


def test_labels_are_few_and_the_last_is_among_them() -> None:
    days = [f"day {n}" for n in range(90)]
    picture = drawn(charts.bars(title="Raised", told="", labels=days, series=[Series(name="raised", values=[1] * 90)], show=str))

    shown = [text.text for text in picture.findall(f".//{SVG}text") if text.attrib["class"] == "label"]
    assert len(shown) <= charts.MOST_LABELS
    assert shown[-1] == "day 89"
