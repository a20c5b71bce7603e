"""What a synthetic capture will hold: people, times, activities, and how many cameras see them.

Everything follows from ``CaptureSettings``: the plan is made anew by every process and every run,
which is what makes a capture resumable and the same however many workers render it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from knuckle.data.capture_rig import MOST_CAMERAS
from knuckle.data.splits import SHARES
from knuckle.errors import InputError

HandType = Literal["right", "left", "interacting"]

#: InterHand2.6M's frame numbers count the cameras' 90 frames a second.
_SENSOR_FPS = 90
#: Longest sequence in time steps, by frames per second.
_LONGEST = {5: 40, 30: 120}
#: Frame numbers of the sequences of a capture are at least this far apart.
_PAUSE_FRAMES = 900


@dataclass(frozen=True)
class CaptureSettings:
    """What to record."""

    #: Number of pictures: one time step seen by M cameras gives M. The last step is seen by fewer
    #: cameras where the numbers do not go up.
    frames: int
    cameras: int = 16  # in the studio, 8 to 140 as a rule
    fps: int = 5  # time steps a second, 5 or 30
    #: People, each recorded in one capture and in one split; fewer where there are fewer time
    #: steps.
    subjects: int = 20
    seed: int = 0  # another seed gives another capture
    vary: bool = False  # any light, background and clothes in place of the dark studio
    depth: bool = True  # also write depth maps

    def __post_init__(self) -> None:
        if self.frames < 1 or self.subjects < 1:
            raise InputError(
                f"expected at least 1 frame and 1 subject, got {self.frames} and {self.subjects}"
            )
        if self.fps not in _LONGEST:
            raise InputError(f"InterHand2.6M comes with 5 or 30 frames a second, got {self.fps}")
        if self.seed < 0:
            raise InputError(f"expected a seed of 0 or more, got {self.seed}")
        if not 1 <= self.cameras <= MOST_CAMERAS:
            raise InputError(f"expected 1 to {MOST_CAMERAS} cameras, got {self.cameras}")


@dataclass(frozen=True)
class Activity:
    """What hands do in a sequence."""

    name: str  # as it stands in the sequence's name
    hand_type: HandType  # which hands are there, in InterHand2.6M's words
    #: Share of each family of poses, see ``poses.sample_poses``.
    mix: Mapping[str, float] | None = field(default=None, hash=False)
    held: bool = False  # the (first) hand holds something
    touching: bool = False  # the two hands touch; their motion comes from ``render.interaction``


_ROM = {"flat": 1, "splayed": 2, "fist": 2, "relaxed": 1, "hook": 1, "wild": 1, "blend": 2}
_GESTURES = {"counting": 3, "pointing": 2, "pinching": 2, "letters": 3, "fist": 1, "flat": 1}
_TALK = {"relaxed": 4, "flat": 2, "splayed": 1, "pointing": 1, "pinching": 1, "blend": 2}
_GRASPS = {"cylinder": 3, "sphere": 2, "tripod": 1}

#: Sequences take turns in this order; 4 of 10 show two hands, as do 46 % of InterHand2.6M's.
ACTIVITIES = (
    Activity("rt_range_of_motion", "right", _ROM),
    Activity("dh_touch", "interacting", touching=True),
    Activity("lt_gestures", "left", _GESTURES),
    Activity("dh_conversation", "interacting", _TALK),
    Activity("rt_holding", "right", _GRASPS, held=True),
    Activity("dh_touch", "interacting", touching=True),
    Activity("lt_range_of_motion", "left", _ROM),
    Activity("rt_gestures", "right", _GESTURES),
    Activity("dh_touch", "interacting", touching=True),
    Activity("lt_holding", "left", _GRASPS, held=True),
)


@dataclass(frozen=True)
class Sequence:
    """One recording."""

    number: int  # among all sequences of the capture; with the settings' seed it makes its motion
    split: str  # train, val or test
    subject: int  # whose hands they are; its number is that of the capture, too
    name: str  # unique within the subject
    activity: Activity  # what they do
    frames: tuple[int, ...]  # ``frame_idx`` of its time steps
    views: tuple[int, ...]  # number of cameras that see each of them


def make_plan(settings: CaptureSettings) -> list[Sequence]:
    """All sequences, subject by subject."""
    steps = -(-settings.frames // settings.cameras)
    subjects = min(settings.subjects, steps)
    longest = _LONGEST[settings.fps]
    sequences: list[Sequence] = []
    for subject, mine in enumerate(np.array_split(np.arange(steps), subjects)):
        frame = 2000 + 7 * subject
        for part in np.array_split(mine, -(-len(mine) // longest)):
            number = len(sequences)
            activity = ACTIVITIES[number % len(ACTIVITIES)]
            frames = frame + np.arange(len(part)) * (_SENSOR_FPS // settings.fps)
            frame = int(frames[-1]) + _PAUSE_FRAMES
            views = np.minimum(settings.frames - part * settings.cameras, settings.cameras)
            sequences.append(
                Sequence(
                    number=number,
                    split=split_of(subject, subjects),
                    subject=subject,
                    name=f"{number:04d}_{activity.name}",
                    activity=activity,
                    frames=tuple(int(f) for f in frames),
                    views=tuple(int(v) for v in views),
                )
            )
    return sequences


def split_of(subject: int, subjects: int) -> str:
    """The split of a subject: 70/15/15 as near as whole people allow; train first."""
    rest = [max(round(share * subjects), 1) if subjects >= 3 else 0 for share in SHARES[1:]]
    n_train = subjects - sum(rest)
    if subject < n_train:
        return "train"
    return "val" if subject < n_train + rest[0] else "test"


def generator(settings: CaptureSettings, *about: int | str) -> np.random.Generator:
    """Random numbers for one thing (a subject, a sequence, a picture), the same in every run."""
    words = [word if isinstance(word, int) else int.from_bytes(word.encode()) for word in about]
    return np.random.default_rng([settings.seed, *words])
