"""The page: self-contained, escaped, the same bytes for the same data."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sm_dl.contract.figures import FanPanel, Fans, Figure, Lines, Report, Table, write_report_data
from sm_dl.reports.page import draw

VOID = {"meta", "link", "wbr", "path", "use"}


class Page(HTMLParser):
    """Collects tags, ids, attributes and text; complains about a tag that does not close."""

    def __init__(self, path: Path) -> None:
        """Parse a page."""
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag."""
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag without content."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Match an end with its beginning."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember text."""
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        """Return all values of an attribute."""
        return [value for key, value in self.attributes if key == name]


PageOf = Callable[..., Page]


@pytest.fixture
def page_of(tmp_path: Path, report: Callable[..., Report]) -> PageOf:
    """Return a function from the parts of a report to its page."""

    def draw_and_parse(*figures: Figure, **changes: object) -> Page:
        write_report_data(report(*figures, **changes), tmp_path)
        return Page(draw(tmp_path))

    return draw_and_parse


def test_no_string_of_the_data_becomes_markup(folder: Path) -> None:
    assert not {"script", "frac"} & set(Page(draw(folder)).tags)


def test_every_string_of_the_data_can_be_read(folder: Path, markup: str) -> None:
    text = "".join(Page(draw(folder)).text)
    written = (folder / "report.json").read_text().count(json.dumps(markup))
    assert text.count(markup) == written + 1  # the title is also the window's


def test_every_tag_is_closed(folder: Path) -> None:
    assert Page(draw(folder)).open == []


def test_nothing_is_loaded_from_anywhere(folder: Path) -> None:
    page = Page(draw(folder))
    links = page.values("src") + page.values("href")
    assert all(link.startswith("#") or link == "data:," for link in links)


def test_the_page_forbids_scripts_and_the_network(folder: Path) -> None:
    assert any("default-src 'none'" in value for value in Page(draw(folder)).values("content"))


def test_no_id_is_used_twice(
    panel: Callable[..., FanPanel], curves: Callable[..., Lines], page_of: PageOf
) -> None:
    page = page_of(curves(a=[1.0, 2]), curves(a=[1.0, 2]), Fans("F", [panel(), panel()]))
    assert len(page.values("id")) == len(set(page.values("id"))) > 0


def test_the_same_data_are_the_same_bytes_in_another_process(folder: Path) -> None:
    first = draw(folder).read_bytes()
    subprocess.run(
        [sys.executable, "-m", "sm_dl.report", str(folder)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert (folder / "index.html").read_bytes() == first


def test_the_page_does_not_know_where_it_lies(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(folder / "report.json", elsewhere)
    assert draw(elsewhere).read_bytes() == draw(folder).read_bytes()


def test_only_data_and_page_are_left_in_the_folder(folder: Path) -> None:
    draw(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "report.json"]


def test_figures_come_in_their_order(page_of: PageOf) -> None:
    text = "".join(page_of(Table("B", [], []), Table("A", [], []), title="T").text)
    assert re.findall(r"^[ABT]$|Job", text, re.MULTILINE) == ["T", "T", "B", "A", "Job"]


def test_figures_without_a_value_say_so(
    panel: Callable[..., FanPanel], curves: Callable[..., Lines], page_of: PageOf
) -> None:
    empty = panel(history=[], truth=[], quantiles={})
    page = page_of(curves(a=[None]), Fans("F", [empty]))
    assert "".join(page.text).count("No values to draw.") == 2


def test_a_score_that_is_no_number_is_a_dash(page_of: PageOf) -> None:
    assert "\N{EN DASH}" in page_of(scores={"loss": float("nan")}).text


def test_an_empty_report_is_a_page(page_of: PageOf) -> None:
    assert "h2" not in page_of(scores={}, job={}).tags


def test_numbers_stand_on_the_right(page_of: PageOf) -> None:
    table = Table("T", ["name", "value", "mixed"], [["a", 1.5, "b"], [None, None, 2]])
    assert page_of(table).values("class").count("number") == 3


@pytest.mark.parametrize("count", [1, 3])
def test_the_legend_of_fans_stands_once(
    count: int, panel: Callable[..., FanPanel], page_of: PageOf
) -> None:
    page = page_of(Fans("F", [panel(f"series {index}") for index in range(count)]))
    assert "".join(page.text).count("median forecast") == 1


def test_a_band_is_named_by_the_share_of_outcomes_it_should_hold(
    panel: Callable[..., FanPanel], page_of: PageOf
) -> None:
    text = "".join(page_of(Fans("F", [panel()])).text)
    assert re.findall(r"(\d+) % interval", text) == ["80", "40"]


def test_inner_bands_are_darker(panel: Callable[..., FanPanel], page_of: PageOf) -> None:
    page = page_of(Fans("F", [panel()]))
    shades = [float(style[9:]) for style in page.values("style") if style.startswith("--shade")]
    assert shades == sorted(shades) == [0.2, 0.36]


def test_the_job_is_shown_to_its_depth(page_of: PageOf) -> None:
    text = page_of(job={"a": {"b": {"c": 1e-05}}, "d": [{"e": True}], "f": {}}).text
    words = [word.strip() for word in text if word.strip()]
    expected = ["a", "b", "c", "1e-05", "d", "1", "e", "true", "f", "none"]
    assert " ".join(words[words.index("Job") + 1 : -1]).split() == expected
