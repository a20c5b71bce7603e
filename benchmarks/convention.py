"""What MediaPipe's answers mean in Knuckle's terms: fits ``knuckle.data.convention``.

    python benchmarks/convention.py --mediapipe-python PEERS/bin/python [--shards runs/data/plain]
        [--photographs runs/data/crops.npz]

MediaPipe looks at rendered close-ups whose joints are known exactly. What its answers have in
common is a difference of convention, the rest is error. Each joint is moved to a weighted mean of
itself and its neighbours, with weights from robust least squares, cross-validated by fitting four
fifths of the hands and measuring the rest. In 3D, the depth that phalanges gain over their length
is compared with the truth, fitting one line to all of one kind. Hands that it mistakes (wrong side,
or the median joint off by more than 6 % of the box) are left out.

The wrist is another matter, as rendered forearms mislead MediaPipe. On the labelled photographs,
hands held flat in front of the camera show how far from the knuckles it puts the wrist, in lengths
of the hand model. The size of such a hand is estimated from its fingers and the breadth of its
palm; the mean of the two counts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np

from board import Table, command
from knuckle.data import shards
from knuckle.data.convention import TEACHERS_OWN, teachers_joints
from knuckle.data.photographs import PhotographStore
from knuckle.hand import BONES, FINGERS, JOINT_NAMES, KNUCKLES, N_JOINTS, PARENTS, TIPS, Joint
from knuckle.metrics import box_side
from knuckle.render.hand_model import HandModel
from peers.process import MediaPipe, MediaPipeSettings

#: MediaPipe's detector wants to see some room around a hand: so many px of repeated border.
_BORDER_PX = 48
#: Hands whose median joint, and answers for one joint, that are off by more are mistakes.
_MISTAKEN_HAND, _MISTAKEN_JOINT = 0.06, 0.12
_FOLDS = 5
#: Ridge on the weights, in hands; distances are shares of the hand's box.
_RIDGE = 1.0
_ROUNDS, _SMALLEST_RESIDUAL = 20, 0.01
#: A joint is moved if that brings it nearer by so much at least ...
_WORTH_IT = 0.1
#: ... and if it then scatters by less than this, as a share of the box.
_SETTLED = 0.05
#: A hand is flat whose fingers are so straight (ends over length), and whose knuckles and tips lie,
#: by the teacher's depth, no farther than so from the wrist's plane, and from each other, mm.
_STRAIGHT, _LEANT_MM, _TURNED_MM = 0.97, 30.0, 12.0
#: What is compared on flat hands: the wrist from its knuckles, then the base of the thumb.
_REACHES = [
    *((Joint.WRIST, Joint(k)) for k in KNUCKLES),
    (Joint.WRIST, Joint.THUMB_CMC),
    (Joint.THUMB_CMC, Joint.THUMB_MCP),
]
#: Palms of people are so much broader than the hand model's (``docs/joints.md``).
_BROADER = 1.06


@dataclass(frozen=True, eq=False)
class Answers:
    """The teacher's joints and the true ones of N hands.

    Attributes:
        said, true: (N, 21, 2) one unit a hand's box.
        said_depth, true_depth: (N, 20) share of each bone's length that leads away from the camera.
    """

    said: np.ndarray
    true: np.ndarray
    said_depth: np.ndarray
    true_depth: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """(N, 21) distances, shares of the box."""
        return np.linalg.norm(self.said - self.true, axis=-1)

    def take(self, kept: np.ndarray) -> Answers:
        """Some of the hands."""
        return Answers(*(getattr(self, field.name)[kept] for field in fields(self)))


def ask(mediapipe: MediaPipe, folder: Path, count: int) -> Answers:
    """MediaPipe's answers on rendered close-ups, without those that are mistakes."""
    samples = list(islice(shards.read(sorted(folder.glob("*.tar"))), count))
    border = ((_BORDER_PX, _BORDER_PX), (_BORDER_PX, _BORDER_PX), (0, 0))
    hands = mediapipe.predict([np.pad(s.image, border, mode="edge") for s in samples])
    rows = []
    for sample, found in zip(samples, hands, strict=True):
        truth = sample.hands[0] if sample.hands else None
        if truth is None or not found or found[0].side != truth.side:
            continue
        assert truth.joints_mm is not None
        side = float(box_side(truth.joints_px))
        rows.append(
            (
                (found[0].joints_px - _BORDER_PX) / side,
                truth.joints_px / side,
                bone_depth(found[0].joints_mm, np.array([0.0, 0.0, 1.0])),
                bone_depth(truth.joints_mm, truth.joints_mm.mean(axis=0)),
            )
        )
    answers = Answers(*(np.array(column) for column in zip(*rows, strict=True)))
    return answers.take(np.median(answers.errors, axis=1) < _MISTAKEN_HAND)


