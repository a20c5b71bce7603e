"""What a rig's fit is made of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from knuckle.hand import BONES, MEAN_LENGTHS_MM, N_JOINTS
from knuckle.track.uncertainty import Uncertainty
from knuckle.views.fit import _bone_part, _shape_rows
from rigs import hand_mm, look
from rigs import rig as make_rig

seeds = st.integers(0, 2**32 - 1)


def strain_of(off_mm: np.ndarray, seed: int) -> float:
    """By how many expected errors a camera's depths are off if joints are, along its axis."""
    (camera, _), joints = make_rig(2).cameras, hand_mm(np.random.default_rng(seed))
    seen = look(camera, joints)
    rows, _ = _shape_rows(camera, joints, Uncertainty.of(seen.raw), seen.raw)
    along = camera.T_camera_from_world.rotation[2]
    return float(np.linalg.norm(rows @ (off_mm[:, None] * along).ravel()))


@settings(max_examples=20)
@given(seeds, st.floats(-10, 10), st.floats(-10, 10), st.floats(-0.04, 0.04))
def test_a_camera_is_not_believed_about_distance_and_tilt(
    seed: int, tilt: float, turn: float, farther: float
) -> None:
    camera = make_rig(2).cameras[0]
    seen = camera.T_camera_from_world(hand_mm(np.random.default_rng(seed)))
    sideways = seen[:, :2] - seen[:, :2].mean(axis=0)
    off = sideways @ np.tan(np.radians([tilt, turn])) + farther * seen[:, 2].mean()
    assert strain_of(off, seed) < 2
    # The same depths, each at another joint, are not those of a hand that is tilted.
    mixed = np.random.default_rng(seed).permutation(off)
    assert strain_of(mixed, seed) >= strain_of(off, seed) - 1e-6


@settings(max_examples=20)
@given(seeds)
def test_bones_pull_downhill_and_hold_every_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, sigma = rng.normal(0, 60, (N_JOINTS, 3)), rng.uniform(0.5, 3, len(BONES))

    def cost(x: np.ndarray) -> float:
        length = np.linalg.norm(x[BONES[:, 1]] - x[BONES[:, 0]], axis=1)
        return float((((length - MEAN_LENGTHS_MM) / sigma) ** 2).sum() / 2)

    H, pull = _bone_part(x, MEAN_LENGTHS_MM, sigma)
    step = rng.normal(0, 1e-4, x.shape)
    slope = cost(x + step) - cost(x - step)
    np.testing.assert_allclose(slope, -2 * (pull @ step.ravel()), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(H, H.T)
    assert np.linalg.eigvalsh(H).min() > -1e-6
    turned = Rotation.random(random_state=seed % 2**31).as_matrix()
    again, _ = _bone_part(x @ turned.T, MEAN_LENGTHS_MM, sigma)
    of_both = np.kron(np.eye(N_JOINTS), turned)
    np.testing.assert_allclose(again, of_both @ H @ of_both.T, atol=1e-6)
