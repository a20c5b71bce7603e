"""Single-view 3D against two calibrated views: an outside check of shape and scale on real video.

    python benchmarks/stereo.py --weights NEW_NETWORKS --mediapipe-python PEERS/bin/python

Two cameras see one right hand over a desk. Each system follows it in each view by itself; where
both views have its keypoints, the two rays of a joint meet (or nearly do) in a point that no
network has lifted. The 3D from each single view is compared with those points.

The reference comes from 2D keypoints, and so from the convention of whoever placed them. It is
therefore made three times: from MediaPipe's keypoints, from Knuckle's, and from the mean of both;
only a difference that holds under all three is real. What needs no reference is printed first: how
well the rays of the two views meet, and how well the two single-view shapes agree.

The calibration's unit is the square of a checkerboard of unrecorded size, about 40 mm: relative
figures do not depend on it; millimetres and scale do, in proportion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from board import KNUCKLE, PEER, RAW, PeerPython, Table, Weights, command
from knuckle import HandTracker, metrics, open_source
from knuckle.camera import Camera
from knuckle.hand import BONES, MIDDLE_RAY, N_JOINTS, Joint, bone_lengths
from knuckle.results import Frame
from knuckle.rigid import RigidTransform
from peers.process import MediaPipe, MediaPipeSettings

#: Two rays that miss the point between them by more than this, in either view, have not met.
REPROJECTION_GATE_PX = 12.0
#: A bone that is this much longer or shorter than its median over the video joins a wrong point.
BONE_GATE = 0.25
#: Of a reference hand at least so many joints must have passed the gates.
LEAST_JOINTS = 16
#: Rounds of weighting; Hartley and Sturm see convergence in fewer.
_ROUNDS = 5


# --------------------------------------------------------------------------------------------
# Two views
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class View:
    """One of the two cameras: its video, its lens and where it stands."""

    video: Path
    camera: Camera
    T_camera_from_world: RigidTransform

    @classmethod
    def read(cls, folder: Path, number: int, unit_mm: float) -> View:
        """A view of the folder ``stereo_video``.

        Raises:
            ValueError: the calibration is not in the form of TemugeB's bodypose3d.
        """
        intrinsics = _numbers(folder / "camera_parameters" / f"c{number}.dat")
        pose = _numbers(folder / "camera_parameters" / f"rot_trans_c{number}.dat")
        if len(intrinsics) < 14 or len(pose) < 12:
            raise ValueError(f"{folder}/camera_parameters must hold K, 5 coefficients, R and T")
        K = intrinsics[:9].reshape(3, 3)
        camera = Camera(K[0, 0], K[1, 1], K[0, 2], K[1, 2], tuple(intrinsics[9:14].tolist()))
        transform = RigidTransform(pose[:9].reshape(3, 3), pose[9:12] * unit_mm)
        return cls(folder / f"cam{number}_test.mp4", camera, transform)

    def frames(self) -> list[Frame]:
        """The video's frames with their camera."""
        with open_source(self.video, camera=self.camera) as source:
            return list(source)

    def project(self, world_mm: np.ndarray) -> np.ndarray:
        """(..., 3) in the world -> (..., 2) px."""
        return self.camera.project(self.T_camera_from_world(world_mm))


def _numbers(path: Path) -> np.ndarray:
    """All numbers of a file before the first comment, row by row; headings are skipped."""
    lines = path.read_text().split("#", 1)[0].splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.rstrip().endswith(":")]
    return np.array([float(number) for row in rows for number in row])


