"""Balls say how deep hands are in each other, as the mesh does, and hands come free again."""

from dataclasses import replace

import numpy as np
import pytest

from knuckle.render.contact import gap_mm, mesh_penetration_mm, penetration_mm, resolve
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import sample_poses

N = 6


def away(hands: HandParameters, distance_mm: float) -> HandParameters:
    """Hands further from the camera."""
    return replace(hands, root_mm=hands.root_mm + np.array([0.0, 0.0, distance_mm]))


@pytest.fixture(scope="module")
def crossed() -> tuple[HandParameters, HandParameters]:
    """Right and left hands of many poses and people, palms through each other by some way."""
    rng = np.random.default_rng(4)
    model = HandModel.load()
    still = np.tile(np.eye(3), (N, 1, 1))
    poses = sample_poses(rng, 2 * N, {"relaxed": 1.0, "flat": 1.0})
    shapes = sample_shapes(rng, N, model.n_shape)
    first = HandParameters(poses[:N], shapes, still, np.zeros((N, 3)))
    facing = np.tile(np.diag([-1.0, 1.0, -1.0]), (N, 1, 1))
    roots = np.zeros((N, 3))
    roots[:, 2] = np.linspace(20, 32, N)
    return first, HandParameters(poses[N:], shapes, facing, roots, "left")


def test_balls_are_as_deep_in_each_other_as_the_skin(crossed):
    by_mesh, by_balls = mesh_penetration_mm(*crossed), penetration_mm(*crossed)
    assert by_mesh.min() > 1.0
    # Of two balls that pass through each other both depths count, of a mesh one vertex in a solid.
    ratio = by_balls / by_mesh
    assert (ratio > 0.6).all() and (ratio < 3.0).all()


def test_hands_far_apart_do_not_overlap(crossed):
    first, second = crossed
    far = away(second, 400.0)
    assert (gap_mm(first, far) > 200).all()
    assert not mesh_penetration_mm(first, far).any()


def test_moving_a_hand_away_opens_the_gap_by_as_much(crossed):
    first, second = crossed
    gaps = [gap_mm(first, away(second, distance)) for distance in (300.0, 310.0)]
    assert ((gaps[1] - gaps[0] > 5.0) & (gaps[1] - gaps[0] <= 10.001)).all()


def test_resolving_brings_hands_out_of_each_other(crossed):
    before, after = mesh_penetration_mm(*crossed), mesh_penetration_mm(*resolve(*crossed, steps=40))
    assert np.median(before) > 4.0
    assert np.median(after) < 2.0


def test_what_is_free_is_left_where_it_is(crossed):
    first, second = crossed
    far = away(second, 400.0)
    flat = replace(first, pose_deg=np.zeros_like(first.pose_deg))
    moved = resolve(flat, far)
    np.testing.assert_array_equal(moved[0].pose_deg, flat.pose_deg)
    np.testing.assert_allclose(moved[1].root_mm, far.root_mm, atol=1e-3)
