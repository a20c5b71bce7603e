"""Several calibrated views of real hands: Knuckle's rig, MediaPipe and plain triangulation.

    python benchmarks/views.py --mediapipe-python PEERS/bin/python

``views_two_hands``: four webcams, printed reference of 24 instants (made from MediaPipe's points,
and so biased to where MediaPipe puts joints). ``stereo_video``: two cameras, no reference. Every
system follows the hands in each camera by itself, then:

* MediaPipe + DLT: hands of the same side are one, rays meet in plain least squares; the common way.
* Knuckle + DLT: the same with Knuckle's keypoints.
* Knuckle rig: ``knuckle.RigTracker``.

Rays: how far a joint's image is from its keypoint, median over all. Left-out view: how far the
image of a joint triangulated from the other views is from the keypoint of the one left out (from
3 views on).

Every system is run twice: with frames as numbered, and with a camera known to be late corrected for
in the same way for all systems: what the others saw then is interpolated between their frames.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from knuckle import Rig, RigTracker, metrics, open_source, open_sources
from knuckle.errors import InputError
from knuckle.hand import BONES, SIDES, bone_lengths
from knuckle.results import Frame, Instant
from knuckle.views.between import weights_at
from knuckle.views.calibrate import calibrate_rig
from knuckle.views.decisions import BY_HANDS
from knuckle.views.lateness import lateness
from knuckle.views.recordings import side_by_side
from knuckle.views.sync import Followed, offsets
from knuckle.views.triangulation import Sight, meet
from peers.process import MediaPipe, MediaPipeSettings

#: How late cameras 1, 2, 3 and 0 of ``views_two_hands`` are, s: by the board that moves in the same
#: recording, which knows of no hand. And the second of ``stereo_video``, by the hands that it sees.
#: ``benchmarks/lateness.py`` measures both.
LATE_S, STEREO_LATE_S = (0.0, -0.117, -0.120, -0.094), -0.004
#: A hand: camera -> (21, 2) keypoints, and the joints (21, 3) in the world.
Seen = dict[int, np.ndarray]


@dataclass
class Follow:
    """What a system says of each instant.

    Attributes:
        hands: the number by which the reference counts, and by side the keypoints of each view at
            that instant, and the joints.
    """

    hands: list[tuple[int | None, dict[str, tuple[Seen, np.ndarray]]]] = field(default_factory=list)


def read(rig: Rig, videos: Sequence[Path]) -> list[list[Frame]]:
    """The frames of every video with the rig's lens."""
    views = []
    for each, video in zip(rig.cameras, videos, strict=True):
        with open_source(video, camera=each.camera) as source:
            views.append(list(source))
    return views


def triangulated(rig: Rig, seen: Seen) -> np.ndarray:
    """(21, 3) plain least squares; NaN with one view."""
    views = sorted(seen)
    rays = np.stack([rig.cameras[v].camera.rays(seen[v]) for v in views])
    transforms = [rig.cameras[v].T_camera_from_world for v in views]
    return meet(Sight.of(transforms, rays, np.full(rays.shape[:2], 0.01))).mm


def instants(rig: Rig, videos: Sequence[Path]) -> Iterator[Instant]:
    """Frames of one instant, as ``knuckle track`` reads them: late cameras' so much later."""
    with open_sources(videos, offsets_s=rig.late_s) as sources:
        yield from sources


def number_of(rig: Rig, instant: Instant) -> int | None:
    """The number of the frame by which the reference counts: of a camera that is not late."""
    frame = instant[int(np.argmin(rig.late_s))]
    return None if frame is None else frame.index


def at_one_instant(
    instant: Instant, v: int, tracks: dict[int, np.ndarray], times_s: np.ndarray
) -> np.ndarray:
    """(21, 2) keypoints of a camera's hand at an instant.

    On the way through up to three of its frames, as the tracker has it.

    Args:
        instant: of the frames.
        v: the camera.
        tracks: frame number -> (21, 2) of this hand.
        times_s: of all frames of this camera.
    """
    last = instant[v].index
    now_s = instant[v].time_s - instant.later_s[v]
    rows = [last]
    while len(rows) < 3 and rows[0] - 1 in tracks and times_s[rows[0]] - times_s[rows[0] - 1] < 0.3:
        rows.insert(0, rows[0] - 1)
    if abs(instant.later_s[v]) < 1e-3 or len(rows) < 2:
        return tracks[last]
    return np.tensordot(weights_at(times_s[rows].tolist(), now_s), [tracks[r] for r in rows], 1)


