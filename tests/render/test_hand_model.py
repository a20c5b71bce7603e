"""The parametric hand: laws of its kinematics, its skin and its file."""

from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from knuckle.hand import ARTICULATIONS, FINGERS, bone_lengths, joint_angles
from knuckle.render.hand_model import (
    BONE_OF_JOINT,
    FINGER_ROWS,
    FLEXION,
    FOREARM_ROW,
    HAND_LENGTH_SD_MM,
    MEAN_HAND_LENGTH_MM,
    N_BONES,
    N_POSE_ROWS,
    PART_NAMES,
    SPREAD,
    HandModel,
    HandParameters,
    rotation_from_angles,
    sample_shapes,
)
from knuckle.render.poses import RANGES_DEG, sample_poses

MODEL = HandModel.load()


def hands(pose_deg: np.ndarray, shape: np.ndarray | None = None, **place) -> HandParameters:
    n = len(pose_deg)
    return HandParameters(
        pose_deg=pose_deg,
        shape=np.zeros((n, MODEL.n_shape)) if shape is None else shape,
        R_camera_from_hand=place.pop("R", np.tile(np.eye(3), (n, 1, 1))),
        root_mm=place.pop("root", np.zeros((n, 3))),
        **place,
    )


def one_angle(row: int, column: int, degrees: float) -> np.ndarray:
    pose = np.zeros((1, N_POSE_ROWS, 3))
    pose[0, row, column] = degrees
    return pose


poses_in_range = arrays(np.float64, (N_POSE_ROWS, 3), elements=st.floats(0, 1)).map(
    lambda t: (RANGES_DEG[..., 0] + t * (RANGES_DEG[..., 1] - RANGES_DEG[..., 0]))[None]
)
shapes = arrays(np.float64, (1, MODEL.n_shape), elements=st.floats(-2, 2))


# --- the file


def test_the_asset_is_small_and_whole():
    size = resources.files("knuckle.render").joinpath("assets/hand.npz").stat().st_size
    assert size < 2e6
    assert MODEL.n_vertices <= 2400 and len(MODEL.faces) <= 4800
    assert 10 <= MODEL.n_shape == len(MODEL.shape_names) <= 16
    assert MODEL.faces.min() == 0 and MODEL.faces.max() == MODEL.n_vertices - 1
    assert set(np.unique(MODEL.part)) <= set(range(len(PART_NAMES)))
    assert MODEL.nail.min() == 0 and MODEL.nail.max() == 1


def test_the_mesh_is_closed_and_faces_outwards():
    edges = np.concatenate([MODEL.faces[:, [0, 1]], MODEL.faces[:, [1, 2]], MODEL.faces[:, [2, 0]]])
    there = {tuple(edge) for edge in edges.tolist()}
    assert len(there) == len(edges), "an edge is used twice in the same direction"
    assert all((b, a) in there for a, b in there), "the mesh is open"
    a, b, c = (MODEL.vertices_mm[MODEL.faces[:, k]] for k in range(3))
    volume_mm3 = (np.cross(a, b) * c).sum() / 6
    assert 4e5 < volume_mm3 < 2e6  # hand about 0.4 l, with forearm about 1 l


def test_skin_weights_sum_to_one():
    assert MODEL.skin_weight.min() >= 0
    np.testing.assert_allclose(MODEL.skin_weight.sum(1), 1, atol=1e-5)
    assert MODEL.skin_index.max() < N_BONES


def test_nails_lie_on_the_backs_of_the_last_phalanges():
    nails = MODEL.nail > 0.5
    for finger in range(5):
        last = 3 + 3 * finger
        mine = nails & (MODEL.part == last)
        assert mine.sum() >= 5
        to_pad = MODEL.R_hand_from_bone[last][:, 2]
        middle = MODEL.vertices_mm[MODEL.part == last].mean(0)
        assert ((MODEL.vertices_mm[mine] - middle) @ to_pad).mean() < -2
    assert np.isin(MODEL.part[nails], FINGER_ROWS[:, 2]).all()


