"""Where MediaPipe puts the joints that Knuckle puts elsewhere: fits ``knuckle.data.convention``.

    python benchmarks/convention.py --mediapipe-python PEERS/bin/python [--shards runs/data/plain]

MediaPipe looks at rendered close-ups whose joints are known exactly. What its answers have in
common is a difference of convention; what they do not is its error. Each joint is moved to a
weighted mean of itself and of its neighbours, the weights by robust least squares; four fifths of
the hands are fitted and the rest measured, in turns. Hands that it mistakes (wrong side, or the
median joint off by more than 6 % of the box) are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from knuckle.data import shards
from knuckle.hand import JOINT_NAMES, KNUCKLES, N_JOINTS, PARENTS, TIPS, Joint
from knuckle.metrics import box_side
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


@dataclass(frozen=True, eq=False)
class Answers:
    """The teacher's joints and the true ones of N hands, both (N, 21, 2), one unit a hand's box."""

    said: np.ndarray
    true: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """(N, 21) distances, shares of the box."""
        return np.linalg.norm(self.said - self.true, axis=-1)


def ask(mediapipe: MediaPipe, folder: Path, count: int) -> Answers:
    """MediaPipe's answers on rendered close-ups, without those that are mistakes."""
    samples = list(islice(shards.read(sorted(folder.glob("*.tar"))), count))
    border = ((_BORDER_PX, _BORDER_PX), (_BORDER_PX, _BORDER_PX), (0, 0))
    hands = mediapipe.predict([np.pad(s.image, border, mode="edge") for s in samples])
    said, true = [], []
    for sample, found in zip(samples, hands, strict=True):
        truth = sample.hands[0] if sample.hands else None
        if truth is None or not found or found[0].side != truth.side:
            continue
        side = float(box_side(truth.joints_px))
        said.append((found[0].joints_px - _BORDER_PX) / side)
        true.append(truth.joints_px / side)
    answers = Answers(np.array(said), np.array(true))
    kept = np.median(answers.errors, axis=1) < _MISTAKEN_HAND
    return Answers(answers.said[kept], answers.true[kept])


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
        matrix = fit(Answers(answers.said[rest], answers.true[rest]))
        moved = np.einsum("jk,nkd->njd", matrix, answers.said[held])
        errors[held] = np.linalg.norm(moved - answers.true[held], axis=-1)
    return errors


@dataclass(frozen=True)
class Convention:
    """Fit where MediaPipe's joints are Knuckle's."""

    mediapipe_python: Path
    """Python of an environment with mediapipe==0.10.21 (extra "peers")."""
    shards: Path = Path("runs/data/plain")
    """Rendered close-ups, from ``knuckle data render plain``."""
    count: int = 4000
    """Pictures looked at."""

    def run(self) -> None:
        """Print the errors before and after, and the weights."""
        mediapipe = MediaPipe(self.mediapipe_python, MediaPipeSettings(max_hands=1))
        answers = ask(mediapipe, self.shards, self.count)
        before = np.median(answers.errors, axis=0)
        after = np.median(held_out_errors(answers), axis=0)
        moved = (after < (1 - _WORTH_IT) * before) & (after < _SETTLED)
        matrix = fit(answers)
        print(f"{len(answers.said)} hands; median distance as a share of the box\n")
        print("| joint | as answered | moved | used |\n|---|---|---|---|")
        for joint, name in enumerate(JOINT_NAMES):
            used = "yes" if moved[joint] else "no"
            print(f"| {name} | {before[joint]:.1%} | {after[joint]:.1%} | {used} |")
        print()
        for joint in np.flatnonzero(moved):
            shares = ", ".join(
                f"Joint.{Joint(k).name}: {matrix[joint, k]:.2f}" for k in neighbours(int(joint))
            )
            print(f"    Joint.{Joint(joint).name}: {{{shares}}},")


if __name__ == "__main__":
    import tyro

    tyro.cli(Convention).run()
