"""Whatever people call an image, as what Knuckle calls one: (H, W, 3) uint8 RGB."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from knuckle.errors import InputError, warn

#: 16-bit pictures that are nowhere brighter were mostly recorded with 8, 10 or 12 bits.
_12_BITS = 2**12 - 1
#: So far beside 0 and 1 arithmetic may leave a floating point pixel: it is rounded to these.
_HALF_A_LEVEL = 0.5 / 255
#: Rows of a floating point picture that are converted at a time.
_ROWS_AT_ONCE = 32


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Convert an image to contiguous RGB ``uint8``; an image that is already that is not copied.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA. ``uint8``; ``uint16`` over its
            full range (0..65535); or floating point in 0..1. Grey is repeated over the channels;
            alpha is dropped. A warning tells of ``uint16`` that looks like fewer bits.

    Returns:
        (H, W, 3) ``uint8``, contiguous.

    Raises:
        TypeError: not an array of numbers.
        ValueError: another shape, no pixels, another type, or floating point values that are not
            finite or not in 0..1. A range is never guessed: a dark picture in 0..255 and a bright
            one in 0..1 cannot be told apart.
    """
    check_array(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise InputError(
            f"expected an image of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got "
            f"{image.shape}; put the channels last and pass one image at a time"
        )
    if image.size == 0:
        raise InputError(f"the image has no pixels: its shape is {image.shape}")
    pixels = _to_uint8(image)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2RGB)
    return np.ascontiguousarray(pixels[..., :3])


def check_array(image: object) -> None:
    """Refuse what is no array with a ``TypeError`` that says how it becomes one."""
    if image is None:
        raise TypeError(
            "expected an image as a NumPy array (H, W, 3) uint8 RGB, got None, which is what "
            "OpenCV gives where it cannot read: check the path or the camera"
        )
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"expected an image as a NumPy array (H, W, 3) uint8 RGB, got {_named(image)}; "
            f"{how_it_becomes_one(image)}"
        )


def _named(thing: object) -> str:
    """What kind of thing it is, and of a tensor its shape, type and where it is."""
    name = type(thing).__name__
    if not _is_tensor(thing):
        return name
    parts = [getattr(thing, part, "?") for part in ("shape", "dtype", "device")]
    return f"{name} of shape {tuple(parts[0])}, {parts[1]}, on {parts[2]}"


def _is_tensor(thing: object) -> bool:
    """Whether it is PyTorch's, which need not be installed."""
    return hasattr(thing, "detach") and hasattr(thing, "cpu") and hasattr(thing, "shape")


def how_it_becomes_one(image: object) -> str:
    """What to do with what is no array, such as a picture of PIL's or a tensor of PyTorch's."""
    if _is_tensor(image):
        return f"use {_as_array(image)}"
    if hasattr(image, "convert"):  # PIL's: its own array may be a palette, inks, or on its side
        return (
            'use numpy.asarray(PIL.ImageOps.exif_transpose(picture).convert("RGB")), or give its '
            "path to knuckle.open_source"
        )
    return "use numpy.asarray on a picture object, knuckle.open_source on a path"


def _as_array(tensor: Any) -> str:
    """The expression that makes an image of a tensor called ``image``."""
    steps = ["image"]
    shape = tuple(tensor.shape)
    if len(shape) == 4:
        steps, shape = ["image[0]"], shape[1:]
    steps += ["detach()"] * bool(getattr(tensor, "requires_grad", False))
    steps += ["float()"] * ("bfloat16" in str(tensor.dtype))  # which NumPy does not know
    steps += ["cpu()"]
    if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
        steps += ["permute(1, 2, 0)"]
    return ".".join([*steps, "numpy()"])


def _to_uint8(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.dtype == np.uint16:
        warn_of_fewer_bits(int(image.max()))
        return (image >> 8).astype(np.uint8)
    if np.issubdtype(image.dtype, np.floating):
        low, high = float(image.min()), float(image.max())  # NaN wherever there is one
        if not (low > -_HALF_A_LEVEL and high < 1.0 + _HALF_A_LEVEL):
            raise InputError(
                f"floating point images must be in 0..1, found {low:g} to {high:g}; scale the "
                "image or convert it to uint8"
            )
        return _of_shares(image)
    if image.dtype == bool:
        raise InputError(
            "expected uint8, uint16 or floating point pixels, got bool, as a mask has: pass the "
            "picture itself, or one in black and white as image.astype(numpy.uint8) * 255"
        )
    raise InputError(
        f"expected uint8, uint16 or floating point pixels, got {image.dtype}; if they are in "
        "0..255, pass image.astype(numpy.uint8)"
    )


def _of_shares(image: np.ndarray) -> np.ndarray:
    """Pixels in 0..1 as ``uint8``: a few rows at a time, which stay in the processor's cache."""
    pixels = np.empty(image.shape, np.uint8)
    kind = np.promote_types(image.dtype, np.float32)  # half precision would round twice
    for start in range(0, len(image), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        levels = np.multiply(image[rows], 255, dtype=kind)
        np.rint(levels, out=levels)
        pixels[rows] = np.clip(levels, 0, 255, out=levels)
    return pixels


def warn_of_fewer_bits(brightest: int) -> None:
    """Warn where 16-bit pixels look like 8, 10 or 12 bits."""
    if 0 < brightest <= _12_BITS:
        bits = next(n for n in (8, 10, 12) if brightest < 2**n)
        convert = "image.astype(numpy.uint8)" if bits == 8 else f"image << {16 - bits}"
        warn(
            "expected uint16 pixels over the full range 0..65535, found none brighter than "
            f"{brightest}, which is nearly black: if these are {bits}-bit values, pass {convert}",
        )
