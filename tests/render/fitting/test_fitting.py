"""Fitting the hand to its own joints gives it back, wherever it is and whatever is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.camera import Camera
from knuckle.hand import BONES, bone_lengths
from knuckle.metrics import pa_mpjpe
from knuckle.render.fitting import MIN_JOINTS, FitSettings, HandFit, fit_hands, fit_hands_2d
from knuckle.render.fitting.labels import Labels
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import RANGES_DEG, constrain, sample_poses

N = 48
CAMERA = Camera(900.0, 905.0, 322.0, 238.0)


def rotations(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 3, 3) proper rotations, evenly from all."""
    turns = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    turns[:, :, 0] *= np.linalg.det(turns)[:, None]
    return turns


@pytest.fixture(scope="module")
def truth() -> tuple[HandParameters, np.ndarray]:
    """Hands of many people, poses, sides and places, and their joints (N, 21, 3)."""
    rng = np.random.default_rng(11)
    params = HandParameters(
        pose_deg=sample_poses(rng, N),
        shape=sample_shapes(rng, N, HandModel.load().n_shape),
        R_camera_from_hand=rotations(rng, N),
        root_mm=rng.normal((0, 0, 800), 90, (N, 3)),
        side=tuple(rng.choice(["left", "right"], N).tolist()),
    )
    return params, HandModel.load().joints(params).astype(np.float64)


@pytest.fixture(scope="module")
def fit(truth: tuple[HandParameters, np.ndarray]) -> HandFit:
    params, joints = truth
    return fit_hands(joints, side=params.side)


def errors(fit: HandFit, joints: np.ndarray) -> np.ndarray:
    """(N, 21) mm."""
    return np.linalg.norm(fit.joints_mm - joints, axis=-1)


def test_its_own_joints_come_back(truth: tuple[HandParameters, np.ndarray], fit: HandFit) -> None:
    _, joints = truth
    assert fit.converged.all()
    error = errors(fit, joints)
    assert error.mean() < 0.4
    assert error.mean(axis=1).max() < 1.0  # a child's hand is an unusual one: pulled a little
    assert np.allclose(error, fit.residual)


def test_sharper_labels_come_back_sharper(truth: tuple[HandParameters, np.ndarray]) -> None:
    params, joints = truth
    sharp = fit_hands(joints, side=params.side, settings=FitSettings(joint_sigma_mm=0.2))
    assert errors(sharp, joints).mean() < 0.1


def test_the_model_poses_the_parameters_to_the_joints(fit: HandFit) -> None:
    assert np.abs(HandModel.load().joints(fit.parameters) - fit.joints_mm).max() < 1e-2
    assert np.allclose(np.linalg.det(fit.parameters.R_camera_from_hand), 1, atol=1e-4)


def test_the_mesh_comes_back_too(truth: tuple[HandParameters, np.ndarray], fit: HandFit) -> None:
    model = HandModel.load()
    on_hand = model.part != 16  # the joints say nothing about the forearm
    apart = np.linalg.norm(model.vertices(fit.parameters) - model.vertices(truth[0]), axis=-1)
    assert np.median(apart[:, on_hand]) < 1.5


@pytest.mark.parametrize("missing", [5, 10])
def test_missing_joints_are_filled_in(
    truth: tuple[HandParameters, np.ndarray], missing: int
) -> None:
    params, joints = truth
    rng = np.random.default_rng(missing)
    valid = np.ones((N, 21), bool)
    for row in valid:
        row[rng.choice(21, missing, replace=False)] = False
    labels = np.where(valid[..., None], joints, np.nan)
    fit = fit_hands(labels, valid, params.side)
    error = errors(fit, joints)
    assert error[valid].mean() < 0.5
    assert error[valid].max() < 3.0
    assert np.median(error[~valid]) < 5.0
    assert np.isnan(fit.residual[~valid]).all() and np.isfinite(fit.residual[valid]).all()
    # It knows what it does not know.
    assert fit.joint_sigma_mm[~valid].mean() > 2 * fit.joint_sigma_mm[valid].mean()


