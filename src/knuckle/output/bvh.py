"""``hands.bvh``: both hands as moving skeletons, for Blender and everything that animates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from knuckle.output.armature import Armature, bone_names
from knuckle.output.records import Recording
from knuckle.output.staged import ExportSink
from knuckle.output.timeline import Timeline

_POSITION = "Xposition Yposition Zposition"
_ROTATION = "Zrotation Xrotation Yrotation"


class BvhSink(ExportSink):
    """Metres, y up, constant rate. ``Hands`` at the camera carries ``LeftHand`` and ``RightHand``.

    Bones keep the length that they mostly have. While a hand is not seen it stays where it was.
    """

    filename = "hands.bvh"

    def _export(self, recording: Recording, whole: Path) -> None:
        timeline = Timeline.of(recording)
        hands = [Armature.of(motion, side) for side, motion in timeline.motions.items()]
        with whole.open("w", encoding="ascii", newline="\n") as file:
            file.writelines(f"{line}\n" for line in _hierarchy(hands))
            count = len(timeline.times_s)
            file.write(f"MOTION\nFrames: {count}\nFrame Time: {1 / timeline.rate:.9f}\n")
            values = np.concatenate([np.zeros((count, 6)), *map(_channels, hands)], axis=1)
            for row in values:
                file.write(" ".join(f"{value:.6f}" for value in row) + "\n")


def _hierarchy(hands: list[Armature]) -> Iterator[str]:
    yield "HIERARCHY"
    yield from ("ROOT Hands", "{", "\tOFFSET 0 0 0", f"\tCHANNELS 6 {_POSITION} {_ROTATION}")
    for hand in hands:
        yield from _indented(_hand(hand))
    if not hands:
        yield from _indented(_end(np.zeros(3)))
    yield "}"


def _hand(hand: Armature) -> Iterator[str]:
    yield from (f"JOINT {hand.side.capitalize()}Hand", "{", "\tOFFSET 0 0 0")
    yield f"\tCHANNELS 6 {_POSITION} {_ROTATION}"
    names, offsets_m = bone_names(hand.side), hand.offsets_mm / 1000
    for first in range(0, len(names), 4):
        yield from _indented(_chain(names[first : first + 4], offsets_m[first : first + 4]))
    yield "}"


def _chain(names: list[str], offsets_m: np.ndarray) -> Iterator[str]:
    """A finger: each joint stands at the end of the bone before it, the first at the wrist."""
    at = np.zeros(3)
    for depth, (name, offset) in enumerate(zip(names, offsets_m, strict=True)):
        tabs = "\t" * depth
        yield from (f"{tabs}JOINT {name}", f"{tabs}{{", f"{tabs}\tOFFSET {_numbers(at)}")
        yield f"{tabs}\tCHANNELS 3 {_ROTATION}"
        at = offset
    yield from ("\t" * len(names) + line for line in _end(at))
    for depth in reversed(range(len(names))):
        yield "\t" * depth + "}"


def _end(offset_m: np.ndarray) -> list[str]:
    return ["End Site", "{", f"\tOFFSET {_numbers(offset_m)}", "}"]


def _indented(lines: Iterator[str] | list[str]) -> Iterator[str]:
    return ("\t" + line for line in lines)


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def _channels(hand: Armature) -> np.ndarray:
    """(T, 6 + 60) place and turn of the hand, then the turn of each bone."""
    turns = np.concatenate([hand.root[:, None], hand.turns], axis=1)  # (T, 21, 3, 3)
    angles = euler_zxy_deg(turns)
    return np.concatenate([hand.root_mm / 1000, angles.reshape(len(angles), -1)], axis=1)


def euler_zxy_deg(rotations: np.ndarray) -> np.ndarray:
    """(T, n, 3) degrees z, x, y with rotation = Rz @ Rx @ Ry, without jumps where turns have none.

    A finger that bends beyond 90 degrees has x beyond them: the same turn with x below and z and y
    half a turn on would have it spin between two samples.
    """
    (r00, r01, r02), (r10, r11, r12), (*_, r21, _) = np.moveaxis(rotations, (-2, -1), (0, 1))
    z = np.arctan2(-r01, r11)
    sin, cos = np.sin(z), np.cos(z)
    # From what is left without z: at x = 90 degrees, where only z and y together are known, too.
    x = np.arctan2(r21, cos * r11 - sin * r01)
    y = np.arctan2(cos * r02 + sin * r12, cos * r00 + sin * r10)
    angles = np.stack([z, x, y], axis=-1)
    other = np.stack([z + np.pi, np.pi - x, y + np.pi], axis=-1)  # the same turn
    before = np.concatenate([np.zeros_like(angles[:1]), angles[:-1]])
    # Where both change to the other one, they are as far from each other as they were.
    changes = _apart(before, other) < _apart(before, angles)
    taken = np.cumsum(changes, axis=0) % 2 == 1
    return np.degrees(np.unwrap(np.where(taken[..., None], other, angles), axis=0))


def _apart(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(...) how far angles (..., 3) turn on from one sample to the next, whole turns aside."""
    turns = after - before
    return np.abs(turns - 2 * np.pi * np.round(turns / (2 * np.pi))).sum(axis=-1)
