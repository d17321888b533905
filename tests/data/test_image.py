"""Image files to arrays: every kind has one conversion, and no bytes do harm."""

import io
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sm_dl.data.image import decode, decode_mask
from sm_dl.data.pixel_budget import DEFAULT_PIXELS, PIXELS_VARIABLE, pixel_budget
from sm_dl.errors import UserError
from tests.data.images import encoded, png_header, rgb
from tests.golden import FILES, content, expected, needs_golden

IMAGES = [name for name in FILES if name.startswith("images/")]
PIXELS = rgb()


@needs_golden
def test_golden_images_have_their_sums_and_corners() -> None:
    for name, listed in expected("mxnet")["images"].items():
        if "rgb_channel_sums" not in listed:
            continue
        pixels = decode(content(f"images/{name}"), name)
        assert pixels.sum(axis=(0, 1)).tolist() == listed["rgb_channel_sums"]
        assert pixels[0, 0].tolist() == listed["rgb_top_left"]
        assert pixels[-1, -1].tolist() == listed["rgb_bottom_right"]


@needs_golden
@pytest.mark.parametrize("name", ["masks/mask_gray.png", "masks/mask_palette.png"])
def test_golden_masks_have_their_indices(name: str) -> None:
    assert decode_mask(content(name), name).tolist() == expected("masks")[name]["array"]


@needs_golden
@pytest.mark.parametrize("name", IMAGES)
def test_a_golden_image_cut_at_any_byte_is_refused(name: str) -> None:
    whole = content(name)
    for cut in range(len(whole)):
        with pytest.raises(UserError, match=r"^a: "):
            decode(whole[:cut], "a")


@needs_golden
@pytest.mark.parametrize("name", ["masks/mask_gray.png", "masks/mask_palette.png"])
def test_a_golden_mask_cut_at_any_byte_is_refused(name: str) -> None:
    whole = content(name)
    for cut in range(len(whole)):
        with pytest.raises(UserError, match=r"^a: "):
            decode_mask(whole[:cut], "a")


def _grey_of(pixels: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(pixels).convert("L"))


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (Image.fromarray(PIXELS), {}),
        (Image.fromarray(np.dstack([PIXELS, PIXELS[:, :, 0]])), {}),
        (Image.fromarray(PIXELS).quantize(256), {}),
        (
            Image.fromarray(PIXELS),
            {"save_all": True, "append_images": [Image.new("RGB", (30, 20))]},
        ),
    ],
    ids=["rgb", "alpha", "palette", "animated"],
)
def test_png_of_colours_becomes_rgb(image: Image.Image, options: dict[str, Any]) -> None:
    wanted = np.array(image.convert("RGBA"))[:, :, :3]
    found = encoded(image, **options)
    assert (decode(found, "a") == wanted).all()
    assert (decode(found, "a", colours="L") == _grey_of(wanted)).all()


def test_a_transparent_palette_entry_keeps_its_colour() -> None:
    image = Image.new("P", (1, 1))
    image.putpalette([10, 20, 30])
    assert decode(encoded(image, transparency=0), "a").tolist() == [[[10, 20, 30]]]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey_is_repeated_or_kept(kind: str) -> None:
    grey = PIXELS[:, :, 0]
    found = encoded(grey, kind, **({"quality": 100} if kind == "JPEG" else {}))
    colours, alone = decode(found, "a"), decode(found, "a", colours="L")
    assert (colours == alone[:, :, None]).all()
    assert np.abs(alone.astype(int) - grey).max() <= (0 if kind == "PNG" else 3)


def test_sixteen_bits_keep_the_upper_eight() -> None:
    deep = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    assert decode(encoded(deep), "a", colours="L").tolist() == [[0, 0, 1, 255]]
    assert decode(encoded(deep), "a")[0, :, 2].tolist() == [0, 0, 1, 255]


def test_grey_with_alpha_drops_the_alpha() -> None:
    image = Image.new("LA", (2, 1), (77, 0))
    assert decode(encoded(image), "a").tolist() == [[[77] * 3] * 2]


def test_one_bit_becomes_black_and_white() -> None:
    image = Image.fromarray(np.array([[True, False]]))
    assert decode(encoded(image), "a", colours="L").tolist() == [[255, 0]]


