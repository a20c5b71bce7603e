"""Two hands near each other: relative position, from each alone and from both together.

    python benchmarks/two_hands.py [--weights FOLDER]

The same looks of the keypoint network are lifted to 3D in three ways: each hand alone; with one
size for both hands of a person (the geometric mean of both hand lengths, in closed form); and by
the pair stage. The looks are of

* posed pairs not used in training, without pictures: keypoints have a network's errors
  (``train/pairs.py``), features are zero;
* the two-handed bins of the stress set (``stress_scenes.py``), through crops drawn around the true
  joints a little inexactly, like those of followed hands, and through own detection, where
  only pictures in which both hands were found with the right sides count;
* the two-handed pictures of a small capture (``knuckle data synth``), in the same two ways.

Bins and capture are rendered at the first call and kept in ``--folder``.

Intrinsics are given. MRRPE is the error of the left wrist from the right one (Moon et al. 2020),
MPJPE is from each hand's own wrist.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from board import Table
from knuckle import HandEstimator, metrics
from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.data.capture import write_capture
from knuckle.data.capture_plan import CaptureSettings
from knuckle.data.datasets import open_dataset
from knuckle.hand import N_JOINTS, SIDES, Side, hand_length
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.networks import Networks
from knuckle.pose import Keypoints, placement
from knuckle.pose.pair import find_pairs
from knuckle.render.hand_model import HandModel
from knuckle.sample import Sample
from knuckle.train import pairs, poses
from stress_scenes import AXES, stress_bin

BINS = tuple(AXES["two hands"])
_SIDES: tuple[Side, Side] = ("right", "left")
#: Joints of a hand that must be seen: nobody can place one that is not in the picture.
_LEAST_SEEN = 5
_POSED_CAMERA = Camera.from_fov(1280, 720, 65.0)


@dataclass(frozen=True, eq=False)
class Look:
    """What the keypoint network says about a right and a left hand, and the truth.

    Attributes:
        keypoints: the right and the left hand.
        camera: of the picture.
        true_mm: (2, 21, 3) in the camera frame.
    """

    keypoints: Keypoints
    camera: Camera
    true_mm: np.ndarray


# --- looks ---------------------------------------------------------------------------------------


def posed_looks(networks: Networks, count: int, *, touching: bool, seed: int = 909) -> list[Look]:
    """Posed pairs as a keypoint network would see them; touching, or merely near."""
    rng = np.random.default_rng(seed)
    noise = poses.upright_noise(rng, poses.PoseBank(rng, 2048), HandModel.load(), 2048)
    bank = pairs.PairBank(rng, max(count // 2, 1))
    drawn = bank.draw(count), bank.draw(count)
    posed = pairs.before_camera(rng, drawn[0] if touching else pairs.drawn_apart(rng, *drawn))
    size = networks.keypoint_estimator.crop_size
    return [_posed_look(rng, joints, noise, size, networks) for joints in posed]


def _posed_look(
    rng: np.random.Generator,
    joints_mm: np.ndarray,
    noise: poses.KeypointNoise,
    size: int,
    networks: Networks,
) -> Look:
    points_px = np.stack([_POSED_CAMERA.project(hand) for hand in joints_mm])
    crops = [
        Crop.from_joints(points, side, out_size=size).jittered(
            rng, shift=0.02, log_scale=0.05, angle=0.03
        )
        for points, side in zip(points_px, _SIDES, strict=True)
    ]
    true = np.stack([crop.to_crop(points) for crop, points in zip(crops, points_px, strict=True)])
    scatter = pairs.scatter_of(rng, true[None], joints_mm[None])[0]
    points, sigma = noise(rng, true, scatter)
    blank = networks.look(np.zeros((8, 8, 3), np.uint8), crops)  # the rest of what a look has
    keypoints = replace(
        blank,
        points_crop=points.astype(np.float32),
        sigma_crop=sigma.astype(np.float32),
        features=np.zeros_like(blank.features),
    )
    return Look(keypoints, _POSED_CAMERA, joints_mm)


def looks_at_true_crops(networks: Networks, samples: Sequence[Sample]) -> Iterator[Look]:
    """Through crops around the true joints, as inexact as those of followed hands."""
    rng = np.random.default_rng(5)
    size = networks.keypoint_estimator.crop_size
    for sample in samples:
        hands = [_of_side(sample, side) for side in _SIDES]
        crops = [
            Crop.from_joints(hand.joints_px, hand.side, out_size=size).jittered(
                rng, shift=0.02, log_scale=0.05, angle=0.1
            )
            for hand in hands
        ]
        assert sample.camera is not None
        yield Look(networks.look(sample.image, crops), sample.camera, _true_mm(sample))


def looks_after_detection(estimator: HandEstimator, samples: Sequence[Sample]) -> Iterator[Look]:
    """Through the own detection, where both hands are found and their sides are right."""
    for sample in samples:
        found = estimator._find(sample.image)
        hands = [_of_side(sample, side) for side in _SIDES]
        sides = [found.side(i) for i in range(len(found))]
        matches = metrics.match_hands(
            sides,
            found.points_px.reshape(-1, N_JOINTS, 2),
            list(_SIDES),
            np.array([hand.joints_px for hand in hands]),
        )
        right_sides = [sides[match.predicted] == _SIDES[match.true] for match in matches]
        if len(right_sides) == 2 and all(right_sides):
            order = [match.predicted for match in matches]
            assert sample.camera is not None
            yield Look(found.take(order), sample.camera, _true_mm(sample))


def captured(folder: Path, frames: int) -> Iterator[Sample]:
    """The pictures of a capture of eight people, seen by eight cameras."""
    root = folder / f"capture-{frames}"
    write_capture(root, CaptureSettings(frames, 8, subjects=8, seed=78, depth=False))
    dataset = open_dataset(root, "all")
    return (dataset[i] for i in range(len(dataset)))


def of_two_hands(samples: Iterator[Sample] | Sequence[Sample]) -> list[Sample]:
    """Those with one hand of each side, both to be seen, 3D and camera known."""
    return [sample for sample in samples if _is_pair(sample)]


def _is_pair(sample: Sample) -> bool:
    hands = sample.hands
    if sample.camera is None or sorted(hand.side for hand in hands) != sorted(SIDES):
        return False
    return all(
        hand.joints_mm is not None
        and bool(hand.valid.all())
        and (hand.visible is None or int(hand.visible.sum()) >= _LEAST_SEEN)
        for hand in hands
    )


def _of_side(sample: Sample, side: Side):  # type: ignore[no-untyped-def]
    return next(hand for hand in sample.hands if hand.side == side)


def _true_mm(sample: Sample) -> np.ndarray:
    return np.array([_of_side(sample, side).joints_mm for side in _SIDES], dtype=np.float64)


# --- ways to place them --------------------------------------------------------------------------

#: (2, 21, 3) joints in the camera from a look.
Way = Callable[[Networks, Look], np.ndarray]


def _evidence(networks: Networks, look: Look) -> placement.Evidence:
    joints_mm, sigma_mm = networks.lifter(look.keypoints, look.camera)
    focal = (look.camera.fx * look.camera.fy) ** 0.5
    rays = look.camera.rays(look.keypoints.points_px)
    sigma_rays = look.keypoints.sigma_px / focal
    return placement.Evidence(joints_mm, sigma_mm, rays, sigma_rays)


def each_alone(networks: Networks, look: Look) -> np.ndarray:
    """Each hand lifted and placed by itself."""
    evidence = _evidence(networks, look)
    return placement.fuse(evidence, placement.place(evidence))


def one_size(networks: Networks, look: Look) -> np.ndarray:
    """One person has hands of one size: the geometric mean of both."""
    evidence = _evidence(networks, look)
    lengths = hand_length(evidence.joints_root_mm)
    common = float(np.exp(np.log(lengths).mean()))
    joints, sigma_mm = placement.with_hand_length(
        evidence.joints_root_mm, evidence.sigma_mm, common
    )
    evidence = replace(evidence, joints_root_mm=joints, sigma_mm=sigma_mm)
    return placement.fuse(evidence, placement.place(evidence))


def together(networks: Networks, look: Look) -> np.ndarray:
    """As the pipeline does it."""
    evidence, roots_mm = networks.placed(look.keypoints, look.camera)
    return placement.fuse(evidence, roots_mm)


WAYS: dict[str, Way] = {
    "each alone": each_alone,
    "one size for both": one_size,
    "pair stage": together,
}


# --- the table -----------------------------------------------------------------------------------


TABLE = Table({
    "looks at": "",
    "pairs": "{}",
    "way": "",
    "MRRPE, mm": "{:.1f}",
    "median": "{:.1f}",
    "MPJPE, mm": "{:.2f}",
    "PA-MPJPE, mm": "{:.2f}",
    "absolute, mm": "{:.1f}",
})  # fmt: skip


def rows(name: str, networks: Networks, looks: Sequence[Look]) -> Iterator[str]:
    """Lines of the table, one a way."""
    if not looks:
        return
    true = np.array([look.true_mm for look in looks])  # (N, 2, 21, 3)
    for label, way in WAYS.items():
        found = np.array([way(networks, look) for look in looks])
        errors = metrics.mrrpe(found[:, 1, 0], found[:, 0, 0], true[:, 1, 0], true[:, 0, 0])
        measures = (metrics.mpjpe, metrics.pa_mpjpe, metrics.absolute_error)
        means = (measure(found, true).mean() for measure in measures)
        yield TABLE.row(name, len(looks), label, errors.mean(), np.median(errors), *means)


def milliseconds(networks: Networks, looks: Sequence[Look]) -> float:
    """Median time that the pair stage adds to the placing of two hands."""
    both = []
    for look in looks:
        evidence = _evidence(networks, look)
        pairs = find_pairs(look.keypoints, evidence)
        if pairs:
            both.append(_time(lambda look=look: together(networks, look)))  # type: ignore[misc]
            both[-1] -= _time(lambda look=look: each_alone(networks, look))  # type: ignore[misc]
    return 1e3 * float(np.median(both)) if both else float("nan")


def _time(work: Callable[[], object], repeats: int = 9) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder of other networks")
    parser.add_argument("--posed", type=int, default=400, help="posed pairs of each kind")
    parser.add_argument("--count", type=int, default=25, help="scenes of each bin")
    parser.add_argument("--folder", type=Path, default=Path("runs/stress"), help="of pictures")
    parser.add_argument("--frames", type=int, default=480, help="pictures of the capture, or 0")
    options = parser.parse_args()
    networks = Networks(EstimatorSettings(weights_dir=options.weights, threads=1))
    if networks.pair_stage is None:
        parser.error("these networks have no pair.onnx; train it: knuckle train recipes/pair.toml")
    estimator = HandEstimator(weights_dir=options.weights, threads=1, max_hands=2)
    print(TABLE.head, flush=True)

    def show(name: str, looks: Sequence[Look]) -> None:
        for line in rows(name, networks, looks):
            print(line, flush=True)

    near = posed_looks(networks, options.posed, touching=False)
    if near:
        show("posed, touching", posed_looks(networks, options.posed, touching=True))
        show("posed, near", near)
    samples = [
        sample
        for name in BINS
        for sample in (stress_bin("two hands", name, options.count, options.folder))
    ]
    sets = {"stress set": of_two_hands(samples)}
    if options.frames:
        sets["capture"] = of_two_hands(captured(options.folder, options.frames))
    for name, pictures in sets.items():
        show(f"{name}, crops from the truth", list(looks_at_true_crops(networks, pictures)))
        show(f"{name}, own detection", list(looks_after_detection(estimator, pictures)))
    print(f"\nThe pair stage adds {milliseconds(networks, near[:50]):.2f} ms a pair on one thread.")


if __name__ == "__main__":
    main()