def with_dlt(
    rig: Rig, frames: Sequence[Instant], views: Sequence[Sequence], times_s: Sequence[np.ndarray]
) -> Follow:
    """Plain triangulation: hands of the same side are one.

    Args:
        rig: the cameras.
        frames: which are of one instant.
        views: per camera and frame hands with ``side`` and ``joints_px``.
        times_s: per camera of its frames.
    """
    follow = Follow()
    tracks: dict[tuple[int, str], dict[int, np.ndarray]] = {}
    for v, view in enumerate(views):
        for number, hands in enumerate(view):
            for hand in reversed(hands):  # of two of one side, the first one
                tracks.setdefault((v, hand.side), {})[number] = hand.joints_px
    for instant in frames:
        found = {}
        for side in SIDES:
            seen = {
                v: at_one_instant(instant, v, tracks[v, side], times_s[v])
                for v, frame in enumerate(instant)
                if frame is not None and frame.index in tracks.get((v, side), {})
            }
            if len(seen) >= 2:
                found[side] = (seen, triangulated(rig, seen))
        follow.hands.append((number_of(rig, instant), found))
    return follow


def with_rig(
    rig: Rig, videos: Sequence[Path], max_hands: int, times_s: Sequence[np.ndarray]
) -> tuple[list[Follow], list[Instant]]:
    """Knuckle's tracker: each frame alone, and steadied; and which frames were of one instant."""
    tracker = RigTracker(rig.in_step(), max_hands=max_hands)
    alone, steadied = Follow(), Follow()
    frames = []
    tracks: dict[tuple[int, int], dict[int, np.ndarray]] = {}
    for instant in instants(rig, videos):
        hands = tracker(instant)
        seen: dict[str, Seen] = {}
        for hand in hands:
            for v, view in enumerate(hand.views):
                if view is None:
                    continue
                track = tracks.setdefault((v, hand.track_id), {})
                track[instant[v].index] = view.raw.joints_px
                px = at_one_instant(instant, v, track, times_s[v])
                seen.setdefault(hand.side, {})[v] = px
        number = number_of(rig, instant)
        alone.hands.append((number, {h.side: (seen[h.side], h.raw_mm) for h in hands}))
        steadied.hands.append((number, {h.side: (seen[h.side], h.joints_mm) for h in hands}))
        bare = [each and replace(each, image=each.image[:1, :1]) for each in instant]
        frames.append(replace(instant, frames=tuple(bare)))
    return [alone, steadied], frames


def measure(rig: Rig, follow: Follow, reference: dict[tuple[int, str], np.ndarray]) -> str:
    """One line of the table."""
    rays, left_out, bones, errors = [], [], {side: [] for side in SIDES}, []
    missed = 0
    numbered = {number: hands for number, hands in follow.hands if number is not None}
    for _, hands in follow.hands:
        for side, (seen, joints) in hands.items():
            bones[side].append(bone_lengths(joints))
            for v, px in seen.items():
                rays.append(np.linalg.norm(rig.cameras[v].project(joints) - px, axis=1))
                others = {u: p for u, p in seen.items() if u != v}
                if len(others) >= 2:
                    rest = rig.cameras[v].project(triangulated(rig, others))
                    left_out.append(np.linalg.norm(rest - px, axis=1))
    for (frame, side), true in reference.items():
        found = numbered.get(frame, {}).get(side)
        if found is None:
            missed += 1
            continue
        joints = found[1]
        errors.append([metrics.absolute_error(joints, true), metrics.mpjpe(joints, true),
                       metrics.pa_mpjpe(joints, true)])  # fmt: skip
    absolute, wrist, pa = np.mean(errors, axis=0) if errors else (np.nan,) * 3
    spread = [np.std(b, axis=0) / np.median(b, axis=0) for b in bones.values() if len(b) > 5]
    both = [np.median(b, axis=0) for b in bones.values() if len(b) > 5]
    apart = f"{np.abs(both[0] - both[1]).mean():.1f} mm" if len(both) == 2 else "–"
    out = f"{np.nanmedian(np.concatenate(left_out)):.1f} px" if left_out else "–"
    of = f"{missed} of {len(reference)}" if reference else "–"
    numbers = [f"{x:.1f} mm" if np.isfinite(x) else "–" for x in (absolute, wrist, pa)]
    return (
        f"{sum(len(hands) for _, hands in follow.hands)} | {of} | {' | '.join(numbers)} | "
        f"{np.nanmedian(np.concatenate(rays)):.1f} px | {out} | "
        f"{100 * np.mean(spread):.1f} % | {apart} |"
    )


