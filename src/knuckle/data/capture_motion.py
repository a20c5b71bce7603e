"""The people of a synthetic capture, and how their hands move in the studio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from knuckle.data.capture_plan import CaptureSettings, Sequence, generator
from knuckle.data.capture_rig import CENTRE_MM
from knuckle.hand import Side
from knuckle.render.contact import gap_mm
from knuckle.render.hand_model import (
    FINGER_ROWS,
    FLEXION,
    FOREARM_BONE,
    N_POSE_ROWS,
    SPREAD,
    HandModel,
    HandParameters,
    sample_shapes,
)
from knuckle.render.interaction import interaction_motion
from knuckle.render.looks import HandLook, PlacedHand, dress, place, sample_look, sample_skin
from knuckle.render.people import body_of, elbow_mm, upper_arm
from knuckle.render.poses import (
    MAX_PENETRATION_MM,
    HandMotion,
    finger_penetration_mm,
    sample_motion,
    sample_poses,
)
from knuckle.render.scene import held
from knuckle.render.stage import Mesh, Stage

#: How far the middle of a hand may be from the studio's centre, so that every camera sees it.
_ONE_HAND_MM = np.array([60.0, 60.0, 60.0])
_TWO_HANDS_MM = np.array([95.0, 60.0, 60.0])
#: Where two separate hands keep, to either side, and the least gap that they keep between them.
_APART_MM, _CLEARANCE_MM = 70.0, 6.0
_TRIES = 8
#: How far a hand wanders (mm) and turns (radians) from where it started.
_WANDER_MM, _TURN = 45.0, 0.7
#: How long before and after a tangle of fingers they give way.
_EASE_S = 0.15

_DOWN = np.array([0.0, 1.0, 0.0])
#: From the studio's centre to the middle of the body and from there to its right shoulder.
_BODY_MM, _SHOULDER_MM = np.array([0.0, 10.0, 340.0]), np.array([-185.0, -185.0, 0.0])
_SIGN: dict[Side, float] = {"right": -1.0, "left": 1.0}  # the person faces -z: right is at -x


@dataclass(frozen=True, eq=False)
class Subject:
    """A person."""

    shape: np.ndarray  # (S,) of both hands
    #: Of each hand: one skin, one pair of sleeves, rings on one of them.
    looks: Mapping[Side, HandLook]
    body_seed: int  # makes body and clothes


def sample_subject(settings: CaptureSettings, number: int) -> Subject:
    """One adult with bare hands (``vary``: gloves and watches as well)."""
    rng = generator(settings, "subject", number)
    shape = sample_shapes(rng, 1, HandModel.load().n_shape, child_share=0.0)[0]
    skin = sample_skin(rng)
    look = sample_look(rng, skin)
    while look.glove is not None and not settings.vary:
        look = sample_look(rng, skin)
    sleeves = tuple(each for each in look.worn if each[0].bone == FOREARM_BONE)
    sides: tuple[Side, Side] = ("right", "left") if rng.random() < 0.5 else ("left", "right")
    looks = {sides[0]: look, sides[1]: replace(look, worn=sleeves)}
    return Subject(shape, looks, int(rng.integers(2**31)))


@dataclass(frozen=True, eq=False)
class Motion:
    """The hands of a sequence in the studio's frame."""

    subject: Subject  # whose hands they are
    hands: tuple[HandParameters, ...]  # T hands each; right before left
    thing: Mesh | None  # what the first hand holds, in that hand's frame (y up the palm), or None
    body: tuple[Mesh, ...]  # what does not move

    def joints_mm(self) -> np.ndarray:
        """(hand, T, 21, 3) in the studio."""
        model = HandModel.load()
        return np.stack([model.joints(hand) for hand in self.hands])

    def moments(self, steps: np.ndarray) -> list[Moment]:
        """The studio at some time steps."""
        model = HandModel.load()
        placed = [place(model, hand.take(steps)) for hand in self.hands]
        return [self._moment(model, hands) for hands in zip(*placed, strict=True)]

    def _moment(self, model: HandModel, hands: tuple[PlacedHand, ...]) -> Moment:
        meshes = list(self.body)
        for owner, hand in enumerate(hands, start=1):
            look = self.subject.looks[hand.side]
            meshes += dress(model, hand, look, owner)
            meshes.append(self._arm(hand, look))
        if self.thing is not None:
            first = hands[0]
            at = self.thing.vertices_mm @ first.R_camera_from_hand.T + first.root_mm
            meshes.append(replace(self.thing, vertices_mm=at.astype(np.float32)))
        return Moment(hands, Stage.of(meshes))

    def _arm(self, hand: PlacedHand, look: HandLook) -> Mesh:
        elbow, shoulder = elbow_mm(hand), _shoulder_mm(hand.side)
        reach = float(np.linalg.norm(shoulder - elbow))
        rng = np.random.default_rng(self.subject.body_seed)
        return upper_arm(elbow, (shoulder - elbow) / reach, look, rng, reach)


