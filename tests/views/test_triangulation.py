"""Where rays meet, and which are believed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.views.rig import Rig
from knuckle.views.triangulation import Sight, meet, meet_gated, with_doubt
from rigs import rig as make_rig

seeds = st.integers(0, 2**32 - 1)


def sight_of(rig: Rig, points: np.ndarray, sigma: float = 0.004, shake: np.ndarray | float = 0.0):
    """Rays of a rig's cameras to points (J, 3); ``shake`` is added to them."""
    rays = np.stack([each.camera.rays(each.project(points)) for each in rig.cameras])
    transforms = [each.T_camera_from_world for each in rig.cameras]
    return Sight.of(transforms, rays + shake, np.full(rays.shape[:2], sigma))


@given(seeds, st.integers(2, 5))
def test_exact_rays_meet_in_the_point(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).normal(0, 60, (21, 3))
    found = meet(sight_of(make_rig(count), points))
    np.testing.assert_allclose(found.mm, points, atol=1e-3)
    assert found.strain.max() < 1e-3


@given(seeds)
def test_the_sure_ray_has_its_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 60, (21, 3))
    sight = sight_of(make_rig(3), points, shake=rng.normal(0, 0.01, (3, 21, 2)))
    sigma = sight.sigma.copy()
    sigma[0] /= 1000
    found = meet(Sight(sight.R, sight.t_mm, sight.rays, sigma))
    assert sight.misses(found.mm)[0].max() < 1e-4


def test_errors_are_as_large_as_is_said() -> None:
    rng = np.random.default_rng(1)
    points, sigma = rng.normal(0, 60, (4000, 3)), 0.004
    rig = make_rig(3)
    sight = sight_of(rig, points, sigma, rng.normal(0, sigma, (3, 4000, 2)))
    found = meet(sight)
    error = found.mm - points
    normalised = np.einsum("ji,jik,jk->j", error, found.information, error)
    assert normalised.mean() == pytest.approx(3.0, rel=0.05)  # chi square of three
    assert (found.strain**2).mean() == pytest.approx(1.0, rel=0.05)


@given(seeds, st.integers(0, 3))
def test_a_wrong_ray_is_left_out(seed: int, liar: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 60, (21, 3))
    shake = rng.normal(0, 0.002, (4, 21, 2))
    shake[liar, 7] += 0.12 * np.array([np.cos(seed), np.sin(seed)])
    rig = make_rig(4)
    found = meet_gated(sight_of(rig, points, 0.002, shake))
    assert np.linalg.norm(found.mm[7] - points[7]) < 12
    # A shift along the epipolar lines of the others cannot be seen: it is of no harm then.
    assert found.used[:, 7].sum() >= 2 and found.used[:, :7].mean() > 0.9


def test_two_rays_that_contradict_stay_and_say_so() -> None:
    points = np.zeros((21, 3))
    shake = np.zeros((2, 21, 2))
    shake[0, 4, 1] = 0.08  # across the epipolar lines
    found = meet_gated(sight_of(make_rig(2), points, 0.002, shake))
    assert found.used.all() and found.strain[4] > 10 and found.strain[:4].max() < 0.1


def test_a_camera_that_is_off_as_a_whole_is_doubted() -> None:
    points = np.random.default_rng(0).normal(0, 60, (21, 3))
    shake = np.zeros((3, 21, 2))
    shake[1] = (0.02, 0.03)
    sight = sight_of(make_rig(3), points, 0.003, shake)
    doubted = with_doubt(sight)
    assert doubted.sigma[1].min() > 4 * sight.sigma[1].max()
    np.testing.assert_array_equal(doubted.sigma[[0, 2]], sight.sigma[[0, 2]])
    before = np.linalg.norm(meet(sight).mm - points, axis=1).mean()
    assert np.linalg.norm(meet(doubted).mm - points, axis=1).mean() < before / 3


def test_a_point_that_one_camera_sees_has_no_place() -> None:
    points = np.zeros((21, 3))
    sight = sight_of(make_rig(2), points)
    rays = sight.rays.copy()
    rays[1, 3] = np.nan
    T = [each.T_camera_from_world for each in make_rig(2).cameras]
    found = meet(Sight.of(T, rays, sight.sigma))
    assert np.isnan(found.mm[3]).all() and np.isfinite(found.mm[4:]).all()