def test_expected_errors_are_the_size_of_the_errors(
    truth: tuple[HandParameters, np.ndarray],
) -> None:
    params, joints = truth
    sigma = 3.0
    noisy = joints + np.random.default_rng(2).normal(0, sigma, joints.shape)
    fit = fit_hands(noisy, side=params.side, settings=FitSettings(joint_sigma_mm=sigma))
    error = errors(fit, joints)
    assert error.mean() < 0.75 * np.linalg.norm(noisy - joints, axis=-1).mean()
    assert np.sqrt((error**2 / fit.joint_sigma_mm**2).mean()) == pytest.approx(1.0, abs=0.3)


def test_a_wrong_label_does_not_bend_the_rest(truth: tuple[HandParameters, np.ndarray]) -> None:
    params, joints = truth
    rng = np.random.default_rng(4)
    wrong = np.zeros((N, 21), bool)
    wrong[np.arange(N), rng.integers(21, size=N)] = True
    labels = joints + 50.0 * wrong[..., None] * rotations(rng, N)[:, None, :, 0]
    fit = fit_hands(labels, side=params.side)
    error = errors(fit, joints)
    assert np.median(error[~wrong]) < 0.7 and error[~wrong].mean() < 1.2
    assert np.median(fit.residual[wrong]) > 35  # it shows up


@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_where_the_hand_is_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joints, turn = _some_joints(rng), rotations(rng, 1)[0]
    shift = rng.normal(0, 300, 3)
    here, there = fit_hands(joints), fit_hands(joints @ turn.T + shift)
    assert np.abs(here.joints_mm @ turn.T + shift - there.joints_mm).max() < 0.05
    assert np.abs(here.parameters.pose_deg - there.parameters.pose_deg).max() < 0.3
    assert np.abs(here.parameters.shape - there.parameters.shape).max() < 0.05


@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_a_mirrored_hand_has_the_mirrored_fit(seed: int) -> None:
    joints = _some_joints(np.random.default_rng(seed))
    mirror = np.array([-1.0, 1.0, 1.0])
    right, left = fit_hands(joints, side="right"), fit_hands(joints * mirror, side="left")
    assert np.array_equal(right.joints_mm * mirror, left.joints_mm)
    assert np.array_equal(right.parameters.pose_deg, left.parameters.pose_deg)
    assert np.array_equal(right.parameters.shape, left.parameters.shape)


def _some_joints(rng: np.random.Generator) -> np.ndarray:
    """(2, 21, 3) of hands that are not quite the model's."""
    params = HandParameters(
        constrain(rng.uniform(RANGES_DEG[..., 0], RANGES_DEG[..., 1], (2, 17, 3)) * 0.6),
        rng.normal(0, 1, (2, HandModel.load().n_shape)),
        rotations(rng, 2),
        np.zeros((2, 3)),
    )
    return HandModel.load().joints(params) + rng.normal(0, 1.5, (2, 21, 3))


def test_hands_do_not_depend_on_their_neighbours(truth: tuple[HandParameters, np.ndarray]) -> None:
    params, joints = truth
    alone = fit_hands(joints[7:8], side=params.side[7])
    among = fit_hands(joints, side=params.side)
    assert np.abs(alone.joints_mm[0] - among.joints_mm[7]).max() < 1e-3


def test_angles_stay_near_what_anatomy_allows() -> None:
    """Joints that only a broken finger could reach are reached half-way at most."""
    straight = HandParameters.at_rest(1, HandModel.load().n_shape)
    pose = straight.pose_deg.copy()
    pose[0, 5, 0] = -60  # the index finger's middle joint, far backwards
    broken = HandParameters(pose, straight.shape, straight.R_camera_from_hand, straight.root_mm)
    fit = fit_hands(HandModel.load().joints(broken))
    assert fit.parameters.pose_deg[0, 5, 0] > -45


