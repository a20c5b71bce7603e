"""The networks, and the steps that an image goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.detect import Detections
from knuckle.hand import Side, other_side
from knuckle.mask import CropMask, without_overlap
from knuckle.pipeline.settings import EstimatorSettings
from knuckle.pose import Keypoints, confidence, placement
from knuckle.pose.duplicates import extent_px
from knuckle.pose.pair import find_couples, place_couples
from knuckle.results import HandPose
from knuckle.stages import Network, weights_folder
from knuckle.stages.detector import Detector
from knuckle.stages.keypoints import KeypointEstimator
from knuckle.stages.lifter import Lifter
from knuckle.stages.pair import PairStage

#: What scores less at the first look is not worth a second one.
_HOPELESS = 0.1
#: The detector may name so many more than wanted: seen from close by, some turn out to be none.
_SPARE_CANDIDATES = 2
#: What a detector's score tells beside a look from close by, as the two mostly err on other things:
#: log odds per log odds, and those that tell nothing; no score beyond 0.95 is believed. Fitted to
#: detections in rendered frames (``benchmarks/odds.py``).
_PER_DETECTED, _TELLS_NOTHING, _SUREST = 1.3, -0.2, 0.95
#: A second look wins unless it is clearly less sure: its crop fits better.
_SECOND_LOOK_BONUS = 1.1
#: A side is believed at the first look from this probability on; else the other is tried as well.
_SURE_SIDE = 0.8
#: Standard deviations of the crops that the network was trained on, around the one that the joints
#: define: of the middle as a share of the size, the logarithm of the size, the angle (radians).
_SPREAD = np.array([0.05, 0.12, 0.25])
#: Further looks are so much larger or smaller, and turned by so much (radians), at most.
_LOOK_SIZE, _LOOK_ANGLE = 0.08, 0.2
#: Up to so many of them together, a first look is as good as a second (294 hands on photographs).
_AS_GOOD = 1.4
#: Where a joint is seen lies between its keypoint and the image of its place in 3D, which knows the
#: rest of the hand. Half way, the error falls by 3 % on renders, rays of two real views meet by 1 %
#: better, and photographs whose camera is unknown stay as they were.
_SEEN_FROM_3D = 0.5


class Stages:
    """The networks, opened when first needed, and the steps that an image goes through."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self.settings = settings
        self._versions: dict[str, str] = {}
        with weights_folder(settings.weights_dir) as folder:
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"the folder of networks {folder} does not exist: expected one that knuckle "
                    "export wrote; leave it out for the networks of the package"
                )

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

    @cached_property
    def pair_stage(self) -> PairStage | None:
        """What looks at two hands together; a folder of networks need not have it."""
        with weights_folder(self.settings.weights_dir) as folder:
            if not (folder / "pair.onnx").is_file():
                return None
        return PairStage(self._open("pair", threads=1))

    def _open(self, kind: str, threads: int | None = None) -> Network:
        with weights_folder(self.settings.weights_dir) as folder:
            path, threads = folder / f"{kind}.onnx", threads or self.settings.threads
            network = Network(path, kind, threads=threads)
        self._versions[kind] = network.card.version
        return network

    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind; opens those that are not open yet."""
        # Opening one notes its version.
        _ = self.detector, self.keypoint_estimator, self.lifter, self.pair_stage
        return dict(self._versions)

    def detect(self, image: np.ndarray) -> Detections:
        """Find the hands of a whole image."""
        return self.detector(image)

    def crop_of(self, hand: DetectedHand) -> Crop:
        """The crop of a detected hand."""
        return Crop(
            hand.centre_px,
            max(hand.size_px, 1.0) * self.keypoint_estimator.crop_margin,
            hand.angle,
            mirror=hand.side == "left",
            out_size=self.keypoint_estimator.crop_size,
        )

    def crop_around(self, joints_px: np.ndarray, side: Side) -> Crop:
        """The crop of a hand whose joints (21, 2) are known."""
        network = self.keypoint_estimator
        return Crop.from_joints(
            joints_px, side, out_size=network.crop_size, margin=network.crop_margin
        )

    def look(self, image: np.ndarray, crops: list[Crop]) -> Keypoints:
        """One look at each crop, all in one batch."""
        return self.keypoint_estimator(image, crops) if crops else Keypoints.nothing()

    def look_again(
        self,
        image: np.ndarray,
        first: Keypoints,
        log_odds: np.ndarray | None = None,
        side_odds: np.ndarray | None = None,
    ) -> Keypoints:
        """A second look at hands whose crops a detector or a person has drawn, where it is needed.

        Such crops are inexact, and the network is at its best with the crop that the joints
        themselves define: on real photographs the second look lowers the error in 3D by a
        fifteenth. It is spared where the first crop was as good as that one. Where the first look
        does not clearly say that the crop shows the side that it should, the other is tried. Two
        looks at one hand are put together.

        Args:
            image: (H, W, 3) uint8 RGB.
            first: the first look.
            log_odds: (N,) that each is a hand, for other reasons (``detected_odds``).
            side_odds: (N,) how much likelier the sides of these crops are for other reasons.

        Returns:
            What is known of each hand, in order.
        """
        odds = np.ones(len(first)) if side_odds is None else side_odds
        believed = np.zeros(len(first)) if log_odds is None else log_odds
        first = first.believing(believed)
        owners: list[int] = []
        crops: list[Crop] = []
        for i in np.flatnonzero(first.score > _HOPELESS).tolist():
            deserved = self._closer(first, i, odds[i])
            owners += [i] * len(deserved)
            crops += deserved
        closer = self.look(image, crops).believing(believed[owners])
        looks = Keypoints.concatenate(first, closer)
        owner = np.array([*range(len(first)), *owners], int)
        same_side = [looks.side(k) == first.side(i) for k, i in enumerate(owner)]
        worth = looks.trust * np.where(same_side, odds[owner], 1.0)
        worth[len(first) :] *= _SECOND_LOOK_BONUS
        best = looks.take(_best_of_each(owner, worth))
        return best.averaged_with(first)

    def look_at_detected(self, image: np.ndarray, detections: Detections) -> Keypoints:
        """All that the detector has named, seen from close by, in its order."""
        first = self.look(image, [self.crop_of(hand) for hand in detections.hands])
        return self.look_again(image, first, detected_odds(detections.hands))

    def look_more(self, image: np.ndarray, found: Keypoints) -> Keypoints:
        """The same hands, each seen through ``settings.looks`` crops in all."""
        n, more = len(found), self.settings.looks - 1
        if not n or not more:
            return found
        exact = [self.crop_around(found.points_px[i], found.side(i)) for i in range(n)]
        crops = [_nearby(crop, k) for k in range(1, more + 1) for crop in exact]
        looks = self.look(image, crops)
        return found.averaged_with(*(looks.take(range(k * n, k * n + n)) for k in range(more)))

    def _closer(self, first: Keypoints, i: int, odds: float) -> list[Crop]:
        """The crops of hand ``i`` that deserve another look: of its side, the other, or both."""
        right = first.right[i] * odds / (first.right[i] * odds + 1 - first.right[i])
        side, points_px = first.side(i), first.points_px[i]
        crops = []
        if right > 1 - _SURE_SIDE:
            same = self.crop_around(points_px, side)
            crops += [] if crop_gap(first.crops[i], same) < _AS_GOOD else [same]
        if right < _SURE_SIDE:
            crops.append(self.crop_around(points_px, other_side(side)))
        return crops

    def poses(
        self, keypoints: Keypoints, camera: Camera, frame_shape: tuple[int, int]
    ) -> list[HandPose]:
        """Lift the hands of a frame to 3D and place them in the camera, in order."""
        if not len(keypoints):
            return []
        points_px, sigma_px = keypoints.points_px, keypoints.sigma_px
        evidence, roots_mm = self.placed(keypoints, camera)
        joints_mm = placement.fuse(evidence, roots_mm)
        joints_px = points_px + _SEEN_FROM_3D * (camera.project(joints_mm) - points_px)
        extent = np.maximum(extent_px(points_px), 1.0)[:, None]
        joint_score = confidence.score_of(sigma_px / extent)
        masks = without_overlap(
            [
                CropMask(probability, crop, frame_shape, pixels)
                for probability, crop, pixels in zip(
                    keypoints.mask, keypoints.crops, keypoints.pixels, strict=True
                )
            ]
        )
        return [
            HandPose(
                side=keypoints.side(i),
                side_score=float(keypoints.right[i]),
                score=float(keypoints.score[i]),
                joints_px=joints_px[i],
                joints_mm=joints_mm[i],
                joint_score=joint_score[i],
                visible=keypoints.visible[i] > 0.5,
                joint_sigma_mm=evidence.sigma_mm[i],
                camera=camera,
                crop_mask=masks[i],
            )
            for i in range(len(keypoints))
        ]

    def placed(self, keypoints: Keypoints, camera: Camera) -> tuple[placement.Evidence, np.ndarray]:
        """The shapes of N > 0 hands, and their wrists (N, 3) in the camera."""
        lifted = self.lifter(keypoints, camera)
        shape = lifted.joints_root_mm
        if self.settings.hand_length_mm is not None:
            shape = placement.with_hand_length(shape, self.settings.hand_length_mm)
        evidence = placement.Evidence(
            shape,
            lifted.sigma_mm,
            camera.rays(keypoints.points_px),
            keypoints.sigma_px / (camera.fx * camera.fy) ** 0.5,
        )
        couples = find_couples(keypoints, evidence) if len(keypoints) > 1 else []
        if not couples or self.pair_stage is None:
            return evidence, placement.place(evidence)
        offsets_mm = self.pair_stage(keypoints, evidence, camera, couples)
        return evidence, place_couples(evidence, couples, offsets_mm)


def detected_odds(hands: Sequence[DetectedHand]) -> np.ndarray:
    """(N,) log odds that a detection is a hand, to be added to those of a look at it."""
    scores = np.array([hand.score for hand in hands])
    inside = np.clip(scores, 1 - _SUREST, _SUREST)
    return _PER_DETECTED * (np.log(inside / (1 - inside)) - _TELLS_NOTHING)


def _nearby(crop: Crop, number: int) -> Crop:
    """The crop a little larger or smaller and turned, by another amount for every number."""
    size, angle = _LOOK_SIZE * np.sin(2.4 * number), _LOOK_ANGLE * np.cos(2.4 * number)
    return replace(
        crop, size_px=crop.size_px * float(np.exp(size)), angle=crop.angle + float(angle)
    )


def crop_gap(crop: Crop, other: Crop) -> float:
    """How far one crop is from another, in spreads of the crops that the network was trained on."""
    shift = np.hypot(*np.subtract(crop.centre_px, other.centre_px)) / other.size_px
    log_size = np.log(crop.size_px / other.size_px)
    turn = np.angle(np.exp(1j * (crop.angle - other.angle)))
    return float(np.linalg.norm(np.array([shift, log_size, turn]) / _SPREAD))


def _best_of_each(owner: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """(N,) for each of N owners, all of whom appear, the index of its look of most worth."""
    best = np.empty(owner.max(initial=-1) + 1, int)
    worst_first = np.argsort(worth, kind="stable")
    best[owner[worst_first]] = worst_first  # of several, the last one stays
    return best
