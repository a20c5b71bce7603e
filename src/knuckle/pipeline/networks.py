"""The networks, opened when first needed, and what they are asked about a frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from knuckle.camera import Camera
from knuckle.codec import DetectedHand
from knuckle.crop import Crop
from knuckle.errors import NotFoundError
from knuckle.hand import Side
from knuckle.mask import CropMask, without_overlap
from knuckle.pipeline.settings import SOUGHT_FROM, EstimatorSettings
from knuckle.pipeline.tiles import in_tile, joined, tiles_of
from knuckle.pose import Keypoints, confidence, placement
from knuckle.pose.pair import find_pairs, place_pairs
from knuckle.results import HandPose
from knuckle.stages import Network, weights_folder
from knuckle.stages.detector import Detections, Detector, Tile
from knuckle.stages.keypoints import KeypointEstimator
from knuckle.stages.lifter import Lifter
from knuckle.stages.pair import PairStage

#: Detections beyond ``max_hands``: looks show that some are no hands.
_SPARE_CANDIDATES = 2
#: ``HandPose.joints_px`` lie this share of the way from the keypoints to the projected 3D joints,
#: which profit from the rest of the hand. Half way, the error falls by 3 % on renders, rays of two
#: real views meet by 1 % better, and photographs whose camera is unknown stay as they were.
_SEEN_FROM_3D = 0.5


class Networks:
    """The networks, opened when first needed, and what they are asked about a frame."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self.settings = settings
        self._versions: dict[str, str] = {}
        self._folder = weights_folder(settings.weights_dir)
        if not self._folder.is_dir():
            raise NotFoundError(
                f"the folder of networks {self._folder} does not exist: expected one that knuckle "
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
        """The pair network; a folder of networks need not have it."""
        if not (self._folder / "pair.onnx").is_file():
            return None
        return PairStage(self._open("pair", threads=1))

    def _open(self, kind: str, threads: int | None = None) -> Network:
        path = self._folder / f"{kind}.onnx"
        network = Network(path, kind, threads=threads or self.settings.threads)
        self._versions[kind] = network.card.version
        return network

    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind; opens those that are not open yet."""
        # Opening one notes its version.
        _ = self.detector, self.keypoint_estimator, self.lifter, self.pair_stage
        return dict(self._versions)

    def detect(self, image: np.ndarray, view: int = 0) -> Detections:
        """Find the hands of an image (H, W, 3) uint8 RGB: all of it, or one of its ``n_tiles``.

        ``view`` is 0 for the whole, 1, 2, … for a tile.
        """
        if view == 0:
            return self.detector(image)
        tiles = self._tiles_of(image)
        tile = tiles[view - 1]
        return in_tile(self.detector(image, tile), tile, _size(image), len(tiles))

    def with_tiles(self, image: np.ndarray, whole: Detections) -> Detections:
        """What the detector saw of an image, and what it sees in its tiles."""
        seen = [self.detect(image, view) for view in range(1, self.n_tiles(image) + 1)]
        most = self.settings.max_hands + _SPARE_CANDIDATES
        return joined(whole, seen, most) if seen else whole

    def n_tiles(self, image: np.ndarray) -> int:
        """In how many tiles small hands of an image are searched for."""
        return len(self._tiles_of(image))

    def _tiles_of(self, image: np.ndarray) -> tuple[Tile, ...]:
        smallest = self.settings.smallest_hand
        share = SOUGHT_FROM if smallest is None else smallest
        return tiles_of(_size(image), share, self.detector.input_size)

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

    def look(
        self, image: np.ndarray, crops: Sequence[Crop], known_px: Sequence[np.ndarray | None] = ()
    ) -> Keypoints:
        """One look at each crop; a hand that is known beside it can be given, see the network."""
        return self.keypoint_estimator(image, crops, known_px) if crops else Keypoints.nothing()

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
        extent = np.maximum(keypoints.extents_px, 1.0)[:, None]
        joint_score = confidence.score_of(sigma_px / extent)
        visible = keypoints.visible > 0.5
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
                side_score=float(keypoints.side_score[i]),
                score=float(keypoints.score[i]),
                joints_px=joints_px[i],
                joints_mm=joints_mm[i],
                joint_score=joint_score[i],
                visible=visible[i],
                joint_sigma_mm=evidence.sigma_mm[i],
                camera=camera,
                crop_mask=masks[i],
            )
            for i in range(len(keypoints))
        ]

    def placed(self, keypoints: Keypoints, camera: Camera) -> tuple[placement.Evidence, np.ndarray]:
        """The shapes of N > 0 hands, and their wrists (N, 3) in the camera."""
        shape, sigma_mm = self.lifter(keypoints, camera)
        if self.settings.hand_length_mm is not None:
            length_mm = self.settings.hand_length_mm
            shape, sigma_mm = placement.with_hand_length(shape, sigma_mm, length_mm)
        evidence = placement.Evidence(
            shape,
            sigma_mm,
            camera.rays(keypoints.points_px),
            keypoints.sigma_px / (camera.fx * camera.fy) ** 0.5,
        )
        pairs = find_pairs(keypoints, evidence) if len(keypoints) > 1 else []
        if not pairs or self.pair_stage is None:
            return evidence, placement.place(evidence)
        offsets_mm = self.pair_stage(keypoints, evidence, camera, pairs)
        return evidence, place_pairs(evidence, pairs, offsets_mm)


def _size(image: np.ndarray) -> tuple[int, int]:
    """(W, H) of an image (H, W, 3)."""
    return image.shape[1], image.shape[0]
