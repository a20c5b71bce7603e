"""Strokes go where the joints are, and only where there are joints."""

import cv2
import numpy as np
import pytest

from knuckle.draw import SIDE_COLOURS, caption, fixed, sheet, skeleton
from knuckle.hand import BONES

JOINTS = np.random.default_rng(0).uniform(20, 180, (21, 2))
RED = (255, 0, 0)


def drawn(joints_px: np.ndarray, **options: object) -> np.ndarray:
    image = np.zeros((200, 200, 3), np.uint8)
    skeleton(image, joints_px, RED, **options)
    return image


def test_bones_run_from_joint_to_joint():
    image = drawn(JOINTS, thickness=2)
    for parent, child in BONES:
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            x, y = np.round(JOINTS[parent] + share * (JOINTS[child] - JOINTS[parent])).astype(int)
            assert image[y, x, 0] > 150


def test_what_is_not_known_is_not_drawn():
    unknown = JOINTS.copy()
    unknown[4:] = np.nan
    invalid = np.arange(21) < 4
    np.testing.assert_array_equal(drawn(unknown), drawn(JOINTS, valid=invalid))
    assert not drawn(np.full((21, 2), np.nan)).any()
    assert drawn(JOINTS, dot_px=0).sum() < drawn(JOINTS).sum()


def test_a_dot_between_two_pixels_lies_on_both():
    image = drawn(np.tile([50.5, 60.0], (21, 1)), dot_px=3)
    weight = image[..., 0].astype(float)
    rows, columns = np.mgrid[:200, :200]
    assert (weight * columns).sum() / weight.sum() == pytest.approx(50.5, abs=0.1)
    assert (weight * rows).sum() / weight.sum() == pytest.approx(60.0, abs=0.1)


def test_points_far_away_stay_where_opencv_can_count():
    assert max(abs(v) for v in fixed(np.array([[1e12, -1e12]]))[0]) <= 2**20


def test_sheets_are_filled_row_by_row():
    tiles = [np.full((10 + 5 * k, 20, 3), 50 * k + 40, np.uint8) for k in range(3)]
    paper = sheet(tiles, columns=2)
    assert paper.shape == (40, 40, 3)
    assert paper[0, 0, 0] == 40 and paper[0, 20, 0] == 90 and paper[20, 0, 0] == 140
    assert sheet([], columns=4).size


@pytest.mark.parametrize("paper", [0, 255])
def test_captions_can_be_read_on_any_ground(paper: int):
    image = np.full((40, 200, 3), paper, np.uint8)
    caption(image, "hand", (5, 25))
    assert image.max() > 200 and image.min() < 100


#: What people without red, green or blue cones see of linear RGB (Machado and others, 2009).
SEEN = [
    np.eye(3),
    [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
]
#: From the palest to the darkest, and between.
SKINS = [
    (246, 237, 228),
    (236, 196, 170),
    (226, 170, 140),
    (198, 134, 100),
    (130, 92, 67),
    (41, 36, 32),
]


def seen_lab(colours: np.ndarray, by: np.ndarray) -> np.ndarray:
    """(N, 3) sRGB 0..255 as CIE Lab, as some people see them."""
    linear = (np.asarray(colours, float) / 255) ** 2.2
    seen = np.clip(linear @ np.transpose(by), 0, 1) ** (1 / 2.2)
    return cv2.cvtColor(seen[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]


@pytest.mark.parametrize("by", SEEN, ids=["all", "no red", "no green", "no blue"])
def test_sides_are_told_apart_on_any_skin_by_anyone(by):
    sides, skins = np.array([*SIDE_COLOURS.values()], float), np.array(SKINS, float)
    left, right = seen_lab(sides, by)
    assert np.linalg.norm(left - right) > 60  # 2 is the least that people see, 100 black on white
    for side in sides:
        tinted = seen_lab(0.72 * skins + 0.28 * side, by)
        assert np.linalg.norm(tinted - seen_lab(skins, by), axis=1).min() > 9
