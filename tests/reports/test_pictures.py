"""A contact sheet stands in the page itself, and holds JPEG files alone."""

import base64

import numpy as np
import pytest

from sm_dl.contract.figures import Picture, Pictures, write_report_data
from sm_dl.data.image import jpeg_bytes
from sm_dl.reports.page import draw
from sm_dl.reports.pictures import SHOWN_PX, shown


def _picture(height: int = 28, width: int = 28, **changes: object) -> Picture:
    content = jpeg_bytes(np.zeros((height, width, 3), dtype=np.uint8))
    values = {
        "caption": "cat, 90 %", "jpeg": base64.b64encode(content).decode(),
        "width_px": width, "height_px": height,
    }  # fmt: skip
    return Picture(**{**values, **changes})


def test_the_page_holds_the_picture_and_its_words(report, tmp_path) -> None:
    picture = _picture(detail="is dog")
    write_report_data(report(Pictures("Mistakes", [picture])), tmp_path)
    page = draw(tmp_path).read_text()
    assert f'src="data:image/jpeg;base64,{picture.jpeg}"' in page
    assert "cat, 90 %" in page
    assert "is dog" in page


@pytest.mark.parametrize(("side", "expected"), [(28, 140), (64, 128), (160, 160), (1, 128)])
def test_small_pictures_are_enlarged_by_whole_pixels(side: int, expected: int) -> None:
    (one,) = shown(Pictures("a", [_picture(side, side)]))
    assert (one["width"], one["height"]) == (expected, expected)
    assert one["is_enlarged"] == (expected > side)


def test_proportions_are_kept() -> None:
    (one,) = shown(Pictures("a", [_picture(20, 40)]))
    assert one["width"] == 2 * one["height"] == 40 * round(SHOWN_PX / 40)


@pytest.mark.parametrize(
    "content",
    ["", "no base64!", base64.b64encode(b"<svg onload=alert(1)>").decode(), 'x" onerror="'],
)
def test_what_is_no_jpeg_is_left_out(content: str) -> None:
    assert shown(Pictures("a", [_picture(jpeg=content)])) == []


def test_captions_are_text_and_an_empty_sheet_says_so(report, markup, tmp_path) -> None:
    sheets = [Pictures("a", [_picture(caption=markup, detail=markup)]), Pictures("b", [])]
    write_report_data(report(*sheets), tmp_path)
    page = draw(tmp_path).read_text()
    assert "<script>" not in page
    assert "No pictures to show." in page
