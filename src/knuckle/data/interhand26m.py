"""InterHand2.6M (Moon et al., ECCV 2020, arXiv 2008.09309): one or two hands in a light stage.

Reads release v1.0 (``annotations/<split>/``), v0.0 (``annotations/{all,human_annot,
machine_annot}/``) and re-packed copies (label files and pictures in one folder). What is particular
to it ends here: joint order tip first and right hand first, world coordinates, places held by
[1, 1, 1], and its flaws. A picture is found by its ``file_name`` alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from knuckle.camera import Camera
from knuckle.data.interhand_extras import Extras
from knuckle.data.interhand_files import HAND_TYPES
from knuckle.data.interhand_index import InterHandIndex, open_index
from knuckle.data.interhand_release import SPLITS, find_release
from knuckle.data.json_stream import BrokenDataError, NothingLeftError
from knuckle.data.labelled import DropReport, Groups, LabelledSet, Record, inside
from knuckle.hand import BONES, N_JOINTS, Side, bone_lengths, order_from_names
from knuckle.rigid import RigidTransform
from knuckle.sample import HandLabel, Sample

#: How InterHand2.6M orders the joints of one hand (its skeleton.txt), in our names.
_THEIR_JOINTS = (
    *("thumb_tip", "thumb_ip", "thumb_mcp", "thumb_cmc"),
    *("index_tip", "index_dip", "index_pip", "index_mcp"),
    *("middle_tip", "middle_dip", "middle_pip", "middle_mcp"),
    *("ring_tip", "ring_dip", "ring_pip", "ring_mcp"),
    *("little_tip", "little_dip", "little_pip", "little_mcp"),
    "wrist",
)
_ORDER = order_from_names(_THEIR_JOINTS)
#: Where each hand's joints stand among the 42, in our order.
JOINTS_OF: dict[Side, np.ndarray] = {"right": _ORDER, "left": _ORDER + N_JOINTS}
#: The release's skeleton.txt: name, number and parent of each joint.
SKELETON_TEXT = "# keypoint name, keypoint index, parent index\n" + "".join(
    f"{side}_{name} {first + number} {parent}\n"
    for side, first in (("r", 0), ("l", N_JOINTS))
    for number, name, parent in [
        *(
            (4 * finger + k, f"{word}{4 - k}", first + (4 * finger + k + 1 if k < 3 else 20))
            for finger, word in enumerate(("thumb", "index", "middle", "ring", "pinky"))
            for k in range(4)
        ),
        (20, "wrist", -1),
    ]
)
_SIDES_OF: dict[str, tuple[Side, ...]] = {
    "right": ("right",),
    "left": ("left",),
    "interacting": ("right", "left"),
}

#: Only Knuckle's own captures have this file.
_SYNTHETIC = "capture_*fps.json"
#: Turned and distorted (reported by users of the data set).
FLAWED_CAMERAS = ("400412",)
#: No human bone between two of the joints is outside these lengths, mm.
BONE_RANGE_MM = (2.0, 150.0)
#: A bone that is longer or shorter than the capture's median by this factor is no bone.
_BONE_FACTOR = 2.0
#: A picture in which 99 % of the values are below this is black (JPEG noise stays below 10).
_BLACK_LEVEL = 16


@dataclass(frozen=True)
class Selection:
    """Which records to keep. ``Selection.official()`` leaves out nothing, as the papers do."""

    #: Labelled by people, by a network, or either ("H", "M", "H+M" of the paper).
    annotation: Literal["all", "human", "machine"] = "all"
    hands: Literal["all", "single", "two"] = "all"  # pictures of one hand, of two, or either
    #: Leave out the known flaws: turned and distorted cameras, time steps with impossible bones,
    #: pictures that show no valid joint, two-hand pictures of which one hand has no label, and
    #: black pictures, which are found when they are read.
    clean: bool = True

    @classmethod
    def official(cls) -> Selection:
        """Everything that has a label, flaws included."""
        return cls(clean=False)


class InterHand26M(LabelledSet):
    """One split of InterHand2.6M.

    Args:
        root: the folder that holds ``annotations`` and ``images``, or a re-packed copy.
        split: train, val or test.
        selection: which records to keep.
        cache: folder of the index; see ``interhand_index.open_index``.

    Attributes:
        release: where its files were found.
        extras: masks, depth and visibility, where they stand beside the release.
        index: all its labels, as columns.
        rows: (N,) rows of the index that were kept.
    """

    name = "interhand26m"
    splits = SPLITS
    license = "CC-BY-NC-4.0"

    def __init__(
        self,
        root: Path,
        split: str = "test",
        selection: Selection | None = None,
        *,
        cache: Path | None = None,
    ) -> None:
        self.split, self.license = split, self.license_at(Path(root))
        self.selection = selection or Selection()
        self.release = find_release(Path(root), split, self.selection.annotation)
        self.extras = Extras(Path(root), split)
        self.index: InterHandIndex = open_index(self.release.files, cache)
        self.report = DropReport(total=len(self.index))
        self.rows = self._select()
        self.report.kept = len(self.rows)
        if not len(self.rows):
            raise NothingLeftError(f"nothing is left of {root}, {split}:\n{self.report}")

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether ``root`` holds a release or a re-packed copy."""
        patterns = ("annotations/*/InterHand2.6M_*_data.json", "*interhand2.6m_*data.json")
        return any(next(root.glob(pattern), None) for pattern in patterns)

    @classmethod
    def license_at(cls, root: Path) -> str:
        """A synthetic capture in its format is Knuckle's own."""
        return "" if any(root.glob(_SYNTHETIC)) else cls.license

    def __len__(self) -> int:
        return len(self.rows)

    def record(self, index: int) -> Record:
        """The labels of one picture; a hand whose joints are all unknown is there all the same."""
        columns, row = self.index, int(self.rows[index])
        camera_row, step = int(columns["camera"][row]), int(columns["step"][row])
        T_camera_from_world = self.pose(index)
        fx, fy = columns["focal"][camera_row]
        cx, cy = columns["princpt"][camera_row]
        camera = Camera(float(fx), float(fy), float(cx), float(cy))
        both_mm = T_camera_from_world(columns["world_coord"][step].astype(np.float64))  # (42, 3)
        valid = columns["joint_valid"][row] & columns["step_valid"][step]
        seen = self.extras.visible(int(columns["annotation"][row]))
        hands = tuple(
            _hand_label(
                side,
                both_mm[JOINTS_OF[side]],
                valid[JOINTS_OF[side]],
                camera,
                None if seen is None else seen[JOINTS_OF[side]],
            )
            for side in self._sides(row)
        )
        capture, sequence = int(columns["capture"][row]), self._sequence_name(row)
        x, y, width, height = columns["bbox"][row].astype(float)
        return Record(
            key=f"{self.split}_{int(columns['annotation'][row])}",
            path=inside(self.release.images, columns.file_name(row)),
            hands=hands,
            camera=camera,
            box_xyxy=np.array([x, y, x + width, y + height]),
            sides_known=bool(columns["hand_type_valid"][row]),
            complete=all(hand.valid.any() for hand in hands),
            group=f"{capture}/{sequence}",
            video=(
                f"{capture}/{sequence}/{columns.cameras[camera_row]}",
                int(columns["frame"][row]),
            ),
        )

    def pose(self, index: int) -> RigidTransform:
        """``T_camera_from_world`` of the camera that took a picture."""
        columns = self.index
        row = int(columns["camera"][int(self.rows[index])])
        return RigidTransform.from_centre(
            columns["camrot"][row].astype(float), columns["campos"][row].astype(float)
        )

    def hand_map(self, index: int) -> np.ndarray | None:
        """The masks of one picture, where there are extras."""
        row = int(self.rows[index])
        return self.extras.hand_map(self.index.file_name(row), self._sides(row))

    def depth_mm(self, index: int) -> np.ndarray | None:
        """(H, W) float32 z in mm of what one picture shows, 0 for nothing; None if unknown."""
        return self.extras.depth_mm(self.index.file_name(int(self.rows[index])))

    def groups(self) -> Groups:
        """Numbers that mean the same in every split of the release."""
        columns = self.index
        names = np.array([_stable_hash(name) for name in columns.sequences], np.int64)
        capture = columns["capture"][self.rows].astype(np.int64)
        return Groups(
            subject=columns["subject"][self.rows].astype(np.int64),
            capture=capture,
            sequence=capture * (1 << 40) + names[columns["sequence"][self.rows]],
            step=capture * (1 << 40) + columns["frame"][self.rows],
        )

    def flaw(self, sample: Sample) -> str | None:
        """Black pictures, which only reading them reveals."""
        return "black picture" if self.selection.clean and is_black(sample.image) else None

    def _sides(self, row: int) -> tuple[Side, ...]:
        return _SIDES_OF[HAND_TYPES[self.index["hand_type"][row]]]

    def _sequence_name(self, row: int) -> str:
        return self.index.sequences[self.index["sequence"][row]]

    # ---------------------------------------------------------------------------------- selection
    def _select(self) -> np.ndarray:
        """Rows that pass every rule, each loss reported under the first rule that it broke."""
        chosen, index = self.selection, self.index
        keep = np.ones(len(index), bool)

        def drop(reason: str, bad: np.ndarray) -> None:
            lost = np.flatnonzero(keep & bad)
            self.report.drop(reason, len(lost), [index.file_name(row) for row in lost[:3]])
            keep[lost] = False

        drop("its camera is not in the camera file", index["camera"] < 0)
        drop("its time step is not in the joint file", index["step"] < 0)
        if chosen.annotation != "all" and self.release.layout != "v0.0":
            human = np.isin(index["annotation"], self._human_annotations())
            drop(
                f"not of the {chosen.annotation} annotations",
                ~human if chosen.annotation == "human" else human,
            )
        two = index["hand_type"] == HAND_TYPES.index("interacting")
        if chosen.hands != "all":
            drop(f"not of {chosen.hands} hands", ~two if chosen.hands == "two" else two)
        if chosen.clean:
            self._drop_flawed(drop, two)
        return np.flatnonzero(keep)

    def _drop_flawed(self, drop: Callable[[str, np.ndarray], None], two: np.ndarray) -> None:
        index = self.index
        flawed = [row for row, name in enumerate(index.cameras) if name in FLAWED_CAMERAS]
        drop("its camera is turned or distorted", np.isin(index["camera"], flawed))
        valid = index["joint_valid"]
        first = np.asarray(valid[:, :N_JOINTS].any(axis=1))
        second = np.asarray(valid[:, N_JOINTS:].any(axis=1))
        drop("two hands of which one or both have no label", two & ~(first & second))
        drop("no valid joint", ~(first | second))
        drop("no valid joint inside the picture", np.asarray(index["n_inside"] == 0))
        drop("impossible bones in 3D", impossible_steps(index)[np.maximum(index["step"], 0)])

    def _human_annotations(self) -> np.ndarray:
        if self.release.human_list is None:
            raise BrokenDataError(
                f"{self.release.files.data.parent} does not say which annotations people made: "
                f"expected aid_human_annot_{self.split}.txt there (from the page of InterHand2.6M) "
                "or the folders of release v0.0; ask for annotation='all', or add the file"
            )
        return np.loadtxt(self.release.human_list, dtype=np.int64, ndmin=1)