HEAD = (
    "| system | clocks | hands | missed | absolute | from the wrist | PA | rays | left-out view | "
    "bones vary | left against right |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def compare(
    rig: Rig,
    videos: Sequence[Path],
    peer: MediaPipe | None,
    reference: dict[tuple[int, str], np.ndarray],
    max_hands: int,
    hand_length_mm: float,
    subsets: Sequence[Sequence[int]],
) -> None:
    """Print a table for each subset of the cameras, and what hands say of where the first stand.

    ``hand_length_mm`` is the person's, by the board's calibration; the rig says who is late.
    """
    frames = read(rig, videos)
    tracker = RigTracker(rig.in_step(), max_hands=max_hands)
    looks = [tracker.look(instant) for instant in zip(*frames, strict=True)]
    sizes = [(view[0].image.shape[1], view[0].image.shape[0]) for view in frames]
    board = rig.in_step().select([rig.names[c] for c in subsets[0]])
    some_sizes = [sizes[c] for c in subsets[0]]
    seen = [
        Followed(
            board.names[at],
            some_sizes[at],
            board.cameras[at].camera,
            np.array([frame.time_s for frame in frames[c]]),
            [instant[c] for instant in looks],
        )
        for at, c in enumerate(subsets[0])
    ]
    print("\n| camera | clocks | hand, mm | rotation | direction | distance |")
    print("|---|---|---|---|---|---|")

    def at(clocks: Sequence[float]) -> Rig:
        instants = side_by_side(seen, clocks)
        lenses = [each.camera for each in board.cameras]
        return calibrate_rig(board.names, lenses, some_sizes, instants).rig

    for told, clocks in clocks_of(seen, at).items():
        some_looks = side_by_side(seen, clocks)
        for length in (None, hand_length_mm):
            print(calibration(board, some_sizes, some_looks, length, told), flush=True)
    of_peer = None if peer is None else [peer.track([f.image for f in view]) for view in frames]
    times_s = [np.array([frame.time_s for frame in view]) for view in frames]
    for cameras in subsets:
        some = rig.select([rig.names[c] for c in cameras])
        print(f"\n{some.source}, cameras {', '.join(some.names)}\n\n{HEAD}", flush=True)
        for clocks in (some.in_step(), some) if some.late_s.any() else (some,):
            told = "between frames" if clocks.late_s.any() else "as numbered"
            times = [times_s[c] for c in cameras]
            follows, shown = with_rig(clocks, [videos[c] for c in cameras], max_hands, times)
            ways = {"Knuckle + DLT": [[[h.raw for h in i[c]] for i in looks] for c in cameras]}
            if of_peer is not None:
                ways = {"MediaPipe + DLT": [of_peer[c] for c in cameras]} | ways
            found = {name: with_dlt(clocks, shown, views, times) for name, views in ways.items()}
            found |= {"Knuckle rig, each frame alone": follows[0], "Knuckle rig": follows[1]}
            for name, follow in found.items():
                print(f"| {name} | {told} | {measure(clocks, follow, reference)}", flush=True)


def reference_of(path: Path) -> dict[tuple[int, str], np.ndarray]:
    """(frame, side) -> (21, 3) mm in the world, the mean over the pictures that show it."""
    found: dict[tuple[int, str], list[np.ndarray]] = {}
    for picture in json.loads(path.read_text()):
        R, t = np.array(picture["world_to_cam_R"]), np.array(picture["world_to_cam_t_mm"])
        for hand in picture["hands"]:
            world = (np.array(hand["joints_mm"]) - t) @ R
            found.setdefault((picture["frame"], hand["side"]), []).append(world)
    return {key: np.mean(each, axis=0) for key, each in found.items()}