def test_too_few_joints_give_no_hand(truth: tuple[HandParameters, np.ndarray]) -> None:
    params, joints = truth
    valid = np.ones((N, 21), bool)
    valid[3, MIN_JOINTS - 1 :] = False
    fit = fit_hands(joints, valid, params.side)
    assert not fit.converged[3] and np.isnan(fit.joints_mm[3]).all()
    assert fit.converged[:3].all() and np.isfinite(np.delete(fit.joints_mm, 3, axis=0)).all()


def test_no_hands_give_no_fit() -> None:
    fit = fit_hands(np.zeros((0, 21, 3)))
    assert len(fit) == 0 and fit.residual.shape == (0, 21)


def test_what_cannot_be_fitted_is_refused() -> None:
    joints = np.zeros((2, 21, 3))
    with pytest.raises(ValueError, match=r"\(N, 21, 3\)"):
        fit_hands(joints[0])
    with pytest.raises(ValueError, match="valid of shape"):
        fit_hands(joints, np.ones((2, 20), bool))
    with pytest.raises(ValueError, match="one side or 2 sides"):
        fit_hands(joints, side=("left",) * 3)
    with pytest.raises(ValueError, match="finite"):
        fit_hands(joints * np.nan)
    with pytest.raises(ValueError, match="one camera or 2 cameras"):
        fit_hands_2d(joints[..., :2], [CAMERA], 1.0)
    with pytest.raises(ValueError, match="sigma_px"):
        fit_hands_2d(joints[..., :2], CAMERA, 0.0)
    with pytest.raises(ValueError, match=r"bone_depth of shape \(2, 20\)"):
        fit_hands_2d(joints[..., :2], CAMERA, 1.0, bone_depth=np.zeros(20))
    with pytest.raises(ValueError, match="outlier must be positive"):
        FitSettings(outlier=0.0)


# --- from a picture alone ------------------------------------------------------------------------


def test_keypoints_become_a_likely_hand(truth: tuple[HandParameters, np.ndarray]) -> None:
    params, joints = truth
    rng = np.random.default_rng(3)
    points = CAMERA.project(joints)
    noisy = points + rng.normal(0, 2.0, points.shape)
    fit = fit_hands_2d(noisy, CAMERA, 2.0, side=params.side)
    off = np.linalg.norm(CAMERA.project(fit.joints_mm) - points, axis=-1)
    # Anatomy takes some of the noise away, and tells the depth.
    assert np.median(off) < 0.8 * np.median(np.linalg.norm(noisy - points, axis=-1))
    assert np.median(pa_mpjpe(fit.joints_mm, joints)) < 6.0
    residual = np.linalg.norm(CAMERA.project(fit.joints_mm) - noisy, axis=-1)
    assert np.allclose(residual, fit.residual)


def test_a_joint_of_which_little_is_known_follows_the_others(
    truth: tuple[HandParameters, np.ndarray],
) -> None:
    params, joints = truth
    joints, side = joints[:16], params.side[:16]
    points = CAMERA.project(joints)
    sigma = np.ones((16, 21))
    sigma[:, 7] = 50.0
    noisy = points.copy()
    noisy[:, 7] += 40.0
    fit = fit_hands_2d(noisy, CAMERA, sigma, side=side)
    off = np.linalg.norm(CAMERA.project(fit.joints_mm) - points, axis=-1)
    assert np.median(off[:, 7]) < 8.0


def test_the_mirror_holds_in_pictures_too(truth: tuple[HandParameters, np.ndarray]) -> None:
    camera = Camera(900.0, 900.0, 0.0, 0.0)
    points = camera.project(truth[1][:4])
    right = fit_hands_2d(points, camera, 1.0, side="right")
    left = fit_hands_2d(points * [-1.0, 1.0], camera, 1.0, side="left")
    assert np.allclose(right.joints_mm * [-1.0, 1.0, 1.0], left.joints_mm)


