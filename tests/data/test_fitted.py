"""What is worked out from 3D joints agrees with what is known, and says where it does not know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.data import shards
from knuckle.data.datasets import open_dataset
from knuckle.data.fitted import (
    DeriveSettings,
    FittedSet,
    believed,
    derive_truth,
    fit_labels,
    lift_keypoints,
)
from knuckle.data.pack import PackSettings, pack
from knuckle.metrics import pa_mpjpe
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.layers import HandLayers, draw_layers
from knuckle.render.poses import sample_poses
from knuckle.sample import UNKNOWN, HandLabel, Sample
from miniatures import InterHandScene, write_interhand

CAMERA = Camera(500.0, 500.0, 160.0, 120.0)
SHAPE = (240, 320)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def hands() -> HandParameters:
    """Two hands side by side, half a metre away; the right one hides a bit of the left one."""
    rng = np.random.default_rng(3)
    up = np.diag([1.0, -1.0, -1.0])
    return HandParameters(
        sample_poses(rng, 2, {"relaxed": 1.0, "splayed": 1.0}),
        sample_shapes(rng, 2, HandModel.load().n_shape, child_share=0.0),
        np.stack([up, up]),
        np.array([[-25.0, 60.0, 480.0], [60.0, 60.0, 560.0]]),
        ("right", "left"),
    )


@pytest.fixture(scope="module")
def truth(hands: HandParameters) -> HandLayers:
    return draw_layers(hands, CAMERA, SHAPE)


@pytest.fixture
def sample(hands: HandParameters) -> Sample:
    """Their joints, and nothing else."""
    joints = HandModel.load().joints(hands).astype(np.float64)
    labels = tuple(
        HandLabel(side=side, joints_px=CAMERA.project(xyz), joints_mm=xyz)
        for side, xyz in zip(hands.sides, joints, strict=True)
    )
    return Sample(image=np.zeros((*SHAPE, 3), np.uint8), hands=labels, camera=CAMERA, key="two")


def test_masks_and_visibility_are_the_true_ones(sample: Sample, truth: HandLayers) -> None:
    derived = derive_truth(sample)
    assert derived.derived == ("hand_map", "visible")
    assert derived.hand_map is not None
    sure = derived.hand_map != UNKNOWN
    assert (derived.hand_map[sure] == truth.hand_map[sure]).mean() > 0.995
    for number in (1, 2):
        known = (derived.hand_map == number).sum() / (truth.hand_map == number).sum()
        assert 0.6 < known < 1.0
    for hand, visible in zip(derived.hands, truth.visible, strict=True):
        assert (hand.visible == visible).mean() > 0.9


def test_a_wider_doubt_leaves_more_open(sample: Sample) -> None:
    narrow = derive_truth(sample, settings=DeriveSettings(within_mm=0.01, beyond_mm=0.01))
    wide = derive_truth(sample, settings=DeriveSettings(within_mm=3.0, beyond_mm=9.0))
    assert narrow.hand_map is not None and wide.hand_map is not None
    assert not (narrow.hand_map == UNKNOWN).any()
    opened = wide.hand_map == UNKNOWN
    assert opened.sum() > 1000 and (narrow.hand_map[opened] == 0).any()
    assert (wide.hand_map[~opened] == narrow.hand_map[~opened]).all()


def test_what_is_labelled_is_kept(sample: Sample) -> None:
    seen = np.zeros(21, bool)
    mine = np.full(SHAPE, 7, np.uint8)
    labelled = replace(
        sample, hands=(replace(sample.hands[0], visible=seen), sample.hands[1]), hand_map=mine
    )
    derived = derive_truth(labelled)
    assert derived.hand_map is mine and derived.hands[0].visible is seen
    assert derived.hands[1].visible is not None
    assert derived.derived == ("visible",)
    assert derive_truth(derived) is derived


def test_without_3d_or_a_camera_nothing_is_made_up(sample: Sample) -> None:
    flat = replace(sample, hands=tuple(replace(hand, joints_mm=None) for hand in sample.hands))
    assert derive_truth(flat) is flat
    unseen = replace(sample, camera=None)
    assert derive_truth(unseen) is unseen


def test_a_hand_that_cannot_be_fitted_is_left_open(sample: Sample, truth: HandLayers) -> None:
    rng = np.random.default_rng(0)
    xyz = sample.hands[1].joints_mm + rng.normal(0, 40, (21, 3))  # no hand at all
    broken = replace(sample, hands=(sample.hands[0], replace(sample.hands[1], joints_mm=xyz)))
    assert believed(fit_labels(broken.hands)).tolist() == [True, False]
    derived = derive_truth(broken)
    assert derived.hand_map is not None
    assert (derived.hand_map[truth.hand_map == 2] == UNKNOWN).all()
    assert derived.hands[1].visible is None and derived.hands[0].visible is not None


def test_a_hand_without_labels_may_be_anywhere(sample: Sample) -> None:
    absent = HandLabel(
        side="left",
        joints_px=np.zeros((21, 2)),
        valid=np.zeros(21, bool),
        joints_mm=np.zeros((21, 3)),
    )
    alone = replace(sample, hands=(sample.hands[0], absent), complete=False)
    derived = derive_truth(alone)
    assert derived.hand_map is not None
    assert set(np.unique(derived.hand_map)) == {1, UNKNOWN}


def test_marks_survive_packing(sample: Sample, tmp_path: Path) -> None:
    derived = derive_truth(sample)
    shards.write_shard(tmp_path / "a.tar", [derived])
    back = next(shards.read_shard(tmp_path / "a.tar"))
    assert back.derived == derived.derived
    assert back.hand_map is not None and (back.hand_map == derived.hand_map).all()


def test_keypoints_are_lifted(sample: Sample, truth: HandLayers) -> None:
    flat = replace(sample, hands=tuple(replace(hand, joints_mm=None) for hand in sample.hands))
    lifted = lift_keypoints(flat)
    assert lifted.derived == ("joints_mm",)
    for hand, true in zip(lifted.hands, sample.hands, strict=True):
        assert pa_mpjpe(hand.joints_mm, true.joints_mm) < 8.0
    derived = derive_truth(lifted)
    assert derived.derived == ("hand_map", "joints_mm", "visible")
    assert derived.hand_map is not None
    sure = derived.hand_map != UNKNOWN
    assert (derived.hand_map[sure] == truth.hand_map[sure]).mean() > 0.97
    assert lift_keypoints(sample) is sample


def test_lifting_takes_doubtful_keypoints_as_such(sample: Sample) -> None:
    hand = sample.hands[0]
    wrong = hand.joints_px.copy()
    wrong[8] += 60.0
    sigma = np.ones(21)
    sigma[8] = 60.0
    for sigma_px, nearer in ((sigma, True), (None, False)):
        label = replace(hand, joints_px=wrong, joints_mm=None, sigma_px=sigma_px)
        lifted = lift_keypoints(replace(sample, hands=(label,)))
        off = np.linalg.norm(CAMERA.project(lifted.hands[0].joints_mm) - hand.joints_px, axis=-1)
        assert (off[8] < 15.0) == nearer


def test_without_intrinsics_a_camera_is_assumed(sample: Sample) -> None:
    unseen = replace(sample, camera=None, hands=(replace(sample.hands[0], joints_mm=None),))
    lifted = lift_keypoints(unseen)
    assert lifted.camera is not None and lifted.camera.assumed
    points = lifted.camera.project(lifted.hands[0].joints_mm)
    assert np.linalg.norm(points - sample.hands[0].joints_px, axis=-1).mean() < 3.0


@pytest.fixture
def interhand(tmp_path: Path) -> Path:
    write_interhand(tmp_path / "ih", InterHandScene({0: 1}, cameras=("1", "2", "3")))
    return tmp_path / "ih"


def test_views_of_a_moment_share_a_fit(interhand: Path) -> None:
    whole = open_dataset(interhand, "train")
    fitted = FittedSet(whole)
    assert len(fitted) == len(whole)
    # Two sequences of right, left, both: four hands each, seen by three cameras.
    assert len(fitted.fit) == 8
    for index in range(len(whole)):
        labels = whole.record(index).hands
        shared, own = fitted.fit_of(index, labels), fit_labels(labels)
        assert len(shared) == len(labels)
        assert np.abs(shared.joints_mm - own.joints_mm).max() < 0.5
        assert np.allclose(HandModel.load().joints(shared.parameters), shared.joints_mm, atol=0.05)


def test_a_fitted_set_packs_with_masks(interhand: Path, tmp_path: Path) -> None:
    fitted = FittedSet(open_dataset(interhand, "train"))
    paths = pack(fitted, tmp_path / "out", PackSettings(size_px=64))
    assert paths[0].name.startswith("interhand26m-")
    packed = list(shards.read(paths))
    assert packed and all(sample.hand_map is not None for sample in packed)
    assert all(sample.derived == ("hand_map", "visible") for sample in packed)
    assert all((sample.hand_map == 1).any() for sample in packed)


def test_views_that_do_not_agree_are_fitted_alone(interhand: Path) -> None:
    whole = open_dataset(interhand, "train")
    fitted = FittedSet(whole)
    hand = whole.record(0).hands[0]
    assert hand.joints_mm is not None
    other = replace(hand, joints_mm=hand.joints_mm * [1.0, 1.0, 1.1])  # not the same hand
    fit = fitted.fit_of(0, [other])
    assert np.abs(fit.joints_mm - fit_labels([other]).joints_mm).max() < 1e-6


def test_the_real_frames(shared_data: Path) -> None:
    fitted = FittedSet(open_dataset(shared_data / "interhand26m_sample"))
    assert believed(fitted.fit).all()
    assert fitted.fit.residual.mean() < 2.5
    for sample in fitted:
        assert sample.hand_map is not None and sample.derived == ("hand_map", "visible")
        # Hands are brighter than the black behind them.
        on_hand = np.isin(sample.hand_map, range(1, len(sample.hands) + 1))
        assert np.median(sample.image[on_hand]) > np.median(sample.image[sample.hand_map == 0])