def triangulate(views: Sequence[View], points_px: np.ndarray) -> np.ndarray:
    """The points that project to the given pixels of several views.

    Iterative linear least squares of Hartley and Sturm, "Triangulation" (CVIU 68, 1997): the
    equations of each view are divided by the depth of the last round, so that what is minimised
    is the error in its (undistorted) picture.

    Args:
        views: V of them.
        points_px: (V, ..., 2) the same points in each.

    Returns:
        (..., 3) mm in the world; NaN where a view does not have the point.
    """
    rows = []
    for view, points in zip(views, points_px, strict=True):
        rays = view.camera.rays(points)[..., None]  # (..., 2, 1)
        T = view.T_camera_from_world
        P = np.concatenate([T.rotation, T.translation_mm[:, None]], axis=1)  # (3, 4)
        rows.append(view.camera.fx * (rays * P[2] - P[:2]))  # (..., 2, 4)
    equations = np.stack(rows, axis=-3)  # (..., V, 2, 4)
    depth_rows = np.stack(
        [
            np.append(v.T_camera_from_world.rotation[2], v.T_camera_from_world.translation_mm[2])
            for v in views
        ]
    )  # (V, 4)
    weight = np.ones(equations.shape[:-2])
    for _ in range(_ROUNDS):
        weighted = (equations * weight[..., None, None]).reshape(*equations.shape[:-3], -1, 4)
        A, b = weighted[..., :3], -weighted[..., 3:]
        normal = np.swapaxes(A, -1, -2) @ A
        known = np.isfinite(normal).all(axis=(-1, -2))
        normal = np.where(known[..., None, None], normal, np.eye(3))
        points = np.linalg.solve(normal, np.swapaxes(A, -1, -2) @ b)[..., 0]  # (..., 3)
        depth = points @ depth_rows[:, :3].T + depth_rows[:, 3]  # (..., V)
        weight = 1 / np.maximum(depth, 1.0)
    return np.where(known[..., None], points, np.nan)


@dataclass(frozen=True)
class Triangulated:
    """Joints where the rays of two views meet.

    Attributes:
        world_mm: (F, 21, 3); NaN where a view has no hand.
        miss_px: (F, 21) how far the joint's image is from the keypoint, the worse view.
        valid: (F, 21) bool, what passed the gates.
    """

    world_mm: np.ndarray
    miss_px: np.ndarray
    valid: np.ndarray

    @classmethod
    def from_keypoints(cls, views: Sequence[View], points_px: np.ndarray) -> Triangulated:
        """Triangulate (V, F, 21, 2) keypoints and pass them through the gates.

        Two gates, since two views alone cannot see an error along the epipolar line: the rays
        must meet, and the bones must have their length, which nobody's bones change.
        """
        world_mm = triangulate(views, points_px)
        images = np.stack([view.project(world_mm) for view in views])
        miss_px = np.linalg.norm(images - points_px, axis=-1).max(axis=0)  # (F, 21)
        valid = np.nan_to_num(miss_px, nan=np.inf) < REPROJECTION_GATE_PX
        valid &= ~_ends_of_wrong_bones(world_mm, valid)
        # A hand is only judged whole, and from its wrist.
        whole = (valid.sum(axis=1) >= LEAST_JOINTS) & valid[:, Joint.WRIST]
        return cls(world_mm, miss_px, valid & whole[:, None])

    def seen_from(self, view: View) -> np.ndarray:
        """(F, 21, 3) mm in the camera frame of a view."""
        return view.T_camera_from_world(self.world_mm)


