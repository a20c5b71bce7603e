"""Lenses: what is drawn and bent lies where the lens's camera says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.camera import Camera
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.lens import bend, fisheye, pinhole_for, straightened
from knuckle.render.people import thing
from knuckle.render.props import capsule
from knuckle.render.scene import CROPS, FRAMES, World, render_crops, render_frames, render_scene
from knuckle.render.stage import ClothMaterial, Lights

SHAPE = (120, 160)


@pytest.fixture(scope="module")
def world() -> World:
    return World.of(Backgrounds())


def lens(strength: float) -> Camera:
    return replace(Camera.from_fov(160, 120, 100.0), distortion=fisheye(strength))


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_a_fisheye_is_about_an_arc_tangent(strength):
    slopes = np.linspace(0.05, 2.0 / strength, 50)
    on_axis = Camera(1.0, 1.0, 0.0, 0.0, fisheye(strength))
    shown = on_axis.pixels_from_rays(np.stack([slopes, 0 * slopes], axis=-1))[:, 0]
    np.testing.assert_allclose(shown, np.arctan(strength * slopes) / strength, rtol=0.015)
    assert (np.diff(shown) > 0).all()


@given(
    strength=st.floats(0.05, 1.0), x=st.floats(-1.5, 1.5), y=st.floats(-1.5, 1.5),
)  # fmt: skip
def test_straightening_undoes_the_lens(strength, x, y):
    pixel = lens(strength).pixels_from_rays(np.array([x, y]))
    np.testing.assert_allclose(straightened(lens(strength), pixel), [x, y], atol=2e-4)


@pytest.mark.parametrize("strength", [0.2, 0.8])
def test_a_ball_is_seen_where_the_lens_shows_its_middle(world, strength):
    camera, shape = pinhole_for(lens(strength), SHAPE)
    for slope in ((0.0, 0.0), (0.5, 0.2), (-0.7, -0.5), (-0.2, 0.6)):
        middle = 1000.0 * np.array([*slope, 1.0])
        ball = thing(capsule(12.0, 0.0), np.eye(3), middle, ClothMaterial((0.9, 0.9, 0.9)))
        black = np.zeros((*shape, 3), np.uint8)
        flat = render_scene([], [], camera, black, Lights(), world, props=[ball], key="ball")
        bent = bend(flat, lens(strength), SHAPE)
        assert bent.image.shape == (*SHAPE, 3)
        y, x = np.nonzero(bent.image.sum(axis=2) > 60)
        expected = lens(strength).project(middle)
        np.testing.assert_allclose([x.mean(), y.mean()], expected, atol=0.7)


def test_the_pinhole_sees_all_that_the_lens_shows():
    camera, (height, width) = pinhole_for(lens(0.8), SHAPE)
    corners = np.array([[-0.5, -0.5], [159.5, -0.5], [159.5, 119.5], [-0.5, 119.5]])
    pixels = camera.pixels_from_rays(straightened(lens(0.8), corners))
    assert (pixels >= -0.5).all() and (pixels <= (width - 0.5, height - 0.5)).all()


def test_without_bending_nothing_changes(world):
    straight = Camera.from_fov(160, 120, 70.0)
    assert pinhole_for(straight, SHAPE) == (straight, SHAPE)
    sample = render_scene(
        [], [], straight, np.zeros((*SHAPE, 3), np.uint8), Lights(), world, key=""
    )
    assert bend(sample, straight, SHAPE) is sample


def test_labels_of_bent_crops_agree_with_their_camera_and_map(world):
    settings = replace(CROPS, fisheye=1.0, contact=0.0, second_hand=0.0, occluder=0.0,
                       distractor=0.0, body=0.0, faults=CameraFaults(0.0))  # fmt: skip
    on_hand = []
    for sample in render_crops(np.random.default_rng(3), 12, world, settings):
        hand = sample.hands[0]
        assert sample.image.shape == (200, 200, 3) and sample.hand_map.shape == (200, 200)
        assert len(sample.camera.distortion) == 8
        np.testing.assert_allclose(hand.joints_px, sample.camera.project(hand.joints_mm))
        x, y = hand.joints_px[1:][hand.visible[1:]].round().astype(int).T
        on_hand += (sample.hand_map[y.clip(0, 199), x.clip(0, 199)] == 1).tolist()
    assert np.mean(on_hand) > 0.97


def test_frames_may_be_bent(world):
    settings = replace(FRAMES, fisheye=1.0, empty=0.0, contact=0.0)
    frames = list(render_frames(np.random.default_rng(0), 6, world, settings, 96, 72))
    for frame in frames:
        assert frame.image.shape == (72, 96, 3) and frame.hand_map.shape == (72, 96)
        assert frame.camera.distortion
        for hand in frame.hands:
            np.testing.assert_allclose(hand.joints_px, frame.camera.project(hand.joints_mm))
