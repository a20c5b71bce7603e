"""The skin over joints, beside the full fit of the parametric hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fakes import pose
from knuckle.hand import SIDES, TIPS
from knuckle.mesh import hand_mesh, hand_skin
from knuckle.render.fitting import fit_hands
from knuckle.render.hand_model import HandModel, HandParameters

TRUTH = Path(__file__).parents[1] / "src/knuckle/demo/hands_truth.npz"
#: Vertices of the full model that the skin keeps, in its order.
_MODEL = HandModel.load()
KEPT = np.unique(_MODEL.faces[(_MODEL.part[_MODEL.faces] != 16).all(axis=1)])


def test_the_flat_hand_is_the_models() -> None:
    flat = HandParameters.at_rest(1, _MODEL.n_shape)
    vertices = _MODEL.vertices(flat)[0, KEPT]
    mesh = hand_mesh(_MODEL.joints(flat)[0], "right")
    assert np.abs(mesh.vertices_mm - vertices).max() < 0.01


@pytest.mark.parametrize("side", SIDES)
def test_it_is_near_the_fit_of_the_hand(side: str) -> None:
    with np.load(TRUTH) as truth:
        joints = truth["joints_mm"][::12, list(truth["side"]).index(side)].astype(float)
    fitted = _MODEL.vertices(fit_hands(joints, side=side).parameters)[:, KEPT]
    skins = np.array([hand_mesh(each, side).vertices_mm for each in joints])
    apart_mm = np.linalg.norm(fitted - skins, axis=-1)
    assert apart_mm.mean() < 2
    assert np.percentile(apart_mm, 95) < 5


@pytest.mark.parametrize("side", SIDES)
def test_joints_lie_within_it(side: str) -> None:
    hand = pose(side=side)
    mesh = hand.mesh()
    # A ray from an inner point crosses the skin an odd number of times; the tips' way is free.
    for joint in TIPS:
        point = hand.joints_mm[joint]
        nearest = np.argmin(np.linalg.norm(mesh.vertices_mm - point, axis=1))
        outwards = mesh.vertices_mm[nearest] - point
        assert outwards @ mesh.normals[nearest] > 0
        assert np.linalg.norm(outwards) < 12


def test_triangles_face_outwards() -> None:
    """The volume that they enclose is positive: some 300 cubic centimetres for both sides."""
    for side in SIDES:
        mesh = pose(side=side).mesh()
        middle = mesh.vertices_mm.mean(axis=0)
        a, b, c = (mesh.vertices_mm[mesh.faces[:, k]] - middle for k in range(3))
        volume_cm3 = np.einsum("ij,ij->", a, np.cross(b, c)) / 6 / 1000
        assert 100 < volume_cm3 < 600


def test_the_skin_has_no_forearm() -> None:
    skin = hand_skin()
    assert skin.vertices_mm[:, 1].min() > -40
    assert skin.faces.max() == len(skin.vertices_mm) - 1
    np.testing.assert_allclose(skin.weights.sum(axis=1), 1)
    np.testing.assert_allclose(skin.weights_of_ours.sum(axis=1), 1)
