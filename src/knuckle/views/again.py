"""A second look: what cameras say together of where a hand is, shown to each of them.

A camera by itself guesses which crop shows a hand, and misses some. Once two of them have seen it,
its place, size, turn and side are known in every picture, exactly: a camera that missed it, or that
looked through another crop, looks once more. What a single camera sees lies somewhere along a line
in the pictures of the others: there they look at several places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.hand import Side, extent_px
from knuckle.pipeline import judge
from knuckle.results import HandPose, TrackedHand
from knuckle.track.association import is_inside
from knuckle.views.decisions import LOOKING, MATCHING
from knuckle.views.looks import Looks, shape_in_world
from knuckle.views.matching import pair_costs
from knuckle.views.meeting import Meeting
from knuckle.views.rig import Rig

#: How far a hand may be that one camera alone sees, over what that camera says.
_DISTANCES = np.exp(np.linspace(-LOOKING.reach, LOOKING.reach, LOOKING.guesses))


@dataclass(frozen=True, eq=False)
class Place:
    """Where a camera should see a hand."""

    camera: int  # its number
    side: Side  # of the hand
    guesses_px: np.ndarray  # (G, 21, 2) where its joints may be; a single one is exact
    members: tuple[int, ...]  # the looks of the hand, by their numbers
    own: int | None  # the camera's own one among them; None if it has missed it


def places(
    meetings: Sequence[Meeting],
    lengths_mm: np.ndarray,
    sizes: Sequence[tuple[int, int] | None],
) -> list[Place]:
    """Where each camera should see each hand: where others tell it, and some is in the picture.

    Bones ``lengths_mm`` (20,); ``sizes`` (width, height) of the pictures, None of a camera without
    one.
    """
    found = []
    for meeting in meetings:
        rig, looks, members = meeting.rig, meeting.looks, meeting.members
        hands_mm = _where(meeting, lengths_mm)
        side: Side = "right" if looks.right[members].mean() >= 0.5 else "left"
        own = {int(looks.camera[i]): i for i in members}
        for camera, size in enumerate(sizes):
            known = own.get(camera)
            if size is None or (known is not None and len(members) == 1):
                continue
            guesses = rig.cameras[camera].project(hands_mm)  # (G, 21, 2)
            if known is not None:  # the frame may be of a moment later
                guesses = guesses + looks.since_px(known)
            before = np.isfinite(guesses).all(axis=(1, 2))  # all of it before the camera
            inside = [is_inside(guess, size[::-1]) for guess in guesses]
            likely = guesses[before & inside]
            if len(likely):
                found.append(Place(camera, side, likely, tuple(members), known))
    return found


def shows(rig: Rig, looks: Looks, place: Place, pose: HandPose) -> bool:
    """Whether a look at a place shows the hand that is expected there, and not its neighbour."""
    missed = place.own is None
    right = pose.side_score
    if (
        pose.score < (LOOKING.least_of_missed if missed else LOOKING.least_score)
        or right < LOOKING.least_right
    ):
        return False
    others = [
        i for i in range(len(looks)) if looks.camera[i] == place.camera and i not in place.members
    ]
    if any(_gap(pose.joints_px, looks.hands[i].raw.joints_px) < judge.SAME_JOINTS for i in others):
        return False
    if len(place.guesses_px) == 1:
        return _gap(pose.joints_px, place.guesses_px[0]) < LOOKING.near
    (i,) = place.members
    views: list[list[TrackedHand]] = [[] for _ in rig.cameras]
    views[looks.camera[i]] = [looks.hands[i]]
    views[place.camera] = [as_seen(looks.hands[i], pose)]
    return bool(pair_costs(rig, Looks.of(views), [(0, 1)])[0] < MATCHING.most_cost)


def as_seen(hand: TrackedHand, pose: HandPose) -> TrackedHand:
    """A hand that is followed, as another look at the same frame shows it."""
    own = {"track_id": hand.track_id, "age_s": hand.age_s, "velocity_mm_s": hand.velocity_mm_s}
    return TrackedHand.of(pose, raw=pose, **own)


def _where(meeting: Meeting, lengths_mm: np.ndarray) -> np.ndarray:
    """(G, 21, 3) where a hand may be, in the world: exact if two cameras see it."""
    if len(meeting) > 1:
        return meeting.fit(lengths_mm).joints_mm[None]
    rig, looks, (i,) = meeting.rig, meeting.looks, meeting.members
    here = shape_in_world(rig, looks.camera[i], looks.poses[i], float(lengths_mm.sum()))
    centre = rig.cameras[looks.camera[i]].centre_mm
    return centre + _DISTANCES[:, None, None] * (here - centre)


def _gap(joints_px: np.ndarray, others_px: np.ndarray) -> float:
    """Mean distance of joints (21, 2), as a share of the second hand's extent."""
    apart = np.linalg.norm(joints_px - others_px, axis=1).mean()
    return float(apart / max(float(extent_px(others_px)), 1.0))
