"""The code of the page, run in Node.js, gives what Python gives: within 1 px and 1 mm."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from parity import compare

import knuckle
from knuckle.web import lay_out

CLIP = Path(knuckle.__file__).parent / "demo" / "hands.mp4"
PROGRAM = Path(__file__).parents[1] / "build" / "track.mjs"
#: A hand is followed, and a second one comes into the picture.
FIRST, LAST = 36, 62


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("page"))


def frames() -> list[np.ndarray]:
    with knuckle.open_source(CLIP) as source:
        return [frame.image for frame in source if FIRST <= frame.index < LAST]


def seen_by_page(page: Path, images: list[np.ndarray], folder: Path) -> list[list[dict]]:
    """Hands that the page's code finds in frames at 30 a second."""
    height, width = images[0].shape[:2]
    pixels = [np.dstack([image, np.full((height, width), 255, np.uint8)]) for image in images]
    (folder / "frames").write_bytes(np.stack(pixels).tobytes())
    command = ["node", PROGRAM, page, folder / "frames", str(width), str(height), "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [frame["hands"] for frame in json.loads(done.stdout)]


@pytest.mark.parametrize(("scale", "count"), [(1.0, LAST - FIRST), (2.0, 5), (0.3, 5)])
def test_hands_as_in_python(page: Path, tmp_path: Path, scale: float, count: int) -> None:
    images = [cv2.resize(image, None, fx=scale, fy=scale) for image in frames()[:count]]
    seen = seen_by_page(page, images, tmp_path)
    found = compare(images, [i / 30 for i in range(count)], seen)
    assert len(found.px) >= count  # a hand in every frame
    # Where a frame is not averaged down to the detector's size in one step, OpenCV's last bit is
    # another, and the detector draws a slightly other first crop.
    comparable = slice(0 if scale == 1.0 else 1, None)
    # Parts that compute in integers round a last bit that is another to the next step: of a hand in
    # ten a joint is further off.
    assert np.percentile(found.px[comparable], 80) < 1.0
    assert np.percentile(found.mm[comparable], 80) < 1.0
    assert max(found.px[comparable]) < 3.0
    assert max(found.mm[comparable]) < 3.0
    assert max(found.crop_px, default=0.0) < 1.0

    if count > 10:
        assert_both_are_found(seen)


def assert_both_are_found(seen: list[list[dict]]) -> None:
    """Both hands of the clip in the end, each with one number."""
    assert {hand["side"] for hand in seen[-1]} == {"left", "right"}
    sides = {(hand["trackId"], hand["side"]) for hands in seen for hand in hands}
    assert len(sides) == 2


def test_nothing_in_an_empty_picture(page: Path, tmp_path: Path) -> None:
    empty = [np.full((120, 160, 3), 90, np.uint8)] * 3
    assert seen_by_page(page, empty, tmp_path) == [[], [], []]