def bone_depth(joints_mm: np.ndarray, line_of_sight: np.ndarray) -> np.ndarray:
    """(20,) the share of each bone's length that leads away from the camera."""
    bones = joints_mm[BONES[:, 1]] - joints_mm[BONES[:, 0]]
    along = bones @ (line_of_sight / np.linalg.norm(line_of_sight))
    return along / np.maximum(np.linalg.norm(bones, axis=1), 1e-6)


def neighbours(joint: int) -> list[int]:
    """The joints between which a joint may be moved: along its finger, or across the palm."""
    if joint == Joint.WRIST:
        return [Joint.INDEX_MCP, Joint.MIDDLE_MCP, Joint.LITTLE_MCP]
    if joint == Joint.THUMB_CMC:
        return [Joint.WRIST, Joint.THUMB_MCP, Joint.INDEX_MCP]
    if joint in KNUCKLES:
        ends = (Joint.INDEX_MCP, Joint.LITTLE_MCP)
        return [Joint.WRIST, joint + 1, *(end for end in ends if end != joint)]
    if joint in TIPS:
        return [joint - 1, joint - 2]
    return [int(PARENTS[joint]), joint + 1]


def fit(answers: Answers) -> np.ndarray:
    """(21, 21) the weights, each row with sum 1: least absolute distances, by reweighting."""
    matrix = np.eye(N_JOINTS)
    for joint in range(N_JOINTS):
        near = neighbours(joint)
        # A share w of a neighbour moves the joint by w times the way to it.
        ways = (answers.said[:, near] - answers.said[:, [joint]]).swapaxes(1, 2)  # (N, 2, K)
        gap = answers.true[:, joint] - answers.said[:, joint]  # (N, 2)
        trust = (np.linalg.norm(gap, axis=1) < _MISTAKEN_JOINT).astype(float)
        known = trust > 0
        for _ in range(_ROUNDS):
            normal = np.einsum("n,nij,nik->jk", trust, ways, ways) + _RIDGE * np.eye(len(near))
            shares = np.linalg.solve(normal, np.einsum("n,nij,ni->j", trust, ways, gap))
            left = np.linalg.norm(gap - ways @ shares, axis=1)
            trust = known / np.maximum(left, _SMALLEST_RESIDUAL)
            trust *= known.sum() / trust.sum()
        matrix[joint, near] = shares
        matrix[joint, joint] -= shares.sum()
    return matrix


def held_out_errors(answers: Answers) -> np.ndarray:
    """(N, 21) errors of moved joints, each hand moved by weights that were fitted to others."""
    errors = np.zeros_like(answers.errors)
    fold = np.arange(len(errors)) % _FOLDS
    for k in range(_FOLDS):
        rest, held = fold != k, fold == k
        matrix = fit(answers.take(rest))
        moved = np.einsum("jk,nkd->njd", matrix, answers.said[held])
        errors[held] = np.linalg.norm(moved - answers.true[held], axis=-1)
    return errors


def flat_hands(store: PhotographStore) -> np.ndarray:
    """(N, 21, 2) px, labels of the hands that are held flat and square to the camera."""
    first = store.hand_offsets[:-1]
    said, depth_mm = store.own_px[first], store.world_mm[first][..., 2]
    chains = said[:, FINGERS[1:]]  # (N, 4, 4, 2)
    straight = np.linalg.norm(chains[:, :, -1] - chains[:, :, 0], axis=-1) / lengths(chains)
    ends = [*KNUCKLES, *TIPS[1:]]
    leant = np.abs(depth_mm[:, ends] - depth_mm[:, [Joint.WRIST]]).max(axis=1)
    turned = np.abs(depth_mm[:, Joint.INDEX_MCP] - depth_mm[:, Joint.LITTLE_MCP])
    flat = (straight > _STRAIGHT).all(axis=1) & (leant < _LEANT_MM) & (turned < _TURNED_MM)
    return said[flat].astype(float)


def lengths(chains: np.ndarray) -> np.ndarray:
    """(...) lengths of chains of joints (..., J, D)."""
    return np.linalg.norm(np.diff(chains, axis=-2), axis=-1).sum(axis=-1)