def _ends_of_wrong_bones(world_mm: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(F, 21) bool: joints whose bone towards the wrist has the wrong length."""
    lengths = bone_lengths(world_mm)
    lengths = np.where(valid[:, BONES].all(axis=-1), lengths, np.nan)
    if not np.isfinite(lengths).any(axis=0).all():
        return np.zeros_like(valid)
    usual = np.nanmedian(lengths, axis=0)
    wrong = np.abs(lengths / usual - 1) > BONE_GATE
    return np.concatenate([np.zeros_like(valid[:, :1]), wrong], axis=1)


# --------------------------------------------------------------------------------------------
# Systems
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Follow:
    """What a system says about the hand in both views, NaN where it sees none.

    Attributes:
        joints_px: (V, F, 21, 2).
        joints_mm: (V, F, 21, 3), axes of the view's camera.
        absolute: whether ``joints_mm`` has its place in the camera, or is hand-centred.
    """

    joints_px: np.ndarray
    joints_mm: np.ndarray
    absolute: bool

    @property
    def found(self) -> np.ndarray:
        """(V, F) bool."""
        return np.isfinite(self.joints_px).all(axis=(-1, -2))


def follow_with_knuckle(
    views: Sequence[View], weights_dir: Path | None, *, limit: int | None = None
) -> dict[str, Follow]:
    """Knuckle as a tracker: each frame by itself (``raw``), and filtered."""
    raw_px, raw_mm, px, mm = ([] for _ in range(4))
    for view in views:
        tracker = HandTracker(max_hands=1, weights_dir=weights_dir)
        hands = [tracker(frame) for frame in view.frames()[:limit]]
        raw_px.append(_stack([[h.raw.joints_px for h in hs] for hs in hands], 2))
        raw_mm.append(_stack([[h.raw.joints_mm for h in hs] for hs in hands], 3))
        px.append(_stack([[h.joints_px for h in hs] for hs in hands], 2))
        mm.append(_stack([[h.joints_mm for h in hs] for hs in hands], 3))
    return {
        RAW: Follow(np.stack(raw_px), np.stack(raw_mm), absolute=True),
        KNUCKLE: Follow(np.stack(px), np.stack(mm), absolute=True),
    }


def follow_with_mediapipe(
    views: Sequence[View], python: Path, *, limit: int | None = None
) -> dict[str, Follow]:
    """MediaPipe full in video mode."""
    peer = MediaPipe(python, MediaPipeSettings(max_hands=1))
    px, mm = [], []
    for view in views:
        hands = peer.track([frame.image for frame in view.frames()[:limit]])
        px.append(_stack([[h.joints_px for h in hs] for hs in hands], 2))
        mm.append(_stack([[h.joints_mm for h in hs] for hs in hands], 3))
    return {PEER: Follow(np.stack(px), np.stack(mm), absolute=False)}


def _stack(frames: Sequence[Sequence[np.ndarray]], dimensions: int) -> np.ndarray:
    """First hand of every frame, (F, 21, D); NaN where there is none."""
    nothing = np.full((N_JOINTS, dimensions), np.nan)
    return np.stack([hands[0] if hands else nothing for hands in frames])


# --------------------------------------------------------------------------------------------
# Measures
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Agreement:
    """What two views say of each other, without any reference.

    Attributes:
        found: share of the frames, mean of the views.
        both: frames in which both views have a hand.
        miss_px: median distance of a keypoint from the image of where the rays meet.
        outliers: share of joints beyond ``REPROJECTION_GATE_PX``.
        pa_mm: median PA-MPJPE of one view's single-view shape against the other's.
        turned_mm: median MPJPE from the wrist after turning one into the other by calibration.
        bone_spread: spread of the triangulated bone lengths over the video, share of the median.
    """

    found: float
    both: int
    miss_px: float
    outliers: float
    pa_mm: float
    turned_mm: float
    bone_spread: float


def agreement(views: Sequence[View], hands: Follow) -> Agreement:
    """Compare the two views of one system."""
    both = hands.found.all(axis=0)
    points = Triangulated.from_keypoints(views, hands.joints_px[:, both])
    shapes = hands.joints_mm[:, both]
    world = [
        (shape - shape[:, :1]) @ view.T_camera_from_world.rotation  # R_world_from_camera p
        for view, shape in zip(views, shapes, strict=True)
    ]
    lengths = bone_lengths(np.where(points.valid[..., None], points.world_mm, np.nan))
    return Agreement(
        found=float(hands.found.mean()),
        both=int(both.sum()),
        miss_px=float(np.median(points.miss_px)),
        outliers=float((points.miss_px >= REPROJECTION_GATE_PX).mean()),
        pa_mm=float(np.median(metrics.pa_mpjpe(shapes[0], shapes[1]))),
        turned_mm=float(np.median(metrics.mpjpe(world[0], world[1]))),
        bone_spread=spread(lengths),
    )


@dataclass(frozen=True)
class Errors:
    """A view's single-view 3D against the reference; every mean is over all reference hands.

    A missed hand counts as one whose joints all lie in one point, as in ``real_hands.py``.

    Attributes:
        hands: reference hands.
        missed: how many of them it did not see.
        pa_mm, wrist_mm: MPJPE after Procrustes, and from the wrist.
        scale: its hand length over the reference's, median.
        absolute_mm: error in the camera frame over the found hands, median; NaN for hand-centred.
        bone_spread: spread of its bone lengths over the video, share of the median.
    """

    hands: int
    missed: int
    pa_mm: float
    wrist_mm: float
    scale: float
    absolute_mm: float
    bone_spread: float


def errors(view: View, index: int, hands: Follow, reference: Triangulated) -> Errors:
    """Judge what one view alone said, where there is a reference."""
    judged = reference.valid.any(axis=1)
    true, valid = reference.seen_from(view)[judged], reference.valid[judged]
    answer = hands.joints_mm[index, judged]
    found = np.isfinite(answer).all(axis=(-1, -2))
    shape = np.where(found[:, None, None], answer, 0.0)
    absolute = metrics.absolute_error(answer[found], true[found], valid[found])
    return Errors(
        hands=int(judged.sum()),
        missed=int((~found).sum()),
        pa_mm=float(metrics.pa_mpjpe(shape, true, valid).mean()),
        wrist_mm=float(metrics.mpjpe(shape, true, valid).mean()),
        scale=_scale(answer[found], true[found], valid[found]),
        absolute_mm=float(np.median(absolute)) if hands.absolute else float("nan"),
        bone_spread=spread(bone_lengths(answer[found])),
    )


def _scale(answer: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    """Length from wrist to middle fingertip along the bones, over the true one; median."""
    known = valid[:, BONES[MIDDLE_RAY]].all(axis=(-1, -2))
    ratio = bone_lengths(answer)[:, MIDDLE_RAY].sum(axis=1) / bone_lengths(true)[:, MIDDLE_RAY].sum(
        axis=1
    )
    return float(np.median(ratio[known])) if known.any() else float("nan")


def spread(lengths: np.ndarray) -> float:
    """Standard deviation of each bone over the frames as a share of its median, mean of the bones.

    Args:
        lengths: (F, 20); NaN where a bone is not known.
    """
    known = lengths[:, np.isfinite(lengths).any(axis=0)]
    if not known.size:
        return float("nan")
    return float((np.nanstd(known, axis=0) / np.nanmedian(known, axis=0)).mean())


# --------------------------------------------------------------------------------------------
# Tables
# --------------------------------------------------------------------------------------------
AGREEMENT = Table({
    "system": "",
    "found": "{:.1%}",
    "frames with both": "{}",
    "rays miss, median": "{:.2f} px",
    "joints out of reach": "{:.1%}",
    "bones of the triangulated hand, spread": "{:.1%}",
    "one view's shape on the other's, PA": "{:.2f} mm",
    "the same, turned by calibration": "{:.1f} mm",
})  # fmt: skip
ERRORS = Table({
    "reference": "",
    "system": "",
    "view": "{}",
    "hands": "{}",
    "missed": "{}",
    "PA-MPJPE": "{:.2f} mm",
    "MPJPE from wrist": "{:.1f} mm",
    "scale": "{:.3f}",
    "absolute": "{:.0f} mm",
    "spread of bones": "{:.1%}",
})  # fmt: skip


def agreement_table(rows: dict[str, Agreement]) -> str:
    """Markdown, one line a system."""
    return AGREEMENT.text(
        (name, a.found, a.both, a.miss_px, a.outliers, a.bone_spread, a.pa_mm, a.turned_mm)
        for name, a in rows.items()
    )


def error_table(rows: dict[tuple[str, str, int], Errors]) -> str:
    """Markdown, one line a reference, system and view."""
    return ERRORS.text(
        (*key, e.hands, e.missed, e.pa_mm, e.wrist_mm, e.scale, e.absolute_mm, e.bone_spread)
        for key, e in rows.items()
    )


@dataclass(frozen=True)
class Stereo:
    """Measure single-view 3D against the triangulation of two views."""

    data: Path = Path("../shared/data/stereo_video")
    """Folder with the two videos and their calibration."""
    weights: Weights = None
    mediapipe_python: PeerPython = None
    square_mm: float = 40.0
    """Size of the calibration's checkerboard squares (estimated: it was never written down)."""
    limit: int | None = None
    """Only so many frames."""

    def run(self) -> None:
        """Measure and print."""
        views = [View.read(self.data, number, self.square_mm) for number in (0, 1)]
        systems = follow_with_knuckle(views, self.weights, limit=self.limit)
        sources = {"Knuckle's 2D": systems[RAW].joints_px}
        if self.mediapipe_python is not None:
            systems |= follow_with_mediapipe(views, self.mediapipe_python, limit=self.limit)
            sources["MediaPipe's 2D"] = systems[PEER].joints_px
            sources["mean of both"] = np.mean(list(sources.values()), axis=0)
        print(agreement_table({name: agreement(views, s) for name, s in systems.items()}))
        references = {n: Triangulated.from_keypoints(views, p) for n, p in sources.items()}
        rows = {
            (reference, system, index): errors(view, index, hands, points)
            for reference, points in references.items()
            for system, hands in systems.items()
            for index, view in enumerate(views)
        }
        print(f"\n{error_table(rows)}")


if __name__ == "__main__":
    command(Stereo)
