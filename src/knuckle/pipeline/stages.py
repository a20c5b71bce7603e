"""The networks, and the steps that an image goes through."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import MARGIN, Crop
from knuckle.detect import Detections, Detector
from knuckle.hand import Side, other_side
from knuckle.mask import CropMask, without_overlap
from knuckle.pipeline.settings import EstimatorSettings
from knuckle.pose import KeypointEstimator, Keypoints, Lifter, confidence, placement
from knuckle.pose.duplicates import extent_px
from knuckle.results import HandPose
from knuckle.runtime import Network, weights_folder

#: What scores less at the first look is not worth a second one.
_HOPELESS = 0.1
#: The detector may name so many more than wanted: seen from close by, some turn out to be none.
_SPARE_CANDIDATES = 2
#: A second look wins unless it is clearly less sure: its crop fits better.
_SECOND_LOOK_BONUS = 1.1


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
                joints_px=points_px[i],
                joints_mm=joints_mm[i],
                joint_score=joint_score[i],
                visible=keypoints.visible[i] > 0.5,
                joint_sigma_mm=lifted.sigma_mm[i],
                camera=camera,
                crop_mask=masks[i],
            )
            for i in range(len(keypoints))
        ]
