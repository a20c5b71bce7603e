"""Laws of what goes in and comes out."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from dot_world import bone_lengths_mm, true_hand, turn
from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.mask import CropMask
from knuckle.results import Frame, HandPose, TrackedHand

CAMERA = Camera(300, 300, 160, 120)


def a_hand(**changes: object) -> HandPose:
    return replace(true_hand(CAMERA, (10, 20, 400), rotation=turn(30, 10, 5)), **changes)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 3), np.float32),
    ],
)
def test_frames_hold_rgb_only(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8 RGB"):
        Frame(image, 0.0, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("joints_px", np.zeros((21, 3))),
        ("joints_mm", np.zeros((20, 3))),
        ("joint_score", np.zeros(20)),
        ("visible", np.zeros((21, 1))),
        ("joint_sigma_mm", 3.0),
    ],
)
def test_hands_check_their_shapes(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must have shape"):
        a_hand(**{name: value})


def test_numbers_of_a_hand_are_arrays() -> None:
    with pytest.raises(TypeError, match="joints_px must be a NumPy array, got list"):
        a_hand(joints_px=np.zeros((21, 2)).tolist())


def test_hands_check_their_side_and_are_frozen() -> None:
    with pytest.raises(ValueError, match="side must be"):
        a_hand(side="both")
    with pytest.raises(FrozenInstanceError):
        a_hand().side = "left"  # type: ignore[misc]


def test_derived_numbers_agree() -> None:
    hand = a_hand()
    np.testing.assert_allclose(hand.joints_root_mm + hand.root_mm, hand.joints_mm)
    np.testing.assert_allclose(hand.joints_root_mm[0], 0)
    np.testing.assert_allclose(hand.bone_lengths_mm, bone_lengths_mm())
    x0, y0, x1, y1 = hand.box_xyxy
    assert (x0, y0) == tuple(hand.joints_px.min(axis=0))
    assert (x1, y1) == tuple(hand.joints_px.max(axis=0))
    assert hand.joint_angles.shape == (15, 2)
    np.testing.assert_allclose(hand.joint_angles[4:15, 0][[0, 1]], 10, atol=1)


def test_mask_lies_where_the_crop_does() -> None:
    crop = Crop((100, 80), 40, 0.5, True)
    hand = a_hand(crop_mask=CropMask(np.ones((64, 64), np.float32), crop, (240, 320)))
    assert hand.mask.shape == (240, 320) and hand.mask.dtype == bool
    assert hand.mask.sum() == pytest.approx(40**2, rel=0.05)
    assert hand.mask[80, 100] and not hand.mask[10, 10]
    with pytest.raises(ValueError, match="was not segmented"):
        _ = a_hand().mask


def test_a_tracked_hand_is_a_hand() -> None:
    raw = a_hand()
    tracked = TrackedHand(
        **{name: getattr(raw, name) for name in HandPose.__dataclass_fields__},
        track_id=3,
        age_s=0.5,
        raw=raw,
        velocity_mm_s=np.zeros(3),
    )
    assert isinstance(tracked, HandPose)
    np.testing.assert_array_equal(tracked.bone_lengths_mm, raw.bone_lengths_mm)