def board_squares(rig: Rig, videos: Sequence[Path]) -> np.ndarray:
    """(N,) mm, sides of the printed squares by the rig, where two cameras see both corners."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
    board = cv2.aruco.CharucoBoard((4, 5), 1.0, 0.75, dictionary)
    detector = cv2.aruco.CharucoDetector(board)
    sides = []
    for instant in zip(*read(rig, videos), strict=True):
        seen: dict[int, Seen] = {}
        for v, frame in enumerate(instant):
            grey = 255 - cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)  # it is printed inverted
            corners, ids, _, _ = detector.detectBoard(grey)
            for corner, number in zip(
                corners if ids is not None else (), np.ravel(ids), strict=False
            ):
                seen.setdefault(int(number), {})[v] = np.ravel(corner)
        at = {
            number: triangulated(rig, {v: px[None] for v, px in views.items()})[0]
            for number, views in seen.items()
            if len(views) >= 2
        }
        for row in range(4):
            sides += [
                (at[a], at[b])
                for a, b in pairwise(range(3 * row, 3 * row + 3))
                if {a, b} <= set(at)
            ]
        sides += [(at[a], at[a + 3]) for a in range(9) if {a, a + 3} <= set(at)]
    return np.array([np.linalg.norm(a - b) for a, b in sides])


def clocks_of(
    seen: Sequence[Followed], at: Callable[[Sequence[float]], Rig]
) -> dict[str, Sequence[float]]:
    """Frames taken as they are numbered, and by the clocks that fingers tell and that rays do."""
    clocks: dict[str, Sequence[float]] = {"as numbered": [0.0] * len(seen)}
    with suppress(InputError):
        clocks |= _named("by fingers", offsets([each.motion for each in seen]))
    found = list(clocks.values())[-1]
    try:
        for _ in range(BY_HANDS.clock_rounds):
            found = lateness(at(found), seen).late_s
    except InputError:
        return clocks
    return clocks | _named("by rays", found)


def _named(how: str, clocks: Sequence[float]) -> dict[str, Sequence[float]]:
    """By how they are found, and what they are."""
    return {f"{', '.join(f'{1000 * clock:+.0f}' for clock in clocks[1:])} ms, {how}": clocks}


def calibration(
    rig: Rig,
    sizes: Sequence[tuple[int, int]],
    looks: Sequence,
    hand_length_mm: float | None,
    clocks: str,
) -> str:
    """Lines of a table: the poses that hands alone give, against the board's."""
    lenses = [each.camera for each in rig.cameras]
    found = calibrate_rig(rig.names, lenses, sizes, looks, hand_length_mm=hand_length_mm)
    first = rig.cameras[0].T_camera_from_world.inverse()
    lines = []
    for each, board in zip(found.rig.cameras[1:], rig.cameras[1:], strict=True):
        true, own = board.T_camera_from_world @ first, each.T_camera_from_world
        turned = np.clip((np.trace(own.rotation @ true.rotation.T) - 1) / 2, -1, 1)
        a, b = true.inverse().translation_mm, each.centre_mm
        lengths = np.linalg.norm(a), np.linalg.norm(b)
        apart = np.degrees(np.arccos(np.clip(a @ b / np.prod(lengths), -1, 1)))
        lines.append(
            f"| {each.name} from {rig.names[0]} | {clocks} | {hand_length_mm or 'not given'} | "
            f"{np.degrees(np.arccos(turned)):.1f}° | {apart:.1f}° | "
            f"{100 * (lengths[1] / lengths[0] - 1):+.1f} % |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--mediapipe-python", type=Path)
    options = parser.parse_args()
    assert len(BONES) == 20

    def peer(max_hands: int) -> MediaPipe | None:
        python = options.mediapipe_python
        return None if python is None else MediaPipe(python, MediaPipeSettings(max_hands=max_hands))

    folder = options.data / "views_two_hands"
    rig = Rig.load(folder / "charuco_calibration" / "camera_array.toml")
    rig = rig.select(["cam_1", "cam_2", "cam_3", "cam_0"]).with_late(LATE_S)
    videos = [folder / f"charuco_calibration/calibration/extrinsic/{n}.mp4" for n in rig.names]
    squares = board_squares(rig, videos)
    if len(squares):
        print(f"squares of the board: {np.median(squares):.2f} mm, {len(squares)} seen; 54 printed")
    reference = reference_of(folder / "reference.json")
    compare(rig, videos, peer(2), reference, 2, 200.0, [(0, 1, 2), (0, 1, 2, 3), (1, 2), (0, 2)])
    stereo = Rig.load(options.data / "stereo_video", unit=40).with_late([0.0, STEREO_LATE_S])
    videos = [options.data / "stereo_video" / f"{name}_test.mp4" for name in stereo.names]
    compare(stereo, videos, peer(1), {}, 1, 167.0, [(0, 1)])


if __name__ == "__main__":
    main()
