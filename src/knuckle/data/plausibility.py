"""Could real people have done this? Labelled 3D hands, compared with what people can do.

``knuckle data stats --plausibility`` prints it for any data set with 3D. It finds labels that no
hand can take (units, joint order, a bad fit) and says what a synthetic capture is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knuckle.data.labelled import LabelledSet, OnProgress, Record
from knuckle.errors import InputError
from knuckle.hand import BONES, FINGERS, bone_lengths, joint_angles
from knuckle.render.poses import finger_penetration_mm, hands_penetration_mm

#: What the references of the table stand for.
SOURCES = (
    "[1] American Academy of Orthopaedic Surgeons, Joint Motion, 1965: active range",
    "[2] Bain et al., J. Hand Surg. Eur. 40(4), 2015: range that 90 % of everyday tasks need",
    "[3] Lin, Wu and Huang, HUMO 2000: to either side of the finger at rest",
    "[4] Buryanov and Kotiuk, Int. J. Morphol. 28(3), 2010: X-rays, mean ± standard deviation",
)
#: Angles that are measured: name, rows and column of ``joint_angles``, and what people do.
_ANGLES: tuple[tuple[str, tuple[int, ...], int, str], ...] = (
    ("fingers, MCP flexion", (3, 6, 9, 12), 0, "-45…90 [1], 19…71 [2]"),
    ("fingers, PIP flexion", (4, 7, 10, 13), 0, "0…100 [1], 23…87 [2]"),
    ("fingers, DIP flexion", (5, 8, 11, 14), 0, "0…90 [1], 10…64 [2]"),
    ("index, MCP spread", (3,), 1, "rest ± 15 [3]"),
    ("little, MCP spread", (12,), 1, "rest ± 15 [3]"),
)
#: The thumb bends across the palm's axes: the angle between its bones, (before, after) the joint.
_THUMB_BENDS = (("thumb, MCP bend", 1, 2, "0…50 [1]"), ("thumb, IP bend", 2, 3, "0…80 [1]"))
#: Phalanges (name, finger, number of the bone from the wrist on), mean and deviation in mm [4].
_PHALANGES_MM = {
    ("thumb proximal", 0, 2): (31.6, 3.1),
    ("index proximal", 1, 1): (39.8, 4.9),
    ("index middle", 1, 2): (22.4, 2.5),
    ("middle proximal", 2, 1): (44.6, 3.8),
    ("middle middle", 2, 2): (26.3, 3.0),
    ("ring proximal", 3, 1): (41.4, 3.9),
    ("ring middle", 3, 2): (25.7, 3.3),
    ("little proximal", 4, 1): (32.7, 2.8),
    ("little middle", 4, 2): (18.1, 2.5),
}


@dataclass(frozen=True)
class Line:
    """One measured thing."""

    what: str  # it is
    unit: str  # of the values
    values: dict[str, float]  # of the data set, named
    reference: str = "–"  # what is known of people

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value:.1f}" for name, value in self.values.items())
        return f"| {self.what} | {values} {self.unit} | {self.reference} |"


@dataclass(frozen=True)
class Plausibility:
    """All that was measured."""

    hands: int  # number of different hands (side and moment) with all joints in 3D
    pairs: int  # moments with two such hands
    records: int  # pictures
    lines: tuple[Line, ...]  # the table

    def __str__(self) -> str:
        head = (
            f"{self.records:,} pictures, {self.hands:,} different hands, {self.pairs:,} different "
            "pairs of hands\n\n| what | here | people |\n|---|---|---|"
        )
        return "\n".join([head, *map(str, self.lines), "", *SOURCES])


def measure(dataset: LabelledSet, on_progress: OnProgress = lambda done, of: None) -> Plausibility:
    """Measure a data set's labels; pictures are not read.

    Args:
        dataset: with 3D.
        on_progress: called with (done, of).

    Raises:
        ValueError: no hand has all its joints in 3D.
    """
    groups = dataset.groups()
    hands: dict[tuple[int, str], tuple[np.ndarray, int]] = {}
    pairs: dict[int, np.ndarray] = {}
    sizes, inside, visible = [], [], {1: [], 2: []}  # type: ignore[var-annotated]
    for index in range(len(dataset)):
        record = dataset.record(index)
        on_progress(index + 1, len(dataset))
        # Several cameras see one moment: its hands count once, from whichever sees them whole.
        moment = int(groups.step[index]) if groups.step[index] >= 0 else -2 - index
        whole = _whole(record)
        for side, joints_mm in whole.items():
            hands.setdefault((moment, side), (joints_mm, int(groups.subject[index])))
        if len(whole) == 2:
            pairs.setdefault(moment, np.stack([whole["right"], whole["left"]]))
        for hand in record.hands:
            inside.append(hand.valid.mean())
            if hand.valid.sum() >= 2:
                sizes.append(np.ptp(hand.joints_px[hand.valid], axis=0).max())
            if hand.visible is not None and hand.valid.any():
                visible[min(len(record.hands), 2)].append(hand.visible[hand.valid].mean())
    if not hands:
        raise InputError("no hand has all its 21 joints in 3D: there is nothing to measure")
    lines = [
        *_angle_lines(hands),
        *_bone_lines(hands),
        *_penetration_lines(hands, pairs),
        Line("longer side of a hand's joints", "px", _spread(np.array(sizes))),
        Line("joints inside the picture", "%", {"mean": 100 * float(np.mean(inside))}),
    ]
    for count, name in ((1, "one hand"), (2, "two hands")):
        if visible[count]:
            mean = 100 * float(np.mean(visible[count]))
            lines.append(Line(f"joints in the picture that are seen, {name}", "%", {"mean": mean}))
    return Plausibility(len(hands), len(pairs), len(dataset), tuple(lines))


def _whole(record: Record) -> dict[str, np.ndarray]:
    """Side -> (21, 3) of the hands that are known to the last joint."""
    return {
        hand.side: hand.joints_mm
        for hand in record.hands
        if hand.joints_mm is not None and hand.valid.all()
    }


def _angle_lines(hands: dict[tuple[int, str], tuple[np.ndarray, int]]) -> list[Line]:
    angles = np.stack(
        [joint_angles(joints, side) for (_, side), (joints, _) in hands.items()]  # type: ignore[arg-type]
    )  # (H, 15, 2)
    lines = [
        Line(what, "°", _spread(angles[:, rows, column].ravel()), reference)
        for what, rows, column, reference in _ANGLES
    ]
    thumbs = np.stack([joints[FINGERS[0]] for joints, _ in hands.values()])  # (H, 4, 3)
    wrists = np.stack([joints[:1] for joints, _ in hands.values()])
    bones = np.diff(np.concatenate([wrists, thumbs], axis=1), axis=1)
    bones /= np.linalg.norm(bones, axis=-1, keepdims=True)
    for what, before, after, reference in _THUMB_BENDS:
        cos = (bones[:, before] * bones[:, after]).sum(-1)
        lines.append(Line(what, "°", _spread(np.degrees(np.arccos(cos.clip(-1, 1)))), reference))
    return lines


def _bone_lines(hands: dict[tuple[int, str], tuple[np.ndarray, int]]) -> list[Line]:
    """Mean and standard deviation over people; a hand of an unknown person counts as one."""
    people: dict[int, list[np.ndarray]] = {}
    for number, (joints, subject) in enumerate(hands.values()):
        key = subject if subject >= 0 else -2 - number
        people.setdefault(key, []).append(bone_lengths(joints))
    lengths = np.stack([np.mean(each, axis=0) for each in people.values()])  # (people, 20)
    lines = []
    for (what, finger, number), (mean, sd) in _PHALANGES_MM.items():
        ends = FINGERS[finger][number - 1 : number + 1]
        row = int(np.flatnonzero((ends == BONES).all(axis=1))[0])
        own = lengths[:, row]
        values = {"mean": float(own.mean()), "sd": float(own.std())}
        lines.append(Line(f"{what} phalanx", "mm", values, f"{mean} ± {sd} [4]"))
    return lines


def _penetration_lines(
    hands: dict[tuple[int, str], tuple[np.ndarray, int]], pairs: dict[int, np.ndarray]
) -> list[Line]:
    """Bones as capsules with the flesh's radius: a finger that touches another is near 0."""
    own = finger_penetration_mm(np.stack([joints for joints, _ in hands.values()]))
    lines = [Line("fingers into each other or the palm", "mm", _depths(own), "flesh gives way")]
    if pairs:
        both = np.stack(list(pairs.values()))  # (P, 2, 21, 3)
        deep = hands_penetration_mm(both[:, 0], both[:, 1])
        lines.append(Line("one hand into the other", "mm", _depths(deep), "flesh gives way"))
    return lines


def _depths(values: np.ndarray) -> dict[str, float]:
    quantiles = np.percentile(values, (50, 95))
    return {
        "median": float(quantiles[0]), "95 %": float(quantiles[1]), "most": float(values.max()),
    }  # fmt: skip


def _spread(values: np.ndarray) -> dict[str, float]:
    low, middle, high = np.percentile(values, (5, 50, 95))
    return {"5 %": float(low), "median": float(middle), "95 %": float(high)}
