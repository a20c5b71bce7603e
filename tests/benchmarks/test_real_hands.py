"""The measuring must be right before what is measured is."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import real_hands
from knuckle.camera import Camera
from knuckle.evaluate.predictions import read_predictions
from knuckle.sample import HandLabel, Sample
from peers.process import MediaPipe, PeerHand

CAMERA = Camera(500.0, 500.0, 128.0, 128.0)
JOINTS = np.random.default_rng(0).uniform(-80, 80, (21, 3)) + np.array([0, 0, 500])


def sample() -> Sample:
    label = HandLabel(side="left", joints_px=CAMERA.project(JOINTS), joints_mm=JOINTS)
    return Sample(image=np.zeros((256, 256, 3), np.uint8), hands=(label,), camera=CAMERA, key="a")


def hand(joints_mm: np.ndarray = JOINTS, side: str = "left", shift_px: float = 0.0) -> PeerHand:
    return PeerHand(side, CAMERA.project(JOINTS) + np.array([shift_px, 0]), joints_mm)


def test_the_truth_has_no_error():
    scores = real_hands.score([sample()], [[hand()]])
    assert (scores.found, scores.side_right, scores.spurious) == (1, 1, 0)
    errors = (scores.keypoints, scores.pa_mm, scores.wrist_mm, scores.middle_mm, scores.absolute_mm)
    np.testing.assert_allclose(errors, 0, atol=1e-9)


def test_each_measure_sees_what_it_should_and_nothing_else():
    moved = real_hands.score([sample()], [[hand(JOINTS + np.array([0, 0, 100]))]])
    assert moved.absolute_mm == pytest.approx(100)
    assert moved.wrist_mm == pytest.approx(0, abs=1e-9)

    scaled = real_hands.score([sample()], [[hand(1.1 * JOINTS)]])
    from_wrist = np.linalg.norm(JOINTS - JOINTS[0], axis=1).mean()
    from_middle = np.linalg.norm(JOINTS - JOINTS[9], axis=1).mean()
    assert scaled.pa_mm == pytest.approx(0, abs=1e-9)
    assert scaled.wrist_mm == pytest.approx(0.1 * from_wrist)
    assert scaled.middle_mm == pytest.approx(0.1 * from_middle)

    side = real_hands.score([sample()], [[hand(side="right")]])
    assert (side.found, side.side_right) == (1, 0)

    box = np.ptp(CAMERA.project(JOINTS), axis=0).max()
    shifted = real_hands.score([sample()], [[hand(shift_px=7.0)]])
    assert shifted.keypoints == pytest.approx(7 / box)


def test_a_missed_hand_costs_as_much_as_one_collapsed_to_a_point():
    scores = real_hands.score([sample(), sample()], [[hand()], []])
    assert (scores.found, scores.side_right) == (0.5, 0.5)
    assert scores.keypoints == pytest.approx(0.5)
    from_wrist = np.linalg.norm(JOINTS - JOINTS[0], axis=1).mean()
    from_centroid = np.linalg.norm(JOINTS - JOINTS.mean(axis=0), axis=1).mean()
    assert scores.wrist_mm == pytest.approx(from_wrist / 2)
    assert scores.pa_mm == pytest.approx(from_centroid / 2)
    assert scores.absolute_mm == pytest.approx(0, abs=1e-9)  # over the found hands


def test_a_hand_elsewhere_is_a_miss_and_spurious():
    scores = real_hands.score([sample()], [[hand(shift_px=1000.0)]])
    assert (scores.found, scores.spurious, scores.keypoints) == (0, 1, 1)


def test_saved_answers_are_read_back_by_the_evaluation(tmp_path):
    path = tmp_path / "mediapipe.jsonl.gz"
    real_hands.save(path, "MediaPipe full", [sample()], [[hand(side="right")]])
    predictions = read_predictions(path)
    (read,) = predictions.hands["a"]
    assert (predictions.system.name, predictions.system.intrinsics) == ("MediaPipe full", "assumed")
    assert read.side == "right"
    np.testing.assert_allclose(read.joints_px, CAMERA.project(JOINTS), atol=0.01)
    np.testing.assert_allclose(read.relative_mm, JOINTS - JOINTS[0], atol=0.01)


@pytest.mark.parametrize("name", real_hands.SETS)
def test_the_truth_of_every_set_scores_nothing_but_hits(shared_data, name):
    samples = list(real_hands.SETS[name](shared_data / name))
    truth = [
        [PeerHand(hand.side, hand.joints_px, hand.joints_mm) for hand in one.hands]
        for one in samples
    ]
    scores = real_hands.score(samples, truth)
    assert (
        scores.hands
        == {
            "real_hand_3d": 120,
            "interhand26m_sample": 6,
            "views_two_hands": 144,
        }[name]
    )
    assert (scores.found, scores.side_right, scores.spurious) == (1, 1, 0)
    np.testing.assert_allclose((scores.keypoints, scores.pa_mm, scores.middle_mm), 0, atol=1e-6)


def test_a_wrong_interpreter_is_named_with_what_it_must_be():
    with pytest.raises(RuntimeError, match=r"environment with mediapipe==0\.10\.21"):
        MediaPipe(Path(sys.executable)).predict([np.zeros((64, 64, 3), np.uint8)])
