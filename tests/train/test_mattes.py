"""Hands cut out of pictures: the matte holds the hand, another place leaves its labels alone."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import knuckle
from knuckle.data.photographs import PhotographStore, is_validation
from knuckle.render.scene import CropSettings, World, render_crops
from knuckle.sample import Sample
from knuckle.train.mattes import Mattes, recomposed
from knuckle.train.recipe import AugmentSettings, SourceSettings
from knuckle.train.streams import endless_photographs
from knuckle.train.weights import finished_keypoints

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from mattes import hand_masks, matte_of

WEIGHTS = Path(knuckle.__file__).parent / "weights"
PLAIN = CropSettings(contact=0, second_hand=0, occluder=0, distractor=0, body=0, surface=0)


@pytest.fixture(scope="module")
def pictures() -> list[Sample]:
    return list(render_crops(np.random.default_rng(3), 6, World.of(), PLAIN))


def test_a_matte_holds_the_hand_and_leaves_out_what_is_far(pictures: list[Sample]) -> None:
    good = 0
    for sample in pictures:
        assert sample.hand_map is not None
        hand = sample.hand_map == 1
        alpha = matte_of(sample, hand.astype(np.float32))
        if alpha is None:
            continue
        good += 1
        assert alpha.shape == hand.shape and alpha.min() >= 0 and alpha.max() <= 1
        assert (alpha[hand] > 0.5).mean() > 0.85
        corners = alpha[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert np.sort(corners)[1] < 0.5  # an arm may fill two of them
    assert good >= 4


def test_no_matte_where_no_hand_is_seen(pictures: list[Sample]) -> None:
    assert matte_of(pictures[0], np.zeros(pictures[0].image.shape[:2], np.float32)) is None


def test_the_shipped_network_says_where_the_hand_is(pictures: list[Sample]) -> None:
    masks = hand_masks(finished_keypoints(WEIGHTS / "keypoints.onnx"), pictures)
    overlaps = []
    for sample, mask in zip(pictures, masks, strict=True):
        hand, seen = sample.hand_map == 1, mask > 0.5
        overlaps.append((hand & seen).sum() / (hand | seen).sum())
    assert np.median(overlaps) > 0.6


def test_another_place_leaves_hand_and_labels(pictures: list[Sample]) -> None:
    sample, rng = pictures[0], np.random.default_rng(0)
    assert sample.hand_map is not None
    alpha = (sample.hand_map == 1).astype(np.float32)
    blue = np.zeros_like(sample.image) + np.array([0, 0, 255], np.uint8)
    there = recomposed(sample, alpha, blue, rng)
    np.testing.assert_array_equal(there.image[alpha == 0], blue[alpha == 0])
    assert (there.image[alpha == 1] != blue[alpha == 1]).any(axis=-1).mean() > 0.9
    np.testing.assert_array_equal(there.hands[0].joints_px, sample.hands[0].joints_px)
    assert len(there.hands) == 1 and there.complete and len(there.ignore_xyxy) == 0


def test_mattes_are_stored(tmp_path: Path) -> None:
    alpha = np.linspace(0, 1, 30 * 20, dtype=np.float32).reshape(30, 20)
    Mattes.of([None, alpha, None]).save(tmp_path / "mattes.npz")
    stored = Mattes.load(tmp_path / "mattes.npz")
    assert len(stored) == 3 and stored.alpha(0) is None and stored.alpha(2) is None
    np.testing.assert_allclose(stored.alpha(1), alpha, atol=1 / 255)
    with pytest.raises(FileNotFoundError, match=r"tools/mattes\.py"):
        Mattes.load(tmp_path / "nothing.npz")


def test_training_draws_photographs_before_other_backgrounds(tmp_path: Path) -> None:
    """All of those with a matte where that is asked for, and none where mattes do not fit."""
    store = tmp_path / "crops.npz"
    image = np.full((64, 64, 3), 90, np.uint8)
    sample = Sample(image=image, hands=(), key="one")
    _store_of(sample).save(store)
    alpha = np.zeros((64, 64), np.float32)
    alpha[20:44, 20:44] = 1
    Mattes.of([alpha]).save(tmp_path / "fitting.npz")
    Mattes.of([alpha, None]).save(tmp_path / "other.npz")
    augment, rng = AugmentSettings(recomposed=1.0), np.random.default_rng(0)

    def first(mattes: str) -> np.ndarray:
        source = SourceSettings(photographs=str(store), mattes=mattes)
        return next(endless_photographs(source, augment, rng)).image

    assert np.abs(first("").astype(int) - image).max() <= 2
    elsewhere = first(str(tmp_path / "fitting.npz"))
    assert np.abs(elsewhere[:10].astype(int) - 90).max() > 10
    with pytest.raises(ValueError, match="2 mattes for 1 photographs"):
        first(str(tmp_path / "other.npz"))


def _store_of(sample: Sample) -> PhotographStore:
    """A store of one picture without a hand, that is trained on."""
    code = cv2.imencode(".png", sample.image)[1].reshape(-1)
    none = np.zeros(2, np.int64)
    group = next(name for name in map(str, range(100)) if not is_validation(name))
    return PhotographStore(
        jpeg=code, jpeg_offsets=np.array([0, len(code)]), keys=np.array([sample.key]),
        datasets=np.array(["set"]), groups=np.array([group]), complete=np.array([True]),
        cameras=np.ones((1, 3), np.float32),
        hand_offsets=none, is_left=np.zeros(0, bool), joints_px=np.zeros((0, 21, 2), np.float32),
        sigma_px=np.zeros((0, 21), np.float32),
        second_px=np.zeros((0, 21, 2), np.float32),
        second_visible=np.zeros((0, 21), np.float32), world_mm=np.zeros((0, 21, 3), np.float32),
        score=np.zeros(0, np.float32), ignore_offsets=none,
        ignore_xyxy=np.zeros((0, 4), np.float32), decoy_offsets=none,
        decoys_xyxy=np.zeros((0, 4), np.float32),
    )  # fmt: skip