@dataclass(frozen=True, eq=False)
class Moment:
    """One time step: its hands, and everything that is to be seen, in the studio's frame."""

    hands: tuple[PlacedHand, ...]
    stage: Stage


def sample_sequence(settings: CaptureSettings, sequence: Sequence) -> Motion:
    """The motion of a sequence; the same in every process."""
    rng = generator(settings, "sequence", sequence.number)
    subject = sample_subject(settings, sequence.subject)
    steps, activity = len(sequence.frames), sequence.activity
    thing = None
    hands: tuple[HandParameters, ...]
    if activity.touching:
        hands = _touching(rng, subject, steps, settings.fps)
    elif activity.hand_type == "interacting":
        hands = _separate(rng, subject, steps, settings.fps, activity.mix)
    else:
        side: Side = "right" if activity.hand_type == "right" else "left"
        motion = sample_motion(rng, steps, settings.fps, activity.mix)
        if activity.held:
            motion = _keeping_its_grasp(rng, motion, activity.mix)
        hand = _kept_near(
            _wandering(rng, subject, side, motion, settings.fps, CENTRE_MM), _ONE_HAND_MM
        )
        hands = (hand,)
        if activity.held:
            thing = _in_grasp(rng, hand)
    body_rng = np.random.default_rng(subject.body_seed)
    any_look = next(iter(subject.looks.values()))
    body = body_of(body_rng, CENTRE_MM + _BODY_MM, _DOWN, any_look)
    return Motion(subject, hands, thing, tuple(body))


# --- one hand, and two apart ---------------------------------------------------------------------


def _wandering(
    rng: np.random.Generator, subject: Subject, side: Side, motion: HandMotion, fps: float,
    home: np.ndarray,
) -> HandParameters:  # fmt: skip
    """A motion in the studio: the forearm comes from its elbow, the palm faces anywhere."""
    elbow = np.array([_SIGN[side] * rng.uniform(170, 280), rng.uniform(20, 260), 190.0])
    along = home - (CENTRE_MM + elbow)
    along = along / np.linalg.norm(along) + rng.normal(0, 0.2, 3)
    R_studio_from_hand = _along(along, rng.uniform(-np.pi, np.pi))
    # Gentler than ``sample_motion`` makes them: a sequence must stay before all cameras.
    turns = np.stack([_limited_turn(turn) for turn in motion.R_start_from_hand])
    offset = _WANDER_MM * np.tanh(motion.offset_mm / _WANDER_MM)
    steps = len(motion.pose_deg)
    hand = HandParameters(
        pose_deg=_untangled(motion.pose_deg, subject.shape, fps),
        shape=np.tile(subject.shape, (steps, 1)),
        R_camera_from_hand=R_studio_from_hand @ turns,
        root_mm=home + offset,
        side=side,
    )
    middle = HandModel.load().joints(hand).mean(axis=(0, 1))
    return replace(hand, root_mm=hand.root_mm + (home - middle))


def _separate(
    rng: np.random.Generator, subject: Subject, steps: int, fps: float,
    mix: Mapping[str, float] | None,
) -> tuple[HandParameters, HandParameters]:  # fmt: skip
    """Two hands that gesture side by side without touching."""
    best: tuple[float, tuple[HandParameters, HandParameters]] | None = None
    for _ in range(_TRIES):
        right, left = (_at_one_side(rng, subject, side, steps, fps, mix) for side in _SIGN)
        for apart_mm in range(0, 101, 10):  # one before the other, until they never meet
            apart = np.array([0.0, 0.0, 0.5 * apart_mm])
            before = left.root_mm[:, 2].mean() < right.root_mm[:, 2].mean()
            back = apart if before else -apart
            pair = _moved(right, back), _moved(left, -back)
            gap = float(gap_mm(*pair).min())
            if best is None or gap > best[0]:
                best = gap, pair
            if gap >= _CLEARANCE_MM:
                return pair
    assert best is not None
    return best[1]


def _at_one_side(
    rng: np.random.Generator, subject: Subject, side: Side, steps: int, fps: float,
    mix: Mapping[str, float] | None,
) -> HandParameters:  # fmt: skip
    """One of two hands, on its own side of the studio's centre."""
    home = CENTRE_MM + np.array([_SIGN[side] * _APART_MM, 0.0, 0.0])
    motion = sample_motion(rng, steps, fps, mix)
    return _kept_near(_wandering(rng, subject, side, motion, fps, home), _TWO_HANDS_MM)


def _kept_near(hand: HandParameters, limit_mm: np.ndarray) -> HandParameters:
    """The middle of the hand within a box about the studio's centre."""
    middle = HandModel.load().joints(hand).mean(axis=1) - CENTRE_MM  # (T, 3)
    return _moved(hand, np.clip(middle, -limit_mm, limit_mm) - middle)


