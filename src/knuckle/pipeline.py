"""The whole way from an image to hands in 3D: the only file that knows all stages."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import MARGIN, Crop
from knuckle.detect import Detections, Detector
from knuckle.hand import SIDES, Side, other_side
from knuckle.image import to_rgb
from knuckle.pose import KeypointEstimator, Keypoints, Lifter, confidence, placement
from knuckle.pose.duplicates import extent_px, same_hand, without_duplicates
from knuckle.results import CropMask, Frame, HandPose, TrackedHand
from knuckle.runtime import Network, weights_folder
from knuckle.track.association import assign, is_known, is_near
from knuckle.track.scene import Scene
from knuckle.track.schedule import SearchSchedule
from knuckle.track.smoothing import OneEuroSmoother
from knuckle.track.track import Smoother, Track

#: What scores less at the first look is not worth a second one.
_HOPELESS = 0.1
#: The detector may name so many more than wanted: seen from close by, some turn out to be none.
_SPARE_CANDIDATES = 2
#: A box does not say which way is up; these are tried. The second look finds the exact angle.
_BOX_ANGLES = (0.0, np.pi / 2, np.pi, -np.pi / 2)
#: A second look wins unless it is clearly less sure: its crop fits better.
_SECOND_LOOK_BONUS = 1.1


@dataclass(frozen=True)
class EstimatorSettings:
    """Settings of ``HandEstimator``.

    Attributes:
        max_hands: at most so many hands, the best ones.
        detector_threshold: least score of a hand in the detector, 0..1.
        score_threshold: least ``HandPose.score`` of a hand, seen from close by, 0..1.
        hand_length_mm: length from wrist to middle fingertip if known; fixes the scale.
        weights_dir: folder with other networks than those in the package.
        threads: CPU threads that a network may use.
    """

    max_hands: int = 8
    detector_threshold: float = 0.3
    score_threshold: float = 0.5
    hand_length_mm: float | None = None
    weights_dir: str | Path | None = None
    threads: int = 2

    def __post_init__(self) -> None:
        for name in ("max_hands", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("detector_threshold", "score_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0..1, got {getattr(self, name)}")
        if self.hand_length_mm is not None and not 10 < self.hand_length_mm < 500:
            raise ValueError(f"hand_length_mm must be in 10..500 mm, got {self.hand_length_mm}")


Settings = TypeVar("Settings", bound=EstimatorSettings)


def with_options(settings: Settings, options: dict[str, Any]) -> Settings:
    """``settings`` with some fields changed.

    Raises:
        TypeError: there is no such option.
    """
    known = [item.name for item in fields(settings)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"unknown option {', '.join(unknown)}; there are {', '.join(known)}")
    return replace(settings, **options)


class Stages:
    """The networks, opened when first needed, and the steps that an image goes through."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self.settings = settings
        self._versions: dict[str, str] = {}
        with weights_folder(settings.weights_dir) as folder:
            if not folder.is_dir():
                raise FileNotFoundError(f"the folder of networks {folder} does not exist")

    @cached_property
    def detector(self) -> Detector:
        """The first stage."""
        return Detector(
            self._open("detector"),
            threshold=self.settings.detector_threshold,
            max_hands=self.settings.max_hands + _SPARE_CANDIDATES,
        )

    @cached_property
    def keypoint_estimator(self) -> KeypointEstimator:
        """The second stage."""
        return KeypointEstimator(self._open("keypoints"))

    @cached_property
    def lifter(self) -> Lifter:
        """The third stage."""
        # Too small to share: waking a second thread takes longer than it saves.
        return Lifter(self._open("lifter", threads=1))

    def _open(self, kind: str, threads: int | None = None) -> Network:
        with weights_folder(self.settings.weights_dir) as folder:
            path, threads = folder / f"{kind}.onnx", threads or self.settings.threads
            network = Network(path, kind, threads=threads)
        self._versions[kind] = network.card.version
        return network

    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind; opens those that are not open yet."""
        _ = self.detector, self.keypoint_estimator, self.lifter  # opening one notes its version
        return dict(self._versions)

    def detect(self, image: np.ndarray) -> Detections:
        """Find the hands of a whole image."""
        return self.detector(image)

    def crop_of(self, hand: DetectedHand) -> Crop:
        """The crop of a detected hand."""
        return Crop(
            hand.centre_px,
            max(hand.size_px, 1.0) * MARGIN,
            hand.angle,
            mirror=hand.side == "left",
            out_size=self.keypoint_estimator.crop_size,
        )

    def crop_around(self, joints_px: np.ndarray, side: Side) -> Crop:
        """The crop of a hand whose joints (21, 2) are known."""
        return Crop.from_joints(joints_px, side, out_size=self.keypoint_estimator.crop_size)

    def look(self, image: np.ndarray, crops: list[Crop]) -> Keypoints:
        """One look at each crop, all in one batch."""
        return self.keypoint_estimator(image, crops) if crops else Keypoints.nothing()

    def look_again(self, image: np.ndarray, first: Keypoints) -> Keypoints:
        """A second look at hands whose crops a detector or a person has drawn.

        Such crops are inexact, and the network is at its best with the crop that the joints
        themselves define: on real photographs the second look lowers the error in 3D by a
        fifteenth. Where it saw a left hand in a crop that should show a right one, the side was
        wrong, and the other is tried.
        """
        again = np.flatnonzero(first.score > _HOPELESS)
        crops = []
        for i in again.tolist():
            side = first.side(i) if first.right[i] >= 0.5 else other_side(first.side(i))
            crops.append(self.crop_around(first.points_px[i], side))
        second = self.look(image, crops)
        wins = second.trust * _SECOND_LOOK_BONUS >= first.trust[again]
        chosen = np.arange(len(first))
        chosen[again[wins]] = len(first) + np.flatnonzero(wins)
        return Keypoints.concatenate(first, second).take(chosen)

    def poses(
        self, keypoints: Keypoints, camera: Camera, frame_shape: tuple[int, int]
    ) -> list[HandPose]:
        """Lift the hands of a frame to 3D and place them in the camera, in order."""
        if not len(keypoints):
            return []
        lifted = self.lifter(keypoints, camera)
        shape = lifted.joints_root_mm
        if self.settings.hand_length_mm is not None:
            shape = placement.with_hand_length(shape, self.settings.hand_length_mm)
        points_px, sigma_px = keypoints.points_px, keypoints.sigma_px
        focal = (camera.fx * camera.fy) ** 0.5
        evidence = placement.Evidence(
            shape, lifted.sigma_mm, camera.rays(points_px), sigma_px / focal
        )
        joints_mm = placement.fuse(evidence, placement.place(evidence))
        extent = np.maximum(extent_px(points_px), 1.0)[:, None]
        joint_score = confidence.score_of(sigma_px / extent)
        return [
            HandPose(
                side=keypoints.side(i),
                side_score=float(keypoints.right[i]),
                score=float(keypoints.score[i]),
                joints_px=points_px[i],
                joints_mm=joints_mm[i],
                joint_score=joint_score[i],
                visible=keypoints.visible[i] > 0.5,
                joint_sigma_mm=lifted.sigma_mm[i],
                camera=camera,
                crop_mask=CropMask(keypoints.mask[i], keypoints.crops[i], frame_shape),
            )
            for i in range(len(keypoints))
        ]


class HandEstimator:
    """Finds the hands of single images and gives their joints in 2D and 3D.

    The networks are opened at the first call.

    Example:
        >>> estimator = HandEstimator(max_hands=2)
        >>> for hand in estimator(image):
        ...     print(hand.side, hand.joints_mm)
    """

    def __init__(self, settings: EstimatorSettings | None = None, **options: Any) -> None:
        """Make an estimator.

        Args:
            settings: see ``EstimatorSettings``.
            **options: fields of ``EstimatorSettings`` by name.

        Raises:
            TypeError: there is no such option.
            ValueError: an option is out of its range.
            FileNotFoundError: ``weights_dir`` does not exist.
        """
        self.settings = with_options(settings or EstimatorSettings(), options)
        self._stages = Stages(self.settings)

    @property
    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind. Opens the networks."""
        return self._stages.versions()

    def __call__(
        self,
        image: np.ndarray,
        camera: Camera | None = None,
        boxes_xyxy: np.ndarray | None = None,
    ) -> list[HandPose]:
        """Estimate the hands of one image.

        Args:
            image: (H, W, 3) uint8 RGB; see ``image.to_rgb`` for what else is understood.
            camera: its intrinsics; without them a diagonal field of view of 65° is taken, and
                ``camera.assumed`` of the result says so.
            boxes_xyxy: (N, 4) px around one hand each. Skips detection.

        Returns:
            The hands, best first; with boxes, one per box in the order of the boxes, however
            unlikely a hand (see ``HandPose.score``).

        Raises:
            TypeError: the image is not an array.
            ValueError: image or boxes are not as described.
        """
        image = to_rgb(image)
        height, width = image.shape[:2]
        camera = camera or Camera.assume(width, height)
        if boxes_xyxy is None:
            keypoints = self._find(image)
        else:
            keypoints = self._look_into(image, check_boxes(boxes_xyxy))
        return self._stages.poses(keypoints, camera, (height, width))

    def _find(self, image: np.ndarray) -> Keypoints:
        """Hands of the whole image, each once, best first."""
        stages = self._stages
        crops = [stages.crop_of(hand) for hand in stages.detect(image).hands]
        found = stages.look_again(image, stages.look(image, crops))
        sure = np.flatnonzero(found.score >= self.settings.score_threshold)
        # Of two looks at one hand, one for each side, the look with the right side comes first.
        best_first = sure[np.argsort(-found.trust[sure], kind="stable")]
        found = found.take(best_first)
        return found.take(without_duplicates(found)[: self.settings.max_hands])

    def _look_into(self, image: np.ndarray, boxes_xyxy: np.ndarray) -> Keypoints:
        """One hand per box: both sides and four directions are tried, the likeliest is kept."""
        stages = self._stages
        guesses = [(side, angle) for side in SIDES for angle in _BOX_ANGLES]
        crops = [
            stages.crop_of(_guessed_hand(box, side, angle))
            for side, angle in guesses
            for box in boxes_xyxy
        ]
        all_looks = stages.look(image, crops)
        trust = all_looks.trust.reshape(len(guesses), len(boxes_xyxy))
        likeliest = trust.argmax(axis=0) * len(boxes_xyxy) + np.arange(len(boxes_xyxy))
        return stages.look_again(image, all_looks.take(likeliest))


