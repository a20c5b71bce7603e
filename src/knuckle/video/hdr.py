"""Video of more brightness and colour than a common screen has (HLG, PQ, BT.2020), as it shows it.

Networks have learnt from common pictures; codes of the others, taken for such, are dull and dark.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc

_BT2020, _PQ, _HLG = map(int, (ColorPrimaries.BT2020, ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67))
#: Linear BT.2020 to linear BT.709 (ITU-R BT.2087), and the luminance of BT.2020.
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
#: Luminance of diffuse white and of the peak in HDR video, cd/m² (BT.2408).
_WHITE, _PEAK = 203.0, 1000.0
#: Share of white above which highlights are compressed rather than clipped.
_KNEE = 0.8
#: Of an SDR display (BT.1886).
_GAMMA = 2.4
#: Bits of each channel that index the table of all colours: with all eight it would take 64 MB.
_TABLE_BITS = 7


def tone_mapped(rgb: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """The picture in the brightness and colours of BT.709.

    The frame that ``rgb`` was decoded from says what its codes mean.

    Returns:
        (H, W, 3) uint8; ``rgb`` itself where that is what they are already.
    """
    transfer, wide = int(frame.color_trc), int(frame.color_primaries) == _BT2020
    if transfer not in (_PQ, _HLG) and not wide:
        return rgb
    # Odd codes lie between two entries: every other pixel takes the next one, as in a chessboard.
    rows, columns = np.ogrid[: rgb.shape[0], : rgb.shape[1]]
    up = ((rows + columns) & 1).astype(np.uint8)
    index = np.zeros(rgb.shape[:2], np.int32)
    for channel in range(3):
        index = (index << _TABLE_BITS) | (
            np.minimum(rgb[..., channel], 254) + up >> (8 - _TABLE_BITS)
        )
    screen = _table(transfer, wide)[index]  # (H, W) of four bytes, of which three are used
    return screen.view(np.uint8).reshape(*rgb.shape[:2], 4)[..., :3]


@cache
def _table(transfer: int, wide: bool) -> np.ndarray:
    """(2^21,) uint32: of every colour the red, green, blue and an unused byte of the screen."""
    codes = np.arange(0, 256, 2 ** (8 - _TABLE_BITS), dtype=np.float32) / 255
    curve = _linear_light(codes, transfer)
    light = np.stack(np.meshgrid(curve, curve, curve, indexing="ij"), axis=-1).reshape(-1, 3)
    if transfer == _HLG:  # tells the light of the scene: on a screen what is bright is brighter
        light *= _PEAK / _WHITE * (light @ _LUMINANCE)[:, None] ** 0.2
    if wide:
        light = light @ _TO_BT709.T
    roots = np.sqrt(np.minimum(_compressed(np.maximum(light, 0)), 1))  # a power for each takes long
    powers = 255 * (np.arange(4096) / 4095) ** (2 / _GAMMA)
    screen = np.zeros((len(roots), 4), np.uint8)
    screen[:, :3] = np.rint(powers).astype(np.uint8)[np.rint(4095 * roots).astype(np.int32)]
    return screen.view(np.uint32)[:, 0]


def _linear_light(codes: np.ndarray, transfer: int) -> np.ndarray:
    """Code values 0…1 to linear light, diffuse white being 1; of HLG, scene light."""
    if transfer == _PQ:  # SMPTE ST 2084
        root = codes ** (1 / 78.84375)
        share = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
        return 10_000 / _WHITE * share ** (1 / 0.1593017578125)
    if transfer == _HLG:  # BT.2100
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    return codes**_GAMMA


def _compressed(light: np.ndarray) -> np.ndarray:
    """(N, 3) linear light with highlights compressed to 1, the hue kept (Reinhard above a knee)."""
    brightest = np.maximum(light.max(axis=1, keepdims=True), 1e-9)
    over = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    most = (_PEAK / _WHITE - _KNEE) / (1 - _KNEE)
    kept = np.minimum(over * (1 + over / most**2) / (1 + over), 1)
    return light * (np.minimum(brightest, _KNEE) + (1 - _KNEE) * kept) / brightest
