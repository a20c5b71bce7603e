"""What counts as an image, and what each kind becomes."""

import re
import tracemalloc

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags

from knuckle import Frame, HandEstimator
from knuckle.image import to_rgb

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def test_rgb_is_passed_on_without_a_copy() -> None:
    assert to_rgb(RGB) is RGB or np.shares_memory(to_rgb(RGB), RGB)


def test_grey_is_repeated() -> None:
    grey = RGB[..., 0]
    for image in (grey, grey[..., None]):
        np.testing.assert_array_equal(to_rgb(image), np.stack([grey] * 3, axis=-1))


def test_alpha_is_dropped() -> None:
    rgba = np.concatenate([RGB, RGB[..., :1]], axis=2)
    np.testing.assert_array_equal(to_rgb(rgba), RGB)


@given(st.floats(-0.0019, 0.0019), st.sampled_from([np.float32, np.float64]))
def test_what_arithmetic_leaves_beside_0_and_1_is_rounded(by: float, dtype: type) -> None:
    """A bright pixel that was 1.0000001 was refused with "must be in 0..1, found 0 to 1"."""
    image = np.array([[0.0, 1.0]], dtype) + dtype(by)
    np.testing.assert_array_equal(to_rgb(image)[0, :, 0], [0, 255])


def test_16_bit_and_floating_point_are_scaled() -> None:
    np.testing.assert_array_equal(to_rgb(RGB.astype(np.uint16) * 257), RGB)
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(to_rgb((RGB / 255).astype(dtype)), RGB)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_large_floating_point_pictures_are_converted_in_little_memory(dtype: type) -> None:
    """A 4K picture of float64 took two copies of its own size, and most of its time for them."""
    image = np.random.default_rng(0).random((2000, 100, 3)).astype(dtype)
    tracemalloc.start()
    try:
        found = to_rgb(image)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(found, np.rint(image.astype(np.float64) * 255).astype(np.uint8))
    assert most < image.size * 2  # its result is half of that


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_order_of_bytes_does_not_matter(order: str) -> None:
    """TIFF and FITS readers give the order of the file."""
    np.testing.assert_array_equal(to_rgb((RGB.astype(np.uint16) * 257).astype(f"{order}u2")), RGB)
    np.testing.assert_array_equal(to_rgb((RGB / 255).astype(f"{order}f4")), RGB)


@pytest.mark.parametrize(
    ("brightest", "says"),
    [
        (255, r"none brighter than 255.*8-bit values, pass image\.astype\(numpy\.uint8\)"),
        (1023, "10-bit values, pass image << 6"),
        (4095, "12-bit values, pass image << 4"),
    ],
)
def test_16_bit_images_that_hold_fewer_bits_are_told(brightest: int, says: str) -> None:
    image = np.zeros((5, 7, 3), np.uint16)
    image[2, 3] = brightest
    with pytest.warns(UserWarning, match=says):
        assert to_rgb(image).max() == brightest >> 8


@pytest.mark.parametrize("brightest", [0, 4096, 65535])
def test_other_16_bit_images_are_passed_in_silence(brightest: int) -> None:
    assert to_rgb(np.full((5, 7), brightest, np.uint16)).max() == brightest >> 8


@pytest.mark.parametrize(
    "view", [RGB[::2, ::-1], RGB[..., ::-1], RGB.transpose(1, 0, 2), np.asfortranarray(RGB)]
)
def test_any_memory_layout_is_understood(view: np.ndarray) -> None:
    assert to_rgb(view).flags.c_contiguous
    np.testing.assert_array_equal(to_rgb(view), view)


def test_one_pixel_is_an_image() -> None:
    assert to_rgb(np.zeros((1, 1, 3), np.uint8)).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((3, 40, 50), np.uint8), "channels last"),
        (np.zeros((1, 4, 5, 3), np.uint8), "one image at a time"),
        (np.zeros(12, np.uint8), "expected an image of shape"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        (np.full((4, 5, 3), np.nan), "found nan"),
        (np.array([[0.5, np.inf]]), "found 0.5 to inf"),
        (np.array([[0.0, 200.0]]), "must be in 0..1, found 0 to 200"),
        (np.array([[-1.0, 0.0]]), "must be in 0..1, found -1 to 0"),
        (np.zeros((4, 5, 3), np.int64), "expected uint8, uint16 or floating point pixels"),
        (np.zeros((4, 5, 3), bool), r"floating point pixels, got bool, as a mask .*\* 255"),
    ],
)
def test_everything_else_is_refused(image: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        to_rgb(image)


@pytest.mark.parametrize("thing", ["hand.jpg", None, [[1, 2], [3, 4]]])
def test_what_is_no_array_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="expected an image as a NumPy array"):
        to_rgb(thing)


class Tensor:
    """As PyTorch's on a graphics card, which ``numpy.asarray`` does not take."""

    shape, dtype, device, requires_grad = (480, 640, 3), "torch.uint8", "cuda:0", False

    def detach(self) -> None: ...
    def cpu(self) -> None: ...


def test_a_tensor_on_a_graphics_card_is_told_what_and_where_it_is() -> None:
    """It was told to use numpy.asarray, which fails."""
    says = r"got Tensor of shape \(480, 640, 3\), torch\.uint8, on cuda:0; use image\.cpu"
    for refuse in (to_rgb, lambda image: Frame(image, 0.0, 0), HandEstimator()):
        with pytest.raises(TypeError, match=r"use image\.cpu\(\)\.numpy\(\)$"):
            refuse(Tensor())
    with pytest.raises(TypeError, match=says):
        to_rgb(Tensor())


@pytest.mark.parametrize("kind", ["uint8", "float32", "bfloat16"])
@pytest.mark.parametrize("first", ["rows", "channels", "batch"])
def test_what_a_tensor_is_told_to_do_makes_it_right(kind: str, first: str) -> None:
    torch = pytest.importorskip("torch")
    image = torch.as_tensor(RGB) if kind == "uint8" else torch.as_tensor(RGB / 255)
    image = image.to(getattr(torch, kind))
    if first != "rows":
        image = image.permute(2, 0, 1)
    if first == "batch":
        image = image[None]
    if kind == "float32":
        image.requires_grad_()
    with pytest.raises(TypeError) as told:
        to_rgb(image)
    advice = re.search(r"use (image.*)$", str(told.value))
    assert advice is not None
    found = to_rgb(eval(advice[1], {"image": image}))
    assert np.abs(found.astype(int) - RGB).max() <= (1 if kind == "bfloat16" else 0)


@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK", "LA", "turned"])
def test_what_a_picture_of_pils_is_told_to_do_makes_it_right(mode: str) -> None:
    flat = np.tile(np.array([200, 40, 40], np.uint8), (4, 6, 1))
    picture, shape = PIL.Image.fromarray(flat), (4, 6, 3)
    if mode == "turned":
        picture.getexif()[ExifTags.Base.Orientation], shape = 6, (6, 4, 3)
    else:
        picture = picture.convert(mode, palette=PIL.Image.Palette.ADAPTIVE)
    with pytest.raises(TypeError) as told:
        to_rgb(picture)
    advice = re.search(r"use (numpy\.asarray\(.*\)), or", str(told.value))
    assert advice is not None
    found = eval(advice[1], {"numpy": np, "PIL": PIL, "picture": picture})
    assert found.shape == shape
    expected = np.asarray(PIL.Image.fromarray(flat).convert("L"))[0, 0] if mode == "LA" else flat
    assert np.abs(found.astype(int) - np.resize(expected, shape)).max() < 8