def _untangled(pose_deg: np.ndarray, shape: np.ndarray, fps: float) -> np.ndarray:
    """Poses (T, 17, 3) that open where fingers would pass through each other on their way.

    ``sample_motion`` goes straight from pose to pose; a thumb may have to go round a finger.
    """
    model = HandModel.load()
    rest = model.rest_joints(shape[None])
    shares = np.linspace(0.0, 1.0, 11)[:, None, None, None]
    ways = pose_deg + shares * (_OPEN_POSE - pose_deg)  # (share, T, 17, 3)
    flat = ways.reshape(-1, *pose_deg.shape[1:])
    joints = model.joints_from_pose(flat, np.repeat(rest, len(flat), axis=0))
    deep = finger_penetration_mm(joints).reshape(len(shares), -1)
    free = deep <= MAX_PENETRATION_MM
    free[-1] = True
    share = shares.ravel()[free.argmax(axis=0)]  # (T,)
    # As smooth as the movement: a running mean of the running maximum is never too small.
    reach = max(round(_EASE_S * fps), 1)
    padded = np.pad(share, 2 * reach, mode="edge")
    most = sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    eased = sliding_window_view(most, 2 * reach + 1).mean(axis=1)
    return (pose_deg + eased[:, None, None] * (_OPEN_POSE - pose_deg)).astype(np.float32)


def _open_pose() -> np.ndarray:
    """(17, 3) a hand that is open and easy, no finger near another."""
    pose = np.zeros((N_POSE_ROWS, 3))
    pose[FINGER_ROWS[1:], FLEXION] = 10.0
    pose[FINGER_ROWS[1:, 0], SPREAD] = 6.0 * np.array([1.0, 0.05, -0.75, -1.5])
    return pose


_OPEN_POSE = _open_pose()


# --- two hands that touch ------------------------------------------------------------------------


def _touching(
    rng: np.random.Generator, subject: Subject, steps: int, fps: float
) -> tuple[HandParameters, HandParameters]:
    """Two hands that meet, held before the body and swayed as one."""
    model = HandModel.load()
    time_s = np.arange(steps) / fps
    right, left = interaction_motion(rng, time_s, subject.shape, subject.shape, model)
    joints = np.concatenate([model.joints(right), model.joints(left)], axis=1)  # (T, 42, 3)
    middle = joints.mean(axis=1)  # moves along, so that both hands stay before the cameras
    sway = sample_motion(rng, steps, fps)
    wobble, _ = cv2.Rodrigues(rng.normal(0, 0.35, 3))
    turn = np.stack([_limited_turn(each, 0.4) for each in sway.R_start_from_hand]) @ wobble
    home = CENTRE_MM + 0.5 * _WANDER_MM * np.tanh(sway.offset_mm / _WANDER_MM)
    return _turned_about(right, turn, middle, home), _turned_about(left, turn, middle, home)


def _turned_about(
    hand: HandParameters, turn: np.ndarray, from_mm: np.ndarray, to_mm: np.ndarray
) -> HandParameters:
    """Hands turned (T, 3, 3) about points (T, 3), which go to other points (T, 3)."""
    root = np.einsum("tij,tj->ti", turn, hand.root_mm - from_mm) + to_mm
    return replace(hand, R_camera_from_hand=turn @ hand.R_camera_from_hand, root_mm=root)


# --- things that are held ------------------------------------------------------------------------


def _keeping_its_grasp(
    rng: np.random.Generator, motion: HandMotion, mix: Mapping[str, float] | None
) -> HandMotion:
    """The same movement of the wrist with fingers that stay closed around something."""
    grasp = sample_poses(rng, 1, mix)[0]
    return replace(motion, pose_deg=np.tile(grasp, (len(motion.pose_deg), 1, 1)))


def _in_grasp(rng: np.random.Generator, hand: HandParameters) -> Mesh:
    """Something that fills the grasp, in the hand's frame."""
    first = place(HandModel.load(), hand.take([0]))[0]
    thing = held(rng, first)
    local = (thing.vertices_mm - first.root_mm) @ first.R_camera_from_hand
    return replace(thing, vertices_mm=local.astype(np.float32))


# --- small geometry ------------------------------------------------------------------------------


def _shoulder_mm(side: Side) -> np.ndarray:
    return CENTRE_MM + _BODY_MM + _SHOULDER_MM * (-_SIGN[side], 1.0, 1.0)


def _moved(hand: HandParameters, offset_mm: np.ndarray) -> HandParameters:
    return replace(hand, root_mm=hand.root_mm + offset_mm)


def _along(y: np.ndarray, roll: float) -> np.ndarray:
    """(3, 3) frame whose y axis lies along a vector, turned about it by ``roll`` radians."""
    y = y / np.linalg.norm(y)
    x = np.cross(y, [0.0, 0.0, 1.0] if abs(y[2]) < 0.9 else [1.0, 0.0, 0.0])
    x /= np.linalg.norm(x)
    z = np.cross(x, y)
    x = np.cos(roll) * x + np.sin(roll) * z
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _limited_turn(rotation: np.ndarray, limit: float = _TURN) -> np.ndarray:
    """A rotation about the same axis by an angle that stays below a limit."""
    vector, _ = cv2.Rodrigues(rotation.astype(np.float64))
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    return cv2.Rodrigues(vector * (limit * np.tanh(angle / limit) / angle))[0]