def test_bone_frames_are_rotations_with_y_along_the_bone():
    frames = MODEL.R_hand_from_bone
    np.testing.assert_allclose(frames @ frames.transpose(0, 2, 1), np.tile(np.eye(3), (19, 1, 1)),
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(np.linalg.det(frames), 1, atol=1e-5)
    for finger, joints in enumerate(FINGERS):
        for k in range(3):
            along = MODEL.joints_mm[joints[k + 1]] - MODEL.joints_mm[joints[k]]
            cosine = along @ frames[FINGER_ROWS[finger, k]][:, 1] / np.linalg.norm(along)
            assert cosine > 0.999


def test_the_flat_hand_lies_in_its_frame():
    joints = MODEL.joints_mm
    np.testing.assert_allclose(joints[0], 0, atol=1e-3)
    np.testing.assert_allclose(joints[9, [0, 2]], 0, atol=1e-3)
    assert joints[9, 1] > 0
    assert joints[FINGERS[0], 0].min() > 0, "the thumb lies on the side of +x"
    assert joints[FINGERS[0, 3], 2] > 0, "the thumb lies before the palm, at +z"


# --- kinematics


def test_pose_zero_is_the_template():
    flat = HandParameters.at_rest(2, MODEL.n_shape)
    np.testing.assert_allclose(MODEL.vertices(flat)[1], MODEL.vertices_mm, atol=1e-3)
    np.testing.assert_allclose(MODEL.joints(flat)[1], MODEL.joints_mm, atol=1e-3)


@given(pose=poses_in_range, shape=shapes)
def test_posing_keeps_bone_lengths(pose, shape):
    posed = MODEL.joints(hands(pose, shape))
    np.testing.assert_allclose(
        bone_lengths(posed), bone_lengths(MODEL.rest_joints(shape)), atol=2e-3
    )


@given(pose=poses_in_range, shape=shapes, seed=st.integers(0, 1000))
def test_a_left_hand_is_the_mirror_image(pose, shape, seed):
    R = random_rotation(seed)
    root = np.array([[10.0, -20.0, 400.0]])
    mirror = np.diag([-1.0, 1.0, 1.0])
    right = hands(pose, shape, R=R[None], root=root)
    # The mirror image of a hand at (R, t) is the other hand at (M R M, M t).
    left = hands(pose, shape, R=(mirror @ R @ mirror)[None], root=root @ mirror, side="left")
    np.testing.assert_allclose(MODEL.joints(left), MODEL.joints(right) @ mirror, atol=1e-2)
    np.testing.assert_allclose(MODEL.vertices(left), MODEL.vertices(right) @ mirror, atol=1e-2)


def test_sides_may_differ_within_a_batch():
    pose = sample_poses(np.random.default_rng(0), 2)
    both = MODEL.joints(hands(pose, side=("left", "right")))
    np.testing.assert_allclose(both[0], MODEL.joints(hands(pose[:1], side="left"))[0], atol=1e-3)
    np.testing.assert_allclose(both[1], MODEL.joints(hands(pose[1:], side="right"))[0], atol=1e-3)


def test_left_faces_point_outwards_too():
    flat = HandParameters.at_rest(1, MODEL.n_shape, side="left")
    vertices = MODEL.vertices(flat)[0]
    a, b, c = (vertices[MODEL.faces_of("left")[:, k]] for k in range(3))
    assert (np.cross(a, b) * c).sum() > 0


@pytest.mark.parametrize("finger", range(5))
@pytest.mark.parametrize("bone", range(3))
def test_flexion_brings_the_tip_towards_the_palm(finger, bone):
    tip = FINGERS[finger, 3]
    before = MODEL.joints_mm
    after = MODEL.joints(hands(one_angle(FINGER_ROWS[finger, bone], FLEXION, 30)))[0]
    palm = before[[0, 5, 9, 13, 17]].mean(0) + np.array([0, 0, 20])
    assert np.linalg.norm(after[tip] - palm) < np.linalg.norm(before[tip] - palm) - 1
    if finger > 0:
        assert after[tip, 2] > before[tip, 2] + 5


@pytest.mark.parametrize("finger", range(1, 5))
def test_spread_moves_a_finger_to_the_thumbs_side(finger):
    after = MODEL.joints(hands(one_angle(FINGER_ROWS[finger, 0], SPREAD, 10)))[0]
    tip = FINGERS[finger, 3]
    assert after[tip, 0] > MODEL.joints_mm[tip, 0] + 5


def test_spread_takes_the_thumb_away_from_the_palm():
    after = MODEL.joints(hands(one_angle(FINGER_ROWS[0, 0], SPREAD, 20)))[0]
    assert after[4, 2] > MODEL.joints_mm[4, 2] + 10


def test_wrist_flexion_brings_palm_and_forearm_together_and_leaves_the_hand():
    bent = hands(one_angle(FOREARM_ROW, FLEXION, 60))
    forearm = MODEL.part == PART_NAMES.index("forearm")
    flat = HandParameters.at_rest(1, MODEL.n_shape)
    moved = MODEL.vertices(bent)[0] - MODEL.vertices(flat)[0]
    assert moved[forearm, 2].mean() > 50  # towards the palm's side
    np.testing.assert_allclose(MODEL.joints(bent), MODEL.joints(flat), atol=1e-4)
    fingers = np.isin(MODEL.part, FINGER_ROWS[1:])
    np.testing.assert_allclose(moved[fingers], 0, atol=1e-4)


def test_radial_deviation_brings_thumb_and_forearm_together():
    forearm = MODEL.part == PART_NAMES.index("forearm")
    bent = MODEL.vertices(hands(one_angle(FOREARM_ROW, SPREAD, 20)))[0]
    assert (bent - MODEL.vertices_mm)[forearm, 0].mean() > 10


@pytest.mark.parametrize("finger", range(1, 5))
def test_joint_angles_read_the_flexions_that_were_posed(finger):
    pose = np.zeros((1, N_POSE_ROWS, 3))
    pose[0, FINGER_ROWS[finger], FLEXION] = 50, 40, 25
    read = joint_angles(MODEL.joints(hands(pose))[0], "right")
    mine = np.isin(ARTICULATIONS, FINGERS[finger])
    flat = joint_angles(MODEL.joints_mm, "right")
    # Not exactly: `joint_angles` sees no palm arch and takes wrist to knuckle for the metacarpal.
    np.testing.assert_allclose((read - flat)[mine, 0], [50, 40, 25], atol=8)


def test_rotation_from_angles_turns_in_the_documented_order():
    def about(axis: str, degrees: float) -> np.ndarray:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return {
            "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
            "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
            "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
        }[axis]

    expected = about("x", 50) @ about("z", -20) @ about("y", 10)
    np.testing.assert_allclose(rotation_from_angles(np.array([50.0, 20.0, 10.0])), expected,
                               atol=1e-6)  # fmt: skip


def test_bone_transforms_carry_the_joints():
    params = hands(sample_poses(np.random.default_rng(3), 5))
    transforms = MODEL.bone_transforms(params)[:, BONE_OF_JOINT]
    carried = (transforms[..., :3] @ MODEL.joints_mm[..., None])[..., 0] + transforms[..., 3]
    np.testing.assert_allclose(carried, MODEL.joints(params), atol=1e-3)


def test_vertices_are_the_weighted_sum_of_four_bones():
    params = hands(sample_poses(np.random.default_rng(4), 3))
    transforms = MODEL.bone_transforms(params)
    homogeneous = np.append(MODEL.vertices_mm, np.ones((MODEL.n_vertices, 1)), axis=1)
    expected = np.zeros((3, MODEL.n_vertices, 3))
    for k in range(4):
        moved = np.einsum("nvij,vj->nvi", transforms[:, MODEL.skin_index[:, k]], homogeneous)
        expected += MODEL.skin_weight[:, k, None] * moved
    np.testing.assert_allclose(MODEL.vertices(params), expected, atol=1e-2)


def test_strong_flexion_keeps_most_of_a_fingers_volume():
    pose = np.zeros((1, N_POSE_ROWS, 3))
    pose[0, FINGER_ROWS[1:], FLEXION] = 85, 100, 60
    area_flat, area_bent = (
        triangle_areas(MODEL.vertices(params)[0])
        for params in (HandParameters.at_rest(1, MODEL.n_shape), hands(pose))
    )
    phalanges = np.isin(MODEL.part[MODEL.faces], FINGER_ROWS[1:]).all(1)
    share = area_bent[phalanges].sum() / area_flat[phalanges].sum()
    assert 0.8 < share < 1.25


# --- shape


def test_coefficient_zero_is_size_alone():
    shape = np.zeros((1, MODEL.n_shape))
    shape[0, 0] = 2.0
    factor = 1 + 2 * HAND_LENGTH_SD_MM / MEAN_HAND_LENGTH_MM
    np.testing.assert_allclose(MODEL.rest_vertices(shape)[0], factor * MODEL.vertices_mm, atol=0.3)
    np.testing.assert_allclose(MODEL.rest_joints(shape)[0], factor * MODEL.joints_mm, atol=0.3)


def test_adults_have_hands_of_adult_length():
    shape = sample_shapes(np.random.default_rng(0), 4000, MODEL.n_shape, child_share=0)
    joints = MODEL.rest_joints(shape)
    length = bone_lengths(joints)[:, [8, 9, 10, 11]].sum(1) + 4
    assert abs(length.mean() - MEAN_HAND_LENGTH_MM) < 2
    assert 9 < length.std() < 14
    low, high = np.percentile(length, [2.5, 97.5])
    assert 155 < low < 165 and 200 < high < 211


def test_children_can_be_had():
    shape = sample_shapes(np.random.default_rng(0), 500, MODEL.n_shape, child_share=1)
    length = bone_lengths(MODEL.rest_joints(shape))[:, [8, 9, 10, 11]].sum(1)
    assert 105 < length.min() < length.max() < 170


@given(shape=shapes)
def test_every_shape_is_a_flat_hand(shape):
    joints = MODEL.rest_joints(shape)[0]
    for finger in FINGERS[1:]:
        bones = np.diff(joints[finger], axis=0)
        bones /= np.linalg.norm(bones, axis=1, keepdims=True)
        assert (bones[:, 1] > 0.998).all()


# --- bad input


@pytest.mark.parametrize(
    "change",
    [
        {"pose_deg": np.zeros((2, 16, 3))},
        {"shape": np.zeros((3, MODEL.n_shape))},
        {"root_mm": np.zeros((2, 2))},
        {"R_camera_from_hand": np.zeros((1, 3, 3))},
        {"side": ("left",)},
        {"side": "both"},
    ],
)
def test_parameters_are_checked(change):
    good = {
        "pose_deg": np.zeros((2, N_POSE_ROWS, 3)),
        "shape": np.zeros((2, MODEL.n_shape)),
        "R_camera_from_hand": np.zeros((2, 3, 3)),
        "root_mm": np.zeros((2, 3)),
    }
    with pytest.raises(ValueError, match=r"expected|must be"):
        HandParameters(**{**good, **change})


def random_rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return q * np.sign(np.linalg.det(q))


def triangle_areas(vertices: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[MODEL.faces[:, k]] for k in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