def reaches(hands: np.ndarray) -> np.ndarray:
    """(6,) medians of the distances ``_REACHES`` of flat hands (N, 21, 2), in the hand model's."""
    model = HandModel.load()
    mean = model.rest_joints(np.zeros((1, model.n_shape)))

    def breadth(joints: np.ndarray) -> np.ndarray:
        return np.linalg.norm(joints[:, Joint.LITTLE_MCP] - joints[:, Joint.INDEX_MCP], axis=-1)

    def reach(joints: np.ndarray) -> np.ndarray:
        ends = joints[:, np.array(_REACHES)]  # (N, 6, 2, D)
        return np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1)

    by_fingers = (lengths(hands[:, FINGERS[1:]]) / lengths(mean[:, FINGERS[1:]])).mean(axis=1)
    by_breadth = breadth(hands) / (_BROADER * breadth(mean))
    size = (by_fingers + by_breadth)[:, None] / 2
    return np.median(reach(hands) / size / reach(mean), axis=0)


JOINTS = Table({"joint": "", "as answered": "{:.1%}", "moved": "{:.1%}", "used": ""})
REACHES = Table({"of the hand model's": "", "as answered": "{:.3f}", "moved": "{:.3f}"})
PHALANGES = Table({
    "phalanges of the fingers": "",
    "slope": "{:.2f}",
    "offset": "{:+.2f}",
    "error as answered": "{:.2f}",
    "on the line": "{:.2f}",
})  # fmt: skip


@dataclass(frozen=True)
class Convention:
    """Fit where MediaPipe's joints are Knuckle's."""

    mediapipe_python: Path
    """Python of an environment with mediapipe==0.10.21 (extra "peers")."""
    shards: Path = Path("runs/data/plain")
    """Rendered close-ups, from ``knuckle data render plain``."""
    count: int = 3000
    """Pictures looked at."""
    photographs: Path | None = None
    """Store of labelled photographs, for the wrist."""

    def run(self) -> None:
        """Print the errors before and after, and the weights."""
        mediapipe = MediaPipe(self.mediapipe_python, MediaPipeSettings(max_hands=1))
        answers = ask(mediapipe, self.shards, self.count)
        before = np.median(answers.errors, axis=0)
        after = np.median(held_out_errors(answers), axis=0)
        moved = (after < (1 - _WORTH_IT) * before) & (after < _SETTLED)
        matrix = fit(answers)
        print(f"{len(answers.said)} hands; median distance as a share of the box\n")
        used = ["yes" if each else "no" for each in moved]
        print(JOINTS.text(zip(JOINT_NAMES, before, after, used, strict=True)))
        print()
        for joint in np.flatnonzero(moved):
            shares = ", ".join(
                f"Joint.{Joint(k).name}: {matrix[joint, k]:.2f}" for k in neighbours(int(joint))
            )
            print(f"    Joint.{Joint(joint).name}: {{{shares}}},")
        print(f"\n{PHALANGES.head}")
        for phalanx, name in enumerate(("proximal", "middle", "distal")):
            bones = np.isin(BONES[:, 1], FINGERS[1:, phalanx + 1])
            said, true = answers.said_depth[:, bones], answers.true_depth[:, bones]
            slope, offset = np.polyfit(said.ravel(), true.ravel(), 1)
            plain, left = np.abs(said - true).mean(), np.abs(slope * said + offset - true).mean()
            print(PHALANGES.row(name, slope, offset, plain, left))
        if self.photographs is not None:
            print(f"\n{_wrists(self.photographs)}")


def _wrists(path: Path) -> str:
    """Where wrist and base of the thumb lie on photographs, and how far the wrist should move."""
    hands = flat_hands(PhotographStore.load(path))
    moved = reaches(hands)
    said = teachers_joints(hands)
    for joint in TEACHERS_OWN:
        hands[:, joint] = said[:, joint]
    answered = reaches(hands)
    share = (1 - 1 / answered[: len(KNUCKLES)].mean()) / len(KNUCKLES)
    names = [f"{JOINT_NAMES[a]} to {JOINT_NAMES[b]}" for a, b in _REACHES]
    table = REACHES.text(zip(names, answered, moved, strict=True))
    return f"{len(hands)} flat hands\n\n{table}\n\nwrist, of each knuckle: {share:.3f}"


if __name__ == "__main__":
    command(Convention)