def test_each_hand_may_have_its_own_camera(truth: tuple[HandParameters, np.ndarray]) -> None:
    params, joints = truth
    cameras = [CAMERA, Camera(1500.0, 1500.0, 100.0, 50.0, (-0.2, 0.05, 0.0, 0.0))]
    points = np.stack([c.project(j) for c, j in zip(cameras, joints[:2], strict=True)])
    fit = fit_hands_2d(points, cameras, 0.5, side=params.side[:2])
    for camera, found, seen in zip(cameras, fit.joints_mm, points, strict=True):
        assert np.linalg.norm(camera.project(found) - seen, axis=-1).mean() < 0.5


def leans(joints_mm: np.ndarray) -> np.ndarray:
    """(N, 20) share of each bone's length that leads away from the camera."""
    bones = joints_mm[:, BONES[:, 1]] - joints_mm[:, BONES[:, 0]]
    return bones[..., 2] / np.linalg.norm(bones, axis=-1)


def test_knowing_how_bones_lean_tells_the_depth(truth: tuple[HandParameters, np.ndarray]) -> None:
    params, joints = truth
    rng = np.random.default_rng(5)
    noisy = CAMERA.project(joints) + rng.normal(0, 4.0, (N, 21, 2))
    alone = fit_hands_2d(noisy, CAMERA, 4.0, side=params.side)
    known = leans(joints)
    known[:, ::2] = np.nan  # of half of the bones nothing is known
    told = fit_hands_2d(
        noisy, CAMERA, 4.0, side=params.side, bone_depth=known, bone_depth_sigma=0.05
    )
    off = [np.abs(leans(fit.joints_mm) - leans(joints)).mean(axis=0) for fit in (alone, told)]
    assert off[1][1::2].mean() < 0.4 * off[0][1::2].mean()
    assert off[1][::2].mean() < off[0][::2].mean()  # and the others follow
    assert pa_mpjpe(told.joints_mm, joints).mean() < 0.8 * pa_mpjpe(alone.joints_mm, joints).mean()


def test_to_know_of_no_bone_how_it_leans_changes_nothing(
    truth: tuple[HandParameters, np.ndarray],
) -> None:
    points, side = CAMERA.project(truth[1][:4]), truth[0].side[:4]
    nothing = np.full((4, 20), np.nan)
    told = fit_hands_2d(points, CAMERA, 2.0, side=side, bone_depth=nothing)
    assert np.allclose(told.joints_mm, fit_hands_2d(points, CAMERA, 2.0, side=side).joints_mm)


def test_slopes_of_leans_are_their_derivatives(truth: tuple[HandParameters, np.ndarray]) -> None:
    joints = truth[1][:3]
    rng = np.random.default_rng(7)
    slopes = rng.normal(size=(3, 21, 3, 2))
    said, weight = rng.uniform(-1, 1, (3, 20)), rng.uniform(1, 5, (3, 20))
    labels = Labels(joints, np.ones((3, 21)), None, said, weight)
    for k, step in enumerate(np.eye(2) * 1e-4):
        here = labels.lean_misses(joints, slopes)
        there = labels.lean_misses(joints + slopes @ step, slopes)
        assert here is not None and there is not None
        np.testing.assert_allclose((there[0] - here[0]) / 1e-4, here[1][..., k], atol=1e-4)


def test_a_hand_of_average_size_is_as_far_as_it_is() -> None:
    params = HandParameters(
        np.zeros((1, 17, 3)), np.zeros((1, HandModel.load().n_shape)), np.eye(3)[None],
        np.array([[20.0, -30.0, 700.0]]),
    )  # fmt: skip
    joints = HandModel.load().joints(params)
    fit = fit_hands_2d(CAMERA.project(joints), CAMERA, 0.3)
    assert bone_lengths(fit.joints_mm[0])[8] == pytest.approx(83.4, rel=0.06)
    assert fit.joints_mm[0, 0, 2] == pytest.approx(700, rel=0.06)
