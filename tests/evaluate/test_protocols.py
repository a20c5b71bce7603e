"""Every protocol against values worked out by hand, from the originals' own arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.data.labelled import DropReport, Groups, LabelledSet, Record
from knuckle.evaluate.measures import measure
from knuckle.evaluate.pairs import pair
from knuckle.evaluate.predictions import PredictedHand, Predictions, System
from knuckle.evaluate.protocols import PROTOCOLS, Scores, score
from knuckle.hand import Joint
from knuckle.sample import HandLabel

CAMERA = Camera(1200.0, 1250.0, 160.0, 250.0)


@dataclass
class Given(LabelledSet):
    """A data set made of records at hand."""

    records: list[Record]
    name = "given"
    splits = ("test",)
    split = "test"

    def __post_init__(self) -> None:
        self.report = DropReport()

    @classmethod
    def is_at(cls, root: Path) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.records)

    def record(self, index: int) -> Record:
        return self.records[index]

    def groups(self) -> Groups:
        raise NotImplementedError


def label(side: str, joints_mm: np.ndarray, valid: np.ndarray | None = None) -> HandLabel:
    valid = np.ones(21, bool) if valid is None else valid
    return HandLabel(
        side=side, joints_px=CAMERA.project(joints_mm), joints_mm=joints_mm, valid=valid
    )


def hand_at(x: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-70, 70, (21, 3)) + np.array([x, 0, 1000.0])


def picture(key: str, *hands: HandLabel, **more) -> Record:
    return Record(key=key, path=Path(f"{key}.jpg"), hands=hands, camera=CAMERA, **more)


#: A right hand, a left hand, and both: 4 true hands.
TRUTH = Given(
    [
        picture("r", label("right", hand_at(0, 0))),
        picture("l", label("left", hand_at(0, 1))),
        picture("b", label("right", hand_at(-60, 2)), label("left", hand_at(60, 3))),
    ]
)


def say(
    dataset: Given,
    change: Callable[[np.ndarray], np.ndarray] = lambda joints: joints,
    keep: Callable[[str, str], bool] = lambda key, side: True,
) -> Predictions:
    """The truth as its own prediction, changed hand by hand in 3D; 2D follows the 3D."""
    hands = {
        record.key: [
            PredictedHand(
                side=hand.side,
                joints_mm=change(hand.joints_mm),
                joints_px=CAMERA.project(change(hand.joints_mm)),
            )
            for hand in record.hands
            if keep(record.key, hand.side)
        ]
        for record in dataset.records
    }
    return Predictions(System("test"), hands)


def scored(name: str, predictions: Predictions, dataset: Given = TRUTH) -> Scores:
    protocol = PROTOCOLS[name]
    return score(protocol, pair(dataset, predictions, protocol.matching))


def true_hands(dataset: Given = TRUTH) -> list[tuple[str, str, np.ndarray]]:
    return [(r.key, h.side, h.joints_mm) for r in dataset.records for h in r.hands]


def reach(joints: np.ndarray, root: int = 0) -> np.ndarray:
    """(21,) distance of every joint from the root."""
    return np.linalg.norm(joints - joints[root], axis=1)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_truth_as_its_own_prediction_gives_zero(name: str) -> None:
    got = scored(name, say(TRUTH))
    assert got.mpjpe_mm["all"] == pytest.approx(0, abs=1e-9)
    assert got.mpjpe_mm["two"] == pytest.approx(0, abs=1e-9)
    assert got.mrrpe_mm == pytest.approx(0, abs=1e-9)
    assert got.handedness == 1
    assert got.found == 1
    if name == "intaghand":
        assert np.isnan(got.mpjpe_mm["single"])
        assert got.n_hands == 2
    else:
        assert got.mpjpe_mm["single"] == pytest.approx(0, abs=1e-9)
        assert got.n_hands == 4


@pytest.mark.parametrize("name", ["moon", "intaghand", "knuckle"])
def test_a_shift_in_3d_is_forgiven_where_the_root_keeps_its_own_depth(name: str) -> None:
    got = scored(name, say(TRUTH, lambda joints: joints + np.array([3.0, -2, 25])))
    assert got.mpjpe_mm["all"] == pytest.approx(0, abs=1e-9)
    assert got.mrrpe_mm == pytest.approx(0, abs=1e-9)


def test_a_shift_in_depth_under_mmpose_shrinks_the_hand_towards_the_true_depth() -> None:
    # At depth + d the same pixels unprojected at the true depth scale x and y by Z / (Z + d).
    d = 100.0
    got = scored("mmpose", say(TRUTH, lambda joints: joints + np.array([0, 0, d])))
    errors = []
    for _, _, joints in true_hands():
        shrink = joints[:, 2] / (joints[:, 2] + d)
        xy = joints[:, :2] * shrink[:, None]
        off = (xy - xy[0]) - (joints[:, :2] - joints[0, :2])
        errors.append(np.linalg.norm(off, axis=1))
    assert got.mpjpe_mm["all"] == pytest.approx(np.mean(errors))
    right, left = true_hands()[2][2][0], true_hands()[3][2][0]
    moved = left[:2] * (right[2] + left[2] - right[2]) / (left[2] + d) - right[:2] * right[2] / (
        right[2] + d
    )
    assert got.mrrpe_mm == pytest.approx(np.linalg.norm(moved - (left[:2] - right[:2])))


@pytest.mark.parametrize("name", ["moon", "mmpose", "knuckle"])
def test_a_hand_scaled_about_its_wrist_is_off_by_a_tenth_of_its_reach(name: str) -> None:
    got = scored(name, say(TRUTH, lambda joints: joints[0] + 1.1 * (joints - joints[0])))
    off = {side: [] for side in ("left", "right")}
    for _, side, joints in true_hands():
        off[side].append(0.1 * reach(joints))
    # Two hands of each side, all joints valid: every way of averaging gives the same number.
    assert got.mpjpe_mm["all"] == pytest.approx(np.mean([off["left"], off["right"]]))
    assert got.per_joint_mm[0] == pytest.approx(np.mean(off["left"], axis=0))
    assert got.per_joint_mm[1] == pytest.approx(np.mean(off["right"], axis=0))
    assert got.mpjpe_mm["single"] == pytest.approx(
        np.mean([0.1 * reach(j) for key, _, j in true_hands() if key != "b"])
    )
    assert got.mrrpe_mm == pytest.approx(0, abs=1e-9)


def test_intaghand_takes_the_scale_from_the_truth_and_the_root_from_the_middle_knuckle() -> None:
    got = scored("intaghand", say(TRUTH, lambda joints: joints[0] + 1.1 * (joints - joints[0])))
    assert got.mpjpe_mm["all"] == pytest.approx(0, abs=1e-9)

    def longer_palm(joints: np.ndarray) -> np.ndarray:  # only the wrist moves: bone twice as long
        moved = joints.copy()
        moved[0] = joints[9] + 2 * (joints[0] - joints[9])
        return moved

    got = scored("intaghand", say(TRUTH, longer_palm))
    both = [j for key, _, j in true_hands() if key == "b"]
    expected = [np.where(np.arange(21) == 0, 0.0, 0.5 * reach(j, Joint.MIDDLE_MCP)) for j in both]
    assert got.mpjpe_mm["all"] == pytest.approx(np.mean(expected))
    assert got.mpjpe_mm["two"] == got.mpjpe_mm["all"]


@pytest.mark.parametrize("name", ["moon", "knuckle"])
def test_a_hand_mirrored_in_depth(name: str) -> None:
    def mirror(joints: np.ndarray) -> np.ndarray:
        return joints * (1, 1, -1) + np.array([0, 0, 2 * joints[0, 2]])

    got = scored(name, say(TRUTH, mirror))
    off = [2 * np.abs(j[:, 2] - j[0, 2]) for _, _, j in true_hands()]
    assert got.mpjpe_mm["all"] == pytest.approx(np.mean(off))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_hand_left_out_costs_its_reach(name: str) -> None:
    got = scored(name, say(TRUTH, keep=lambda key, side: (key, side) != ("b", "left")))
    left = true_hands()[3][2]
    right = true_hands()[2][2]
    root = PROTOCOLS[name].root
    lost = reach(left, root).mean()
    hands = {"moon": 4, "mmpose": 4, "intaghand": 2, "knuckle": 4}[name]
    assert got.mpjpe_mm["all"] == pytest.approx(lost / hands)
    assert got.mpjpe_mm["two"] == pytest.approx(lost / 2)
    assert got.mrrpe_mm == pytest.approx(np.linalg.norm(left[root] - right[root]))
    assert got.found == pytest.approx(1 - 1 / hands)
    assert got.handedness == pytest.approx(2 / 3)


def test_the_wrists_dilute_moon_and_mmpose_by_one_in_21() -> None:
    def off_but_for_the_wrist(joints: np.ndarray) -> np.ndarray:
        moved = joints + np.array([0.0, 0, 21.0])
        moved[0] = joints[0]
        return moved

    # 20 of 21 joints are off by 21 mm: 4.8 % less than the 21 mm that each of them is off.
    for name in ("moon", "knuckle"):
        assert scored(name, say(TRUTH, off_but_for_the_wrist)).mpjpe_mm["all"] == pytest.approx(20)


def unbalanced() -> tuple[Given, Predictions]:
    """Three right hands with an index tip off by 42 mm, one left hand that is right."""
    records, hands = [], {}
    for k, side in enumerate(("right", "right", "right", "left")):
        joints = hand_at(0, 10 + k)
        records.append(picture(f"p{k}", label(side, joints)))
        said = joints.copy()
        if side == "right":
            said[Joint.INDEX_TIP, 2] += 42
        hands[f"p{k}"] = [PredictedHand(side=side, joints_mm=said, joints_px=CAMERA.project(said))]
    return Given(records), Predictions(System("test"), hands)


def test_per_joint_and_pooled_means_differ_where_sides_are_not_balanced() -> None:
    dataset, said = unbalanced()
    # moon: one of the 42 joints has the mean 42, the others 0.
    assert scored("moon", said, dataset).mpjpe_mm["all"] == pytest.approx(42 / 42)
    # pooled: 3 of the 4 * 21 joints are off by 42.
    assert scored("mmpose", said, dataset).mpjpe_mm["all"] == pytest.approx(42 * 3 / 84, abs=1e-9)
    assert scored("knuckle", said, dataset).mpjpe_mm["all"] == pytest.approx(42 / 21 * 3 / 4)


def test_invalid_joints_do_not_count_and_an_invalid_wrist_drops_the_hand() -> None:
    valid = np.ones(21, bool)
    valid[Joint.INDEX_TIP] = False
    no_wrist = np.ones(21, bool)
    no_wrist[Joint.WRIST] = False
    dataset = Given(
        [
            picture("a", label("right", hand_at(0, 0), valid)),
            picture("b", label("right", hand_at(0, 1), no_wrist)),
            picture("c", label("right", hand_at(0, 2))),
        ]
    )

    def tip_off(joints: np.ndarray) -> np.ndarray:
        moved = joints.copy()
        moved[Joint.INDEX_TIP, 2] += 30
        return moved

    moon = scored("moon", say(dataset, tip_off), dataset)
    assert moon.n_hands == 2
    # Only picture c has a valid index tip: its joint mean is 30, one of 21 joints of the right.
    assert moon.per_joint_mm[1, Joint.INDEX_TIP] == pytest.approx(30)
    assert moon.mpjpe_mm["all"] == pytest.approx(30 / 21)
    assert np.isnan(moon.per_joint_mm[0]).all()
    # 41 valid joints in all, one of them off by 30.
    mmpose = scored("mmpose", say(dataset, tip_off), dataset)
    assert mmpose.mpjpe_mm["all"] == pytest.approx(30 / 41)
    assert np.isnan(mmpose.mrrpe_mm)


def test_handedness_counts_only_where_it_is_known() -> None:
    records = [replace(TRUTH.records[0], sides_known=False), *TRUTH.records[1:]]
    dataset = Given(records)
    said = say(dataset)
    said.hands["r"] = []  # type: ignore[index]
    assert scored("moon", said, dataset).handedness == 1
    said = say(TRUTH)
    extra = PredictedHand(side="left", joints_mm=hand_at(0, 5), score=0.6)
    said.hands["r"].append(extra)  # type: ignore[attr-defined]
    assert scored("moon", said).handedness == pytest.approx(2 / 3)
    said.hands["r"][1] = replace(extra, score=0.4)  # type: ignore[index]
    assert scored("moon", said).handedness == 1


def test_the_surest_hand_of_a_side_is_taken() -> None:
    said = say(TRUTH)
    wrong = PredictedHand(side="right", joints_mm=hand_at(0, 9), score=0.3)
    said.hands["r"].insert(0, wrong)  # type: ignore[attr-defined]
    assert scored("moon", said).mpjpe_mm["all"] == pytest.approx(0, abs=1e-9)


def test_knuckle_finds_a_hand_by_its_place_whatever_its_side() -> None:
    said = {
        key: [replace(hand, side="left" if hand.side == "right" else "right") for hand in hands]
        for key, hands in say(TRUTH).hands.items()
    }
    flipped = Predictions(System("test"), said)
    got = scored("knuckle", flipped)
    assert got.found == 1
    assert got.mpjpe_mm["single"] == pytest.approx(0, abs=1e-9)
    assert scored("moon", flipped).found == pytest.approx(0.5)  # only both hands have both sides


def test_a_hand_of_which_one_joint_is_labelled_is_found() -> None:
    """It counted as missed, and its prediction as a false hand."""
    tip = np.arange(21) == Joint.INDEX_TIP
    dataset = Given([*TRUTH.records, picture("tip", label("right", hand_at(0, 4), tip))])
    pairs = pair(dataset, say(dataset), "place")
    assert pairs.found.all()
    numbers = measure(pairs).numbers
    assert numbers["precision"] == 1 and numbers["pck_2d_at_20_percent_of_box"] == 1


def test_relative_predictions_are_enough_for_moon_and_too_little_for_mmpose() -> None:
    said = {
        record.key: [
            PredictedHand(side=hand.side, joints_root_mm=hand.joints_mm - hand.joints_mm[0])
            for hand in record.hands
        ]
        for record in TRUTH.records
    }
    relative = Predictions(System("test"), said)
    got = scored("moon", relative)
    assert got.mpjpe_mm["all"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(got.mrrpe_mm)
    with pytest.raises(ValueError, match="mmpose needs 3D joints for every predicted hand, and 2D"):
        scored("mmpose", relative)


def test_predictions_about_other_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="keys should look like 'r'"):
        scored("moon", Predictions(System("test"), {"nothing": []}))
    with pytest.raises(ValueError, match="no labelled hand"):
        scored("moon", say(TRUTH), Given([picture("empty")]))


def test_keys_of_no_picture_are_told_where_pictures_lack_a_line() -> None:
    said = say(TRUTH)
    scored("moon", replace(said, hands={**said.hands, "of another part": []}))  # in silence
    first, *others = said.hands.items()
    mistyped = replace(said, hands=dict([(f"{first[0]} ", first[1]), *others]))
    with pytest.warns(UserWarning, match=r"^1 of \d+ pictures have no line .*, and 1 lines"):
        scored("moon", mistyped)
