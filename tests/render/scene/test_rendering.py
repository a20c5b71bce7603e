"""A given scene: joints, maps and visibility are those of what the picture shows."""

from dataclasses import replace

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.hand import KNUCKLES, Joint
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.hand_model import FINGER_ROWS, HandModel, HandParameters
from knuckle.render.looks import HandLook, PlacedHand, place
from knuckle.render.people import thing
from knuckle.render.props import box
from knuckle.render.scene import World, render_scene
from knuckle.render.stage import ClothMaterial, Lights, SkinMaterial

#: The palm towards the camera, fingers up.
PALM = np.diag([-1.0, -1.0, -1.0]) @ np.diag([-1.0, 1.0, 1.0])
CAMERA = Camera(260.0, 260.0, 79.5, 79.5)


@pytest.fixture(scope="module")
def world() -> World:
    return World.of(Backgrounds())


def hand(pose: np.ndarray | None = None, *, side="right", root=(0.0, 80.0, 450.0)) -> PlacedHand:
    model = HandModel.load()
    params = HandParameters.at_rest(1, model.n_shape, side)
    params = replace(
        params,
        pose_deg=params.pose_deg if pose is None else pose[None],
        R_camera_from_hand=PALM[None],
        root_mm=np.array([root]),
    )
    return place(model, params)[0]


def draw(world: World, hands, props=(), camera=CAMERA, tone=None):
    looks = [HandLook(tone or SkinMaterial()) for _ in hands]
    grey = np.full((160, 160, 3), 128, np.uint8)
    return render_scene(hands, looks, camera, grey, Lights(), world, props=props, key="test")


def test_joints_lie_on_the_hand_and_the_map_on_the_joints(world):
    sample = draw(world, [hand()])
    label, hand_map = sample.hands[0], sample.hand_map
    np.testing.assert_allclose(label.joints_px, CAMERA.project(label.joints_mm))
    x, y = label.joints_px[1:].round().astype(int).T
    assert (hand_map[y, x] == 1).all()
    assert label.visible.all()  # an open palm hides nothing


def test_the_map_ends_at_the_wrist(world):
    sample = draw(world, [hand()])
    rows = np.flatnonzero((sample.hand_map == 1).any(axis=1))
    wrist = sample.hands[0].joints_px[Joint.WRIST, 1]
    assert rows.max() < wrist + 16  # the forearm goes on to the picture's border
    assert (sample.image[-1] != 128).any()


def test_a_folded_finger_is_hidden_from_behind_and_seen_from_the_palm(world):
    pose = np.zeros((17, 3))
    pose[FINGER_ROWS[2], 0] = 85, 100, 70  # the middle finger, folded into the palm
    folded = hand(pose)
    seen = draw(world, [folded]).hands[0].visible
    assert seen[Joint.MIDDLE_TIP] or seen[Joint.MIDDLE_DIP]
    middle = folded.joints_mm.mean(axis=0)
    half_turn = np.diag([-1.0, 1.0, -1.0])
    behind = folded.turned(half_turn).moved(middle - half_turn @ middle)
    hidden = draw(world, [behind]).hands[0].visible
    assert not hidden[[Joint.MIDDLE_DIP, Joint.MIDDLE_TIP]].any()
    assert hidden[Joint.INDEX_TIP]


def test_a_board_before_the_hand_hides_it_and_one_behind_does_not(world):
    board = ClothMaterial((0.0, 0.5, 0.0))
    for depth, shows in ((300.0, False), (700.0, True)):
        wall = thing(box(np.array([900.0, 900.0, 5.0])), np.eye(3), np.array([0, 0, depth]), board)
        sample = draw(world, [hand()], [wall])
        assert sample.hands[0].visible.any() == shows
        assert (sample.hand_map == 1).any() == shows


def test_of_two_hands_the_nearer_covers_the_other(world):
    near, far = hand(root=(0.0, 80.0, 400.0)), hand(side="left", root=(0.0, 90.0, 520.0))
    for pair, in_front in (((near, far), 1), ((far, near), 2)):
        sample = draw(world, pair)
        x, y = sample.hands[in_front - 1].joints_px[KNUCKLES].mean(axis=0).round().astype(int)
        assert sample.hand_map[y, x] == in_front


def test_a_left_hand_is_the_mirror_image_of_a_right_one(world):
    right, left = (draw(world, [hand(side=s)]) for s in ("right", "left"))
    mirrored = right.hand_map[:, ::-1]
    assert (left.hand_map == mirrored).mean() > 0.999
    expected = right.hands[0].joints_px * (-1, 1) + (159, 0)
    np.testing.assert_allclose(left.hands[0].joints_px, expected, atol=1e-4)


def test_relief_follows_the_light_on_hands_of_either_side(world):
    """Light from the side draws tendons: on a left hand as on a right one in the mirror."""
    centre = np.array([0.0, 80.0, 450.0])
    grey = np.full((160, 160, 3), 128, np.uint8)

    def picture(side: str, relief: float) -> np.ndarray:
        # Its back towards the camera.
        turned = hand(side=side).moved(-centre).turned(np.diag([-1.0, 1.0, -1.0])).moved(centre)
        sign = 1.0 if side == "right" else -1.0
        lights = Lights(directions=np.array([[0.8 * sign, -0.4, -0.4]]), shadow=0.0)
        skin = HandLook(SkinMaterial(relief=relief, oil=0.0))
        image = render_scene([turned], [skin], CAMERA, grey, lights, world, key="").image
        # Coarsely: the two are not sampled at quite the same places.
        return image.reshape(40, 4, 40, 4, 3).mean(axis=(1, 3))

    drawn = {side: picture(side, 3.0) - picture(side, 0.0) for side in ("right", "left")}
    assert np.abs(drawn["right"]).max() > 5
    mirrored = drawn["right"][:, ::-1]
    agreement = (drawn["left"] * mirrored).sum() / np.sqrt(
        (drawn["left"] ** 2).sum() * (mirrored**2).sum()
    )
    assert agreement > 0.8


def test_two_cameras_of_one_moment_agree(world):
    """Moving the camera is moving the hand: same 3D up to the motion, same look."""
    first = hand()
    shift = np.array([40.0, -10.0, 60.0])
    one, two = draw(world, [first]), draw(world, [first.moved(shift)])
    moved = one.hands[0].joints_mm + shift
    np.testing.assert_allclose(two.hands[0].joints_mm, moved)


def test_a_distorted_camera_is_refused(world):
    with pytest.raises(ValueError, match="without distortion"):
        draw(world, [hand()], camera=replace(CAMERA, distortion=(0.1, 0.0, 0.0, 0.0)))
