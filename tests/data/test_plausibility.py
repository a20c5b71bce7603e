"""The table of what labelled hands do, on hands whose angles, bones and overlaps are known."""

from pathlib import Path

import numpy as np
import pytest

from knuckle.data.datasets import open_dataset
from knuckle.data.labelled import DropReport, Groups, LabelledSet, Record
from knuckle.data.plausibility import Plausibility, measure
from knuckle.hand import Side, bone_lengths
from knuckle.render.hand_model import FINGER_ROWS, FLEXION, HandModel, HandParameters
from knuckle.sample import HandLabel
from miniatures import write_folder


class Moments(LabelledSet):
    """Hands in the camera frame: one list a picture; pictures of one step show the same hands."""

    name, splits, split = "moments", ("all",), "all"

    def __init__(self, pictures: list[list[tuple[Side, np.ndarray]]], steps: list[int]) -> None:
        self.pictures, self.steps, self.report = pictures, steps, DropReport()

    @classmethod
    def is_at(cls, root: Path) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.pictures)

    def record(self, index: int) -> Record:
        hands = tuple(
            HandLabel(
                side=side, joints_px=joints[:, :2], joints_mm=joints, visible=np.arange(21) < 7
            )
            for side, joints in self.pictures[index]
        )
        return Record(key=str(index), path=Path("none"), hands=hands)

    def groups(self) -> Groups:
        unknown = np.full(len(self), -1)
        return Groups(unknown, unknown, unknown, np.array(self.steps))


def bent(pip_deg: float, side: Side = "right", x_mm: float = 0.0) -> np.ndarray:
    """(21, 3) the mean hand with all PIPs bent alike."""
    model = HandModel.load()
    params = HandParameters.at_rest(1, model.n_shape, side)
    params.pose_deg[:, FINGER_ROWS[1:, 1], FLEXION] = pip_deg
    return model.joints(params)[0].astype(float) + np.array([x_mm, 0.0, 600.0])


def values(found: Plausibility, what: str) -> dict[str, float]:
    return next(line.values for line in found.lines if line.what == what)


def test_angles_and_bones_are_those_of_the_hand() -> None:
    found = measure(Moments([[("right", bent(60))], [("left", bent(60, "left"))]], [0, 1]))
    straight = values(measure(Moments([[("right", bent(0))]], [0])), "fingers, PIP flexion")
    flexion = values(found, "fingers, PIP flexion")
    assert flexion["median"] - straight["median"] == pytest.approx(60, abs=3)
    bone = values(found, "index proximal phalanx")
    assert bone["mean"] == pytest.approx(bone_lengths(bent(60))[5], abs=0.1)
    assert bone["sd"] == pytest.approx(0, abs=0.01)
    assert values(found, "joints in the picture that are seen, one hand")["mean"] == pytest.approx(
        100 / 3
    )


def test_one_moment_counts_once_however_many_cameras_see_it() -> None:
    pictures: list[list[tuple[Side, np.ndarray]]] = [[("right", bent(80))]] * 9
    found = measure(Moments([*pictures, [("right", bent(0))]], [4] * 9 + [5]))
    assert found.hands == 2 and found.records == 10
    assert values(found, "fingers, PIP flexion")["median"] < 50


@pytest.mark.parametrize(("apart_mm", "low", "high"), [(300, 0, 0), (0, 10, 25)])
def test_hands_in_hands_are_found(apart_mm: float, low: float, high: float) -> None:
    pair: list[tuple[Side, np.ndarray]] = [
        ("right", bent(10)), ("left", bent(10, "left", apart_mm)),
    ]  # fmt: skip
    found = measure(Moments([pair], [0]))
    assert found.pairs == 1
    assert low <= values(found, "one hand into the other")["most"] <= high


def test_it_prints_a_table_with_its_sources(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(ValueError, match="all its 21 joints"):  # the miniature loses some of each
        measure(open_dataset(tmp_path))
    text = str(measure(Moments([[("right", bent(30))]], [0])))
    assert "| fingers, PIP flexion | 5 %" in text
    assert "Buryanov" in text