def test_cmyk_becomes_nearly_the_rgb_it_was() -> None:
    found = encoded(Image.fromarray(PIXELS).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(decode(found, "a").astype(int) - PIXELS).mean() < 3


def test_a_jpeg_is_what_pillow_decodes() -> None:
    found = encoded(PIXELS, "JPEG")
    with Image.open(io.BytesIO(found)) as image:
        assert np.abs(decode(found, "a").astype(int) - np.array(image)).max() <= 1


JPEGS = {
    "colour": encoded(PIXELS, "JPEG"),
    "grey": encoded(PIXELS[:, :, 0], "JPEG"),
    "CMYK": encoded(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "progressive": encoded(PIXELS, "JPEG", progressive=True),
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("count", [1, 5, 300])
def test_bytes_without_a_meaning_before_the_end_of_a_jpeg_do_no_harm(kind: str, count: int) -> None:
    whole = JPEGS[kind]
    odd = whole[:-2] + b"\x12" * count + whole[-2:]
    assert (decode(odd, "a") == decode(whole, "a")).all()
    assert (
        decode(odd, "a", colours="L", at_least=(5, 5))
        == decode(whole, "a", colours="L", at_least=(5, 5))
    ).all()


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_ends_too_soon_is_refused_though_it_has_an_end(kind: str) -> None:
    whole = JPEGS[kind]
    scan = whole.index(b"\xff\xda")
    second = whole.rindex(b"\xff\xda")
    for odd in (
        whole[:-20] + whole[-2:],
        whole[:-20] + bytes(9) + whole[-2:],
        whole[:scan] + b"\x12" + whole[scan:-20] + whole[-2:],
        whole[:second] + b"\x12" + whole[second:-20] + whole[-2:],
    ):
        with pytest.raises(UserError, match=r"a: the JPEG 30 x 20 .* is damaged or cut short"):
            decode(odd, "a")


def test_without_any_decoder_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("simplejpeg", "PIL.JpegImagePlugin", "PIL.PngImagePlugin"):
        monkeypatch.setitem(sys.modules, name, None)
    for kind in ("PNG", "JPEG"):
        with pytest.raises(UserError, match=r"pip install 'sm_dl\[images\]'"):
            decode(encoded(PIXELS, kind), "a")


def test_orientation_is_left_as_stored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert decode(encoded(PIXELS, "JPEG", exif=exif), "a").shape == PIXELS.shape


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (10_000, 1)])
def test_extreme_shapes_are_decoded(kind: str, shape: tuple[int, int]) -> None:
    assert decode(encoded(np.zeros((*shape, 3), np.uint8), kind), "a").shape == (*shape, 3)


@pytest.mark.parametrize(
    ("size", "at_least", "decoded"),
    [
        ((1080, 1920), (300, 300), (540, 960)),  # not 405 x 720, which takes longer
        ((1081, 1921), (271, 481), (271, 481)),
        ((1081, 1921), (272, 481), (541, 961)),
        ((1080, 1920), (1, 1), (135, 240)),
        ((1, 1), (1, 1), (1, 1)),
        ((1080, 1920), (512, 512), (540, 960)),
        ((500, 375), (300, 300), (500, 375)),
        ((1080, 1920), None, (1080, 1920)),
    ],
)
def test_a_large_jpeg_is_decoded_smaller_where_that_is_enough(
    size: tuple[int, int], at_least: tuple[int, int] | None, decoded: tuple[int, int]
) -> None:
    found = encoded(np.zeros((*size, 3), np.uint8), "JPEG")
    assert decode(found, "a", at_least=at_least).shape == (*decoded, 3)


def test_a_png_bomb_is_refused_before_it_takes_memory() -> None:
    bomb = png_header(60_000, 60_000)
    tracemalloc.start()
    for read in (decode, decode_mask):
        with pytest.raises(UserError):
            read(bomb, "a.png")
    with pytest.raises(UserError) as caught:
        decode(bomb, "a.png")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert str(caught.value) == (
        f"a.png: expected at most {DEFAULT_PIXELS} pixels; got 60000 x 60000. Make the image smaller, "
        "or set the environment variable SM_DL_MAX_IMAGE_PIXELS."
    )


def test_the_budget_of_pixels_is_the_callers() -> None:
    with pytest.raises(UserError, match="at most 599 pixels; got 30 x 20"):
        decode(encoded(PIXELS), "a", max_pixels=599)
    assert decode(encoded(PIXELS), "a", max_pixels=600).shape == PIXELS.shape


@pytest.mark.parametrize("image", [PIXELS, np.zeros((2, 2), np.uint16)])
def test_what_is_no_mask_is_named(image: np.ndarray) -> None:
    with pytest.raises(UserError, match="a: expected a mask: a PNG of one channel with 8 bits"):
        decode_mask(encoded(image), "a")


def test_the_suffix_of_a_name_says_nothing() -> None:
    assert decode(encoded(PIXELS), "a.jpg").shape == PIXELS.shape


SEEDS = [
    encoded(PIXELS),
    encoded(PIXELS, "JPEG"),
    encoded(PIXELS, "JPEG", progressive=True),
    encoded(Image.fromarray(PIXELS).quantize(16)),
    encoded(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
]


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 5000),
)
def test_damaged_images_are_decoded_or_refused(
    seed: bytes, edits: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(seed)
    for at, byte in edits:
        damaged[at % len(damaged)] = byte
    for read in (decode, decode_mask):
        try:
            pixels = read(bytes(damaged[: cut or None]), "a")
        except UserError as error:
            assert str(error).startswith("a: ")  # noqa: PT017 - both ways out are right
        else:
            assert pixels.dtype == np.uint8


def test_the_budget_of_pixels_can_be_set(monkeypatch) -> None:
    num_pixels = PIXELS.shape[0] * PIXELS.shape[1]
    monkeypatch.setenv(PIXELS_VARIABLE, str(num_pixels - 1))
    with pytest.raises(UserError, match=f"expected at most {num_pixels - 1} pixels"):
        decode(encoded(PIXELS), "a")
    monkeypatch.setenv(PIXELS_VARIABLE, f" {num_pixels} ")
    assert decode(encoded(PIXELS), "a").shape == PIXELS.shape
    monkeypatch.delenv(PIXELS_VARIABLE)
    assert pixel_budget() == DEFAULT_PIXELS


@pytest.mark.parametrize("text", ["0", "-1", "5e7", "many", "1" * 13])
def test_a_budget_that_is_no_number_of_pixels_is_refused(text: str) -> None:
    with pytest.raises(
        UserError, match="SM_DL_MAX_IMAGE_PIXELS: expected a whole number of pixels"
    ):
        pixel_budget({PIXELS_VARIABLE: text})
