"""Calibrating a rig from video files, by the hands or by a board that is carried in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from knuckle.address import short
from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.results import TrackedHand
from knuckle.video import open_sources
from knuckle.views.between import at_instant
from knuckle.views.boards import BoardCalibration, Charuco, calibrate_rig_by_board
from knuckle.views.calibrate import RigCalibration, calibrate_rig
from knuckle.views.decisions import BY_HANDS, TIMING
from knuckle.views.lateness import lateness
from knuckle.views.rig import names_a_folder
from knuckle.views.sync import Followed, follow, offsets

#: A minute of hands says all there is to say.
_FIRST_S = 60.0
#: A calibration by hands or by a board.
Found = TypeVar("Found", RigCalibration, BoardCalibration)


def calibrate_from_videos(
    sources: Sequence[str],
    lenses: Sequence[Camera | None],
    *,
    fps: float | None = None,
    together: bool = False,
    hand_length_mm: float | None = None,
    max_hands: int = 2,
    weights_dir: Path | None = None,
) -> RigCalibration:
    """Find where the cameras of several videos stand: one a camera; a lens of None is assumed.

    ``together``: they began at the same instant. A hand's length, wrist to tip of the middle finger
    along the bones, sets the scale if it is known. ``fps`` is for folders of images.

    Returns:
        The calibration; its rig says by how much the clocks of the videos differ.

    Raises:
        SourceError: a video cannot be read.
        ValueError: the hands do not tell when the videos began, or where the cameras stand.
    """
    seen = _seen(sources, lenses, fps=fps, max_hands=max_hands, weights_dir=weights_dir)

    def at(clocks: Sequence[float]) -> RigCalibration:
        found = calibrate_rig(
            _names(sources),
            [each.camera for each in seen],
            [each.size for each in seen],
            side_by_side(seen, clocks),
            hand_length_mm=hand_length_mm,
        )
        return replace(found, rig=found.rig.with_late(clocks))

    return at([0.0] * len(seen)) if together else _in_step(seen, at)


def _seen(sources: Sequence[str], lenses: Sequence[Camera | None], **how: Any) -> list[Followed]:
    """What each camera saw by itself."""
    cameras = zip(sources, lenses, strict=True)
    return [follow(source, lens, first_s=_FIRST_S, **how) for source, lens in cameras]


def _in_step(seen: Sequence[Followed], at: Callable[[Sequence[float]], Found]) -> Found:
    """The calibration at the clocks that hands tell.

    How fingers bend tells clocks roughly, before anything else is known. Rays tell them to a
    fraction of a frame, once it is known where cameras stand, and that is known the better the
    better clocks are. Where hands do not bend, videos that began at about one instant are tried.
    """
    try:
        bends = offsets([each.motion for each in seen])
    except InputError as unknown:
        try:
            return _by_rays(at([0.0] * len(seen)), seen, at)
        except InputError:
            raise InputError(f"{unknown}; where they did begin together, say --together") from None
    found = at(bends)
    try:
        return _by_rays(found, seen, at)
    except InputError:  # hands that bend, but hardly move
        return found


def _by_rays(
    found: Found, seen: Sequence[Followed], at: Callable[[Sequence[float]], Found]
) -> Found:
    """The calibration at the clocks that rays tell, if they do, beginning with another one."""
    for _ in range(BY_HANDS.clock_rounds):
        found = at(lateness(found.rig, seen).late_s.tolist())
    return found


def calibrate_from_boards(
    sources: Sequence[str],
    lenses: Sequence[Camera | None],
    board: Charuco,
    *,
    fps: float | None = None,
    together: bool = False,
    max_hands: int = 2,
    weights_dir: Path | None = None,
) -> BoardCalibration:
    """Find where the cameras of several videos stand from a board that is carried before them.

    Videos and lenses are one of each camera. Where the videos did not begin ``together``, the hands
    that carry the board tell when; ``max_hands`` and ``weights_dir`` are for that.

    Returns:
        The calibration; its rig says by how much the clocks of the videos differ.

    Raises:
        SourceError: a video cannot be read.
        ValueError: a lens is not known, or too few cameras see the board at a time.
    """
    known = [lens for lens in lenses if lens is not None]
    if len(known) < len(sources):
        raise InputError(
            "a board is as good as the lenses that see it: give --intrinsics, as knuckle camera "
            "calibrate writes them"
        )

    def at(clocks: Sequence[float]) -> BoardCalibration:
        with open_sources(sources, fps=fps, offsets_s=clocks) as opened:
            sizes = [source.size for source in opened.sources]
            rate = opened.info.fps or 30.0
            found = calibrate_rig_by_board(
                _names(sources), known, sizes, board, islice(opened, round(_FIRST_S * rate))
            )
        return replace(found, rig=found.rig.with_late(clocks))

    if together:
        return at([0.0] * len(sources))
    seen = _seen(sources, lenses, fps=fps, max_hands=max_hands, weights_dir=weights_dir)
    return _in_step(seen, at)


def side_by_side(
    seen: Sequence[Followed], offsets_s: Sequence[float]
) -> list[list[list[TrackedHand]]]:
    """Per frame of the first video the hands of all at that instant.

    Shutters of cameras do not open together: what another video shows is taken between its two
    frames about that instant, where both have the hand. It has no hands at an instant from which
    its nearest frame is more than half a frame away.
    """
    clocks = [each.times_s - offset for each, offset in zip(seen, offsets_s, strict=True)]
    periods = [float(np.median(np.diff(clock))) if len(clock) > 1 else 1 / 30 for clock in clocks]
    instants = []
    for now in clocks[0]:
        views: list[list[TrackedHand]] = []
        for each, clock, period in zip(seen, clocks, periods, strict=True):
            near = int(np.argmin(np.abs(clock - now))) if len(clock) else -1
            there = near >= 0 and abs(clock[near] - now) <= 0.51 * period
            views.append(_at(now, near, clock, each.hands, period) if there else [])
        instants.append(views)
    return instants


def _at(
    now: float,
    near: int,
    clock: np.ndarray,
    hands: Sequence[Sequence[TrackedHand]],
    period: float,
) -> list[TrackedHand]:
    """The hands of the nearest frame, keypoints as far on their way to the next as ``now`` is."""
    other = near + (1 if now > clock[near] else -1)
    if not 0 <= other < len(clock) or not 0 < abs(clock[other] - clock[near]) < 1.5 * period:
        return list(hands[near])
    if abs(now - clock[near]) < TIMING.same_s:
        return list(hands[near])
    then = {hand.track_id: hand.raw for hand in hands[other]}
    return [
        replace(
            hand,
            raw=at_instant(((clock[other], then[hand.track_id]), (clock[near], hand.raw)), now),
        )
        if hand.track_id in then
        else hand
        for hand in hands[near]
    ]


def _names(sources: Sequence[str]) -> list[str]:
    """The files' own, as far as they are text; numbered where these are the same, or no names."""
    stems = [short(Path(source).stem) for source in sources]
    if len(set(stems)) == len(stems) and all(map(names_a_folder, stems)):
        return stems
    return [f"cam_{number}" for number in range(len(stems))]
