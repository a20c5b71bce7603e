"""Pictures in HLG, PQ and BT.2020 come out in the brightness and colours of common ones."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from knuckle.demo import demo_clip
from knuckle.video import open_source

#: Linear BT.709 to linear BT.2020 (ITU-R BT.2087).
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
LUMINANCE = np.array([0.2627, 0.6780, 0.0593])


def coded(light: np.ndarray, transfer: str) -> np.ndarray:
    """Codes 0…1 of linear BT.2020 light whose white paper is at 203 of 1000 cd/m²."""
    if transfer == "smpte2084":
        power = (203 * light / 10_000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    if transfer == "arib-std-b67":
        scene = 0.203 * light
        scene = scene * np.maximum(scene @ LUMINANCE, 1e-6)[..., None] ** (1 / 1.2 - 1)
        upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        return np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)
    return light ** (1 / 2.4)


def write_wide(path: Path, picture: np.ndarray, transfer: str) -> Path:
    """A video of 10 bits in BT.2020 that shows (H, W, 3) uint8 RGB of BT.709."""
    codes = coded((picture / 255.0) ** 2.4 @ TO_BT2020.T, transfer)
    frame = av.VideoFrame.from_ndarray(np.uint16(codes * 65535), format="rgb48le")
    tags = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    with av.open(str(path), "w") as container:
        options = {"x264-params": tags, "crf": "8"}
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p10le"
        for _ in range(2):
            container.mux(stream.encode(frame.reformat(format="yuv420p10le", dst_colorspace=9)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67", "bt2020-10"])
def test_wide_video_looks_as_a_common_one(transfer: str, tmp_path: Path) -> None:
    with open_source(demo_clip()) as source:
        common = next(source).image
    with open_source(write_wide(tmp_path / "wide.mp4", common, transfer)) as source:
        shown = next(source).image
    off = shown.astype(float) - common
    assert np.abs(off).mean() < 6
    assert np.abs(off.mean(axis=(0, 1))).max() < 5


def test_what_is_brighter_than_paper_is_not_cut_off(tmp_path: Path) -> None:
    paper_and_lamp = np.full((64, 128, 3), 255.0)
    paper_and_lamp[:, 64:] *= 1.5  # of the code: 2.6 times the light
    with open_source(write_wide(tmp_path / "lamp.mp4", paper_and_lamp, "smpte2084")) as source:
        image = next(source).image
    paper, lamp = image[:, :60].mean(), image[:, 68:].mean()
    assert 235 < paper < lamp - 3 < 252