def check_boxes(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Boxes as (N, 4) float, or ``ValueError``."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes_xyxy must have shape (N, 4), got {boxes.shape}")
    good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise ValueError(
            f"a box is (x0, y0, x1, y1) with x0 < x1 and y0 < y1, got {boxes[first]} at {first}"
        )
    return boxes


def _guessed_hand(box_xyxy: np.ndarray, side: Side, angle: float) -> DetectedHand:
    x0, y0, x1, y1 = (float(v) for v in box_xyxy)
    return DetectedHand(((x0 + x1) / 2, (y0 + y1) / 2), max(x1 - x0, y1 - y0), angle, side)


#: Ways of steadying a track, by the name that ``HandTracker(smooth=…)`` takes.
SMOOTHERS: dict[str, Callable[[], Smoother]] = {"one_euro": OneEuroSmoother}

#: A hand has left when fewer of its joints than this lie inside the frame.
_LEAST_INSIDE = 0.25

#: A hand is likelier where one was lost than elsewhere: its trust counts so many times.
_AWAITED_BONUS = 1.5

#: Bare images have no time; they are taken to be so many per second.
NOMINAL_FPS = 30.0


@dataclass(frozen=True)
class TrackerSettings(EstimatorSettings):
    """Settings of ``HandTracker``: those of the estimator, and these.

    Attributes:
        max_hands: at most so many hands at a time.
        smooth: a name in ``SMOOTHERS``, or None for the raw estimates.
        keep_threshold: least score of a hand that is being followed, 0..1.
        doubt_threshold: score below which a followed hand is searched for anew, 0..1.
        search_every: frames between two searches of the whole frame while there is a reason.
        idle_search_every: frames between two searches when a slot is free but nothing changes.
        memory_s: for so long a hand that is hidden may come back as the same track.
    """

    max_hands: int = 2
    smooth: str | None = "one_euro"
    keep_threshold: float = 0.25
    doubt_threshold: float = 0.4
    search_every: int = 3
    idle_search_every: int = 30
    memory_s: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.smooth is not None and self.smooth not in SMOOTHERS:
            raise ValueError(
                f"smooth must be None or one of {', '.join(SMOOTHERS)}, got {self.smooth!r}"
            )
        for name in ("keep_threshold", "doubt_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0..1, got {getattr(self, name)}")
        for name in ("search_every", "idle_search_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.memory_s >= 0:
            raise ValueError(f"memory_s must not be negative, got {self.memory_s}")


class HandTracker:
    """Follows hands through a video: identity, steady joints, bones of constant length.

    Give it the frames in order. The crop of each hand comes from its last joints and their
    velocity; the whole frame is searched only when a hand may have come or gone.

    Example:
        >>> tracker = HandTracker(max_hands=2)
        >>> for frame in open_source("hands.mp4"):
        ...     for hand in tracker(frame):
        ...         print(hand.track_id, hand.side, hand.root_mm)
    """

    def __init__(self, settings: TrackerSettings | None = None, **options: Any) -> None:
        """Make a tracker.

        Args:
            settings: see ``TrackerSettings``.
            **options: fields of ``TrackerSettings`` by name.

        Raises:
            TypeError: there is no such option.
            ValueError: an option is out of its range.
            FileNotFoundError: ``weights_dir`` does not exist.
        """
        self.settings = with_options(settings or TrackerSettings(), options)
        self._stages = Stages(self.settings)
        self._numbers = itertools.count()
        self.reset()

    @property
    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind. Opens the networks."""
        return self._stages.versions()

    def reset(self) -> None:
        """Forget everything, as before the first frame; ids go on counting."""
        self._tracks: list[Track] = []
        self._scene = Scene()
        self._schedule = SearchSchedule(self.settings.search_every, self.settings.idle_search_every)
        self._time_s: float | None = None

    def __call__(
        self, frame: Frame | np.ndarray, camera: Camera | None = None
    ) -> list[TrackedHand]:
        """Follow the hands into the next frame.

        Args:
            frame: the next frame, or a bare image (as for ``HandEstimator``), which is taken to
                come 1/30 s after the one before.
            camera: intrinsics; by default the frame's own, else a field of view is assumed.

        Returns:
            The hands in this frame, in the order of their ids. A frame that is not later than the
            one before it starts a new video: new tracks.
        """
        image, time_s, camera = self._read(frame, camera)
        if self._scene.see(image):
            self._tracks = []  # a cut: whoever was there is gone
        self._forget(time_s)
        followed = [track for track in self._tracks if not track.lost]
        crops = [self._crop(track, time_s) for track in followed]
        searched = self._should_search(followed, time_s)
        if searched:
            crops += self._search(image, followed, time_s)
        looked = self._stages.look(image, crops)
        own = looked.take(range(len(followed)))
        seen, own = self._keep(followed, own, time_s, image.shape[:2])
        new = looked.take(range(len(followed), len(crops)))
        if len(seen) < len(followed) and not searched:
            new = self._stages.look(image, self._search(image, seen, time_s))
        if len(new):
            new = self._unique(self._stages.look_again(image, new), time_s)
            own, new = self._reseat(seen, own, new, time_s)
            new = self._newcomers(new, own)
            seen, own = self._make_room(seen, own, new)
        poses = self._stages.poses(Keypoints.concatenate(own, new), camera, image.shape[:2])
        seen += self._claim(new, poses[len(own) :], time_s)
        hands = [track.see(pose, time_s) for track, pose in zip(seen, poses, strict=True)]
        return sorted((hand for hand in hands if hand is not None), key=lambda h: h.track_id)

    def _read(
        self, frame: Frame | np.ndarray, camera: Camera | None
    ) -> tuple[np.ndarray, float, Camera]:
        """Image, time and camera of a frame; starts anew where time does not go on."""
        if isinstance(frame, Frame):
            image, time_s = to_rgb(frame.image), frame.time_s
            camera = camera or frame.camera
            if self._time_s is not None and time_s <= self._time_s:
                self.reset()
        else:
            image = to_rgb(frame)
            time_s = 0.0 if self._time_s is None else self._time_s + 1 / NOMINAL_FPS
        self._time_s = time_s
        return image, time_s, camera or Camera.assume(image.shape[1], image.shape[0])

    def _forget(self, time_s: float) -> None:
        """Drop tracks that have been hidden for too long, or turned out to be something else."""
        self._tracks = [
            track
            for track in self._tracks
            if not track.dismissed
            and (not track.lost or track.unseen_s(time_s) <= self.settings.memory_s)
        ]

    def _crop(self, track: Track, time_s: float) -> Crop:
        return self._stages.crop_around(track.predict(time_s), track.side)

    def _should_search(self, followed: list[Track], time_s: float) -> bool:
        return self._schedule.due(
            followed=len(followed),
            slots=self.settings.max_hands,
            doubtful=any(t.score < self.settings.doubt_threshold for t in self._tracks),
            changed=self._scene.changed_since_search(_boxes(followed, time_s)),
        )

    def _search(self, image: np.ndarray, followed: list[Track], time_s: float) -> list[Crop]:
        """Crops of the hands in the whole frame that are not being followed with certainty."""
        self._schedule.searched()
        self._scene.searched(_boxes(followed, time_s))
        certain = [t for t in followed if t.score >= self.settings.doubt_threshold]
        known = [(track.side, track.predict(time_s)) for track in certain]
        crops = []
        for hand in self._stages.detect(image).hands:
            if any(is_known(hand, side, joints_px) for side, joints_px in known):
                continue
            # A hand that was lost here is likelier than a new one: its side is tried as well.
            missed = {t.side for t in self._missed(followed) if is_near(hand, t.predict(time_s))}
            sides = missed | {hand.side}
            crops += [self._stages.crop_of(replace(hand, side=side)) for side in sorted(sides)]
        return crops

    def _missed(self, followed: list[Track]) -> list[Track]:
        """Tracks that are lost, or hold on to little."""
        doubt = self.settings.doubt_threshold
        return [t for t in self._tracks if t.lost or (t in followed and t.score < doubt)]

    def _keep(
        self,
        followed: list[Track],
        looked: Keypoints,
        time_s: float,
        frame_shape: tuple[int, int],
    ) -> tuple[list[Track], Keypoints]:
        """The tracks that are still on a hand, each on one of its own."""
        # Of two tracks on one hand, the one whose side it is, and that came less far, stays.
        expected = np.array([track.predict(time_s) for track in followed]).reshape(-1, 21, 2)
        came = np.linalg.norm((looked.points_px - expected).mean(axis=1), axis=1)
        jump = came / np.maximum(extent_px(expected), 1.0)
        best_first = np.argsort(-looked.trust * np.exp(-jump), kind="stable")
        inside = _share_inside(looked.points_px, frame_shape)
        there = (looked.score >= self.settings.keep_threshold) & (inside >= _LEAST_INSIDE)
        present = best_first[there[best_first]]
        kept = [present[k] for k in without_duplicates(looked.take(present))]
        kept = sorted(int(i) for i in kept)
        for i, track in enumerate(followed):
            if i not in kept:
                track.lose()
        return [followed[i] for i in kept], looked.take(kept)

    def _unique(self, looked: Keypoints, time_s: float) -> Keypoints:
        """The hands that the search has found, each once, best first."""
        looked = looked.take(np.flatnonzero(looked.score >= self.settings.score_threshold))
        awaited = self._match(looked, self._missed(self._tracks), time_s)
        bonus = np.array([1.0 if match is None else _AWAITED_BONUS for match in awaited])
        looked = looked.take(np.argsort(-looked.trust * bonus, kind="stable"))
        return looked.take(without_duplicates(looked))

    def _reseat(
        self, seen: list[Track], own: Keypoints, new: Keypoints, time_s: float
    ) -> tuple[Keypoints, Keypoints]:
        """Put tracks that hold on to little back on their hands, where the search found these."""
        doubtful = np.flatnonzero(own.score < self.settings.doubt_threshold)
        matches = self._match(new, [seen[k] for k in doubtful], time_s)
        chosen = np.arange(len(own))
        for i, match in enumerate(matches):
            if match is not None and new.trust[i] > own.trust[doubtful[match]]:
                chosen[doubtful[match]] = len(own) + i
        rest = [i for i in range(len(new)) if len(own) + i not in chosen]
        return Keypoints.concatenate(own, new).take(chosen), new.take(rest)

    def _newcomers(self, new: Keypoints, own: Keypoints) -> Keypoints:
        """Hands that are not followed yet, and for which there is room.

        There is room where nothing is followed, or where what is followed is hardly a hand.
        """
        unknown = [
            i
            for i in range(len(new))
            if not any(same_hand(new, i, own, k) for k in range(len(own)))
        ]
        certain = int((own.score >= self.settings.doubt_threshold).sum())
        return new.take(unknown[: self.settings.max_hands - certain])

    def _make_room(
        self, seen: list[Track], own: Keypoints, new: Keypoints
    ) -> tuple[list[Track], Keypoints]:
        """Give up the least certain tracks where newcomers need their places."""
        most_certain_first = np.argsort(-own.score, kind="stable")
        kept = sorted(int(i) for i in most_certain_first[: self.settings.max_hands - len(new)])
        for i, track in enumerate(seen):
            if i not in kept:
                track.lose()
        return [seen[i] for i in kept], own.take(kept)

    def _claim(self, new: Keypoints, poses: list[HandPose], time_s: float) -> list[Track]:
        """A track for each new hand: one that was lost nearby, else a new one."""
        lost = [track for track in self._tracks if track.lost]
        claimed = []
        for pose, match in zip(poses, self._match(new, lost, time_s), strict=True):
            if match is None:
                track = Track(
                    pose,
                    time_s,
                    numbers=self._numbers,
                    smoother=SMOOTHERS[self.settings.smooth]() if self.settings.smooth else None,
                    least_score=self.settings.score_threshold,
                )
                self._tracks.append(track)
            else:
                track = lost[match]
            claimed.append(track)
        return claimed

    @staticmethod
    def _match(found: Keypoints, tracks: list[Track], time_s: float) -> list[int | None]:
        """For each hand found, the track that it may be, each at most once."""
        return assign(
            [(found.side(i), points) for i, points in enumerate(found.points_px)],
            [(track.side, track.predict(time_s)) for track in tracks],
            [track.unseen_s(time_s) for track in tracks],
        )


def _boxes(tracks: list[Track], time_s: float) -> np.ndarray:
    """(N, 4) px around the hands' predicted joints, with room for skin and inexactness."""
    boxes = np.empty((len(tracks), 4))
    for i, track in enumerate(tracks):
        joints_px = track.predict(time_s)
        room = 0.25 * extent_px(joints_px)
        boxes[i] = *(joints_px.min(axis=0) - room), *(joints_px.max(axis=0) + room)
    return boxes


def _share_inside(points_px: np.ndarray, frame_shape: tuple[int, int]) -> np.ndarray:
    """Share of the points that lie inside the frame: (N, 21, 2) -> (N,)."""
    limit = np.array([frame_shape[1], frame_shape[0]]) - 0.5
    return ((points_px > -0.5) & (points_px < limit)).all(axis=-1).mean(axis=-1)
