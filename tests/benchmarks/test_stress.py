"""Bins must differ in what they say they differ in, and in nothing else."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import stress
import stress_scenes
from peers.process import PeerHand
from stress_scenes import AXES, Conditions, render


def test_the_same_scene_comes_out_the_same():
    first = render(3, Conditions())
    stress_scenes._drawn.cache_clear()
    np.testing.assert_array_equal(render(3, Conditions()).image, first.image)


def test_skin_tones_share_everything_but_the_skin():
    light, dark = (render(0, Conditions(tone=tone)) for tone in (1, 10))
    np.testing.assert_array_equal(light.hands[0].joints_mm, dark.hands[0].joints_mm)
    np.testing.assert_array_equal(light.hand_map, dark.hand_map)
    hand = light.hand_map == 1
    assert light.image[hand].mean() > 1.3 * dark.image[hand].mean()
    same = (light.image == dark.image).all(axis=-1)
    assert same.mean() > 0.5  # the background
    assert not same[hand].any() or same[hand].mean() < 0.05


@pytest.mark.parametrize("size", [10, 80, 400])
def test_hands_are_as_large_as_asked_for(size: int):
    sample = render(1, Conditions(size_px=size))
    assert np.ptp(sample.hands[0].joints_px, axis=0).max() == pytest.approx(size, rel=0.02)


def test_what_hides_the_hand_hides_the_share_asked_for():
    free = (render(0, Conditions()).hand_map == 1).sum()
    for low, high in ((0.2, 0.4), (0.6, 0.8)):
        left = (render(0, Conditions(hidden=(low, high))).hand_map == 1).sum()
        assert low - 0.06 <= 1 - left / free <= high + 0.06  # measured at a quarter of the size


def test_the_camera_moves_no_joint_and_changes_the_picture():
    base = render(2, Conditions())
    cameras = [
        conditions.camera
        for axis in ("light", "blur", "resolution", "picture")
        for conditions in AXES[axis].values()
        if conditions.lamps == "room"
    ]
    for camera in cameras:
        changed = render(2, replace(Conditions(), camera=camera))
        np.testing.assert_array_equal(changed.hands[0].joints_px, base.hands[0].joints_px)
        assert changed.image.shape == base.image.shape
        assert not np.array_equal(changed.image, base.image)


def test_every_bin_has_a_file_of_its_own():
    paths = {
        stress_scenes.bin_path(axis, name, 5, Path("x")) for axis in AXES for name in AXES[axis]
    }
    assert len(paths) == sum(map(len, AXES.values()))


def test_a_peers_answers_are_remembered(tmp_path: Path):
    class Peer:
        asked = 0

        def predict(self, images: list) -> list[list[PeerHand]]:
            self.asked += 1
            hand = PeerHand("left", np.ones((21, 2)), np.full((21, 3), 2.0))
            return [[], [hand], [hand, replace(hand, side="right")]]

    peer, samples = Peer(), [render(0, Conditions())] * 3
    for _ in range(2):
        answers = stress.remembered(peer, samples, tmp_path / "peer.npz")
        assert [[h.side for h in given] for given in answers] == [[], ["left"], ["left", "right"]]
        np.testing.assert_array_equal(answers[1][0].joints_mm, np.full((21, 3), 2.0))
    assert peer.asked == 1


def test_the_ratio_of_skin_tones_is_that_of_the_means():
    rng = np.random.default_rng(0)
    per_scene = rng.uniform(0.02, 0.06, 200)

    def errors(factor: float) -> stress.Errors:
        rows = np.ones((200, 1, 7))
        rows[:, 0, stress.KEYPOINTS] = factor * per_scene
        return stress.Errors(rows)

    ratio, low, high = stress.tone_ratio({"a": errors(1.0), "b": errors(1.2), "c": errors(1.1)})
    assert ratio == pytest.approx(1.2)
    assert low == pytest.approx(1.2) and high == pytest.approx(1.2)  # the same scenes in all bins


@pytest.mark.parametrize("name", ["apart", "gripping"])
def test_of_two_hands_something_is_seen_of_each(name: str):
    sample = render(0, AXES["two hands"][name])
    assert {hand.side for hand in sample.hands} == {"left", "right"}
    assert all(hand.visible.sum() >= 3 for hand in sample.hands)
    gaps = sample.hands[0].joints_mm[:, None] - sample.hands[1].joints_mm[None]
    assert (np.linalg.norm(gaps, axis=-1).min() > 40) == (name == "apart")