def _hand_label(
    side: Side,
    joints_mm: np.ndarray,
    valid: np.ndarray,
    camera: Camera,
    visible: np.ndarray | None,
) -> HandLabel:
    """Labels of one hand from its joints in the camera frame, in our order.

    Joints without a label hold [1, 1, 1] of the world: they become 0, as that is no place.
    """
    valid = valid & (joints_mm[:, 2] > 0)
    joints_px = np.where(valid[:, None], camera.project(joints_mm), 0.0)
    return HandLabel(
        side=side,
        joints_px=joints_px,
        valid=valid,
        joints_mm=np.where(valid[:, None], joints_mm, 0.0),
        visible=visible,
    )


def impossible_steps(index: InterHandIndex) -> np.ndarray:
    """(S,) bool: time steps in which a valid bone has a length that no hand has.

    Either outright, or against the median of the same bone over the capture: one capture shows
    one person, and bones do not grow.
    """
    world, valid = index["world_coord"], index["step_valid"]
    wrong = np.zeros(len(world), bool)
    for joints in JOINTS_OF.values():
        lengths = bone_lengths(world[:, joints])  # (S, 20)
        known = valid[:, joints[BONES[:, 0]]] & valid[:, joints[BONES[:, 1]]]
        low, high = BONE_RANGE_MM
        wrong |= (known & ((lengths < low) | (lengths > high))).any(axis=1)
        for capture in np.unique(index["step_capture"]):
            steps = index["step_capture"] == capture
            masked = np.where(known[steps], lengths[steps], np.nan)
            masked = masked[:, np.any(np.isfinite(masked), axis=0)]  # bones seen at least once
            ratio = np.abs(np.log(np.maximum(masked, 1e-6) / np.nanmedian(masked, axis=0)))
            wrong[steps] |= np.any(ratio > np.log(_BONE_FACTOR), axis=1)
    return wrong


def is_black(image: np.ndarray) -> bool:
    """Whether a picture (H, W, 3) shows nothing."""
    return bool(np.percentile(image, 99) < _BLACK_LEVEL)


def _stable_hash(name: str) -> int:
    """A number of 39 bits that is the same in every run and every split."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 25
