"""Headers of images: what they say, and what is refused before it is decoded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sm_dl.data.image_header import is_image, read_header
from sm_dl.errors import UserError
from tests.data.images import encoded, rgb
from tests.golden import content, expected, needs_golden

SEEDS = [encoded(rgb()), encoded(rgb(), "JPEG"), encoded(rgb(), "JPEG", progressive=True)]


@needs_golden
def test_golden_images_have_their_sizes() -> None:
    for name, listed in expected("mxnet")["images"].items():
        header = read_header(content(f"images/{name}"), name)
        assert (header.height_px, header.width_px) == (listed["height"], listed["width"])


@pytest.mark.parametrize(
    ("image", "kind", "options", "text"),
    [
        (rgb(), "PNG", {}, "PNG 30 x 20 (3 x 8 bit)"),
        (rgb()[:, :, 0], "PNG", {}, "PNG 30 x 20 (1 x 8 bit)"),
        (np.zeros((2, 3), np.uint16), "PNG", {}, "PNG 3 x 2 (1 x 16 bit)"),
        (Image.new("P", (3, 2)), "PNG", {}, "PNG 3 x 2 (palette)"),
        (Image.new("RGBA", (3, 2)), "PNG", {}, "PNG 3 x 2 (4 x 8 bit)"),
        (Image.new("CMYK", (3, 2)), "JPEG", {}, "JPEG 3 x 2 (4 x 8 bit)"),
        (rgb(), "JPEG", {"progressive": True, "comment": b"x" * 999}, "JPEG 30 x 20 (3 x 8 bit)"),
    ],
)
def test_a_header_says_what_pillow_wrote(image, kind: str, options: dict, text: str) -> None:
    assert str(read_header(encoded(image, kind, **options), "a")) == text


@pytest.mark.parametrize("begin", [b"", b"GIF89a\x01\x00", b"BM\x00\x00", b"\xff\xd8", b"\x89PN"])
def test_other_formats_are_named_by_their_first_bytes(begin: bytes) -> None:
    assert not is_image(begin)
    found = f"bytes {begin.hex(' ')}" if begin else "nothing"
    if begin.startswith(b"GIF"):
        found = "a GIF image"
    with pytest.raises(UserError, match=f"a: expected a JPEG or PNG image; got {found}"):
        read_header(begin, "a")


@pytest.mark.parametrize("whole", SEEDS)
def test_a_header_cut_at_any_byte_is_refused(whole: bytes) -> None:
    size = str(read_header(whole, "a"))
    for cut in range(len(whole)):
        try:
            assert str(read_header(whole[:cut], "a")) == size
        except UserError as error:
            assert str(error).startswith("a: ")  # noqa: PT017 - both ways out are right


@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4),
)
def test_damaged_headers_are_read_or_refused(seed: bytes, edits: list[tuple[int, int]]) -> None:
    damaged = bytearray(seed)
    for at, byte in edits:
        damaged[at] = byte
    try:
        header = read_header(bytes(damaged), "a")
    except UserError as error:
        assert str(error).startswith("a: ")  # noqa: PT017 - both ways out are right
    else:
        assert 0 < header.height_px <= 65535
