"""Layers say what a renderer of whole scenes says of the same hands."""

from dataclasses import replace

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.render.hand_model import PART_NAMES, HandModel, HandParameters, sample_shapes
from knuckle.render.layers import NO_PART, HandLayers, draw_layers
from knuckle.render.looks import HandLook, place
from knuckle.render.poses import sample_poses
from knuckle.render.scene import World, render_scene
from knuckle.render.stage import Lights, SkinMaterial

CAMERA = Camera(420.0, 430.0, 150.0, 110.0)
SHAPE = (220, 300)


@pytest.fixture(scope="module")
def two_hands() -> HandParameters:
    """A right hand before a left one, palms to the camera, fingers up."""
    rng = np.random.default_rng(8)
    up = np.diag([1.0, -1.0, -1.0])
    return HandParameters(
        sample_poses(rng, 2, {"relaxed": 1.0}),
        sample_shapes(rng, 2, HandModel.load().n_shape),
        np.stack([up, up]),
        np.array([[10.0, 60.0, 500.0], [60.0, 70.0, 620.0]]),
        ("right", "left"),
    )


@pytest.fixture(scope="module")
def layers(two_hands: HandParameters) -> HandLayers:
    return draw_layers(two_hands, CAMERA, SHAPE)


def test_maps_and_visibility_are_those_of_the_scene(
    two_hands: HandParameters, layers: HandLayers
) -> None:
    placed = place(HandModel.load(), two_hands)
    background = np.zeros((*SHAPE, 3), np.uint8)
    sample = render_scene(
        placed, [HandLook(SkinMaterial())] * 2, CAMERA, background, Lights(), World.of(), key="k"
    )
    same = sample.hand_map == layers.hand_map
    assert same.mean() > 0.985  # outlines may fall on either side of a pixel
    for hand, visible in zip(sample.hands, layers.visible, strict=True):
        assert (hand.visible == visible).mean() > 0.9


def test_the_nearer_hand_hides_the_other(layers: HandLayers) -> None:
    alone = layers.depth_mm[layers.hand_map == 1]
    behind = layers.depth_mm[layers.hand_map == 2]
    assert len(alone) > 3000 and len(behind) > 1000
    assert np.median(behind) > np.median(alone) + 60
    assert np.isinf(layers.depth_mm[layers.hand_map == 0]).all()


def test_parts_are_where_their_joints_are(two_hands: HandParameters, layers: HandLayers) -> None:
    joints_px = CAMERA.project(HandModel.load().joints(two_hands))
    found = 0
    for hand, points in enumerate(joints_px):
        for joint, part in ((4, "thumb distal"), (8, "index distal"), (20, "little distal")):
            x, y = np.round(points[joint]).astype(int)
            if layers.visible[hand, joint] and layers.hand_map[y, x] == hand + 1:
                assert PART_NAMES[layers.part_map[y, x]] == part
                found += 1
    assert found >= 3
    assert PART_NAMES.index("forearm") not in layers.part_map
    assert ((layers.part_map == NO_PART) == (layers.hand_map == 0)).all()


def test_normals_are_unit_and_face_the_camera(layers: HandLayers) -> None:
    on_hand = layers.hand_map > 0
    assert np.allclose(np.linalg.norm(layers.normals[on_hand], axis=1), 1, atol=1e-3)
    assert (layers.normals[on_hand][:, 2] < 0).mean() > 0.95
    assert not layers.normals[~on_hand].any()


def test_the_depth_is_that_of_the_skin(two_hands: HandParameters, layers: HandLayers) -> None:
    vertices = HandModel.load().vertices(two_hands)[0]
    nearest = vertices[:, 2].min()
    assert layers.depth_mm.min() == pytest.approx(nearest, abs=1.0)


@pytest.mark.parametrize("offset", [(5000.0, 0.0, 0.0), (0.0, 0.0, -2000.0)])
def test_hands_outside_leave_the_picture_empty(
    two_hands: HandParameters, offset: tuple[float, float, float]
) -> None:
    gone = replace(two_hands, root_mm=two_hands.root_mm + offset)
    layers = draw_layers(gone, CAMERA, SHAPE)
    assert not layers.hand_map.any() and not layers.visible.any()


def test_no_hands_no_layers(two_hands: HandParameters) -> None:
    layers = draw_layers(two_hands.take(np.array([], int)), CAMERA, SHAPE)
    assert len(layers) == 0 and not layers.hand_map.any()


def test_a_hand_cut_by_the_border_is_cut(two_hands: HandParameters, layers: HandLayers) -> None:
    left, top = 150, 90
    cut = draw_layers(two_hands, CAMERA.padded(-left, -top), (SHAPE[0] - top, SHAPE[1] - left))
    assert (cut.hand_map == layers.hand_map[top:, left:]).all()
    seen = layers.visible & cut.visible
    joints_px = CAMERA.project(HandModel.load().joints(two_hands))
    outside = (joints_px < (left - 0.5, top - 0.5)).any(axis=-1)
    assert not cut.visible[outside].any() and (seen | outside | ~layers.visible).all()


@pytest.mark.parametrize("palm_to_camera", [True, False])
def test_no_flesh_hides_the_joints_of_an_open_hand(palm_to_camera: bool) -> None:
    """Thick fingers and big hands have no more hidden joints than others."""
    n = 12
    shape = np.clip(np.random.default_rng(1).normal(size=(n, HandModel.load().n_shape)), -2.5, 2.5)
    shape[:, 0] = np.linspace(-3.0, 2.5, n)
    turn = np.diag([1.0, -1.0, -1.0] if palm_to_camera else [-1.0, -1.0, 1.0])
    at = np.array([0.0, 90.0, 600.0])
    for k in range(n):
        hand = HandParameters(np.zeros((1, 17, 3)), shape[k : k + 1], turn[None], at[None])
        layers = draw_layers(hand, Camera(500.0, 500.0, 150.0, 150.0), (300, 300))
        assert layers.visible.all(), shape[k, 0]
