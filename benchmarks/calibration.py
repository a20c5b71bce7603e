"""Are Knuckle's confidences calibrated? Reliability of every confidence that it reports.

    python benchmarks/calibration.py [--weights DIR] [--plot docs/reliability.png] [--fit]

Close-ups that no network was trained on: rendered ones with exact labels, and photographs with a
teacher's labels. Every hand is looked at through a crop about as inexact as a tracker's and
processed all the way to a ``HandPose``. Then, in ten bins of equal size:

- ``joint_score`` against the share of joints within 5 % of the hand's extent,
- the expected error in pixels (per axis, as a share of the extent) against the actual one,
- ``joint_sigma_mm`` against the actual error per axis, both relative to the wrist,
- ``presence`` against the share of hands, as many pictures with a hand as without,
- visibility against the share of joints that are visible.

On photographs only the joints count that the teacher defines as Knuckle does. ``--fit`` prints the
constants of ``knuckle.pose.confidence`` that fit both sources best.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from board import Table, Weights, command
from knuckle.camera import Camera
from knuckle.crop import Crop
from knuckle.data import shards
from knuckle.data.photographs import PhotographStore
from knuckle.hand import N_JOINTS, Joint, extent_px
from knuckle.metrics import box_side
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.networks import Networks
from knuckle.pose import confidence
from knuckle.sample import Sample
from knuckle.train.streams import all_shards, is_held_back

#: How inexact a tracker's crop is: shift and log of the scale as shares, angle in radians.
_SHIFT, _LOG_SCALE, _ANGLE = 0.03, 0.06, 0.08
#: Joints that the teacher of the photographs puts elsewhere.
_DEFINED_OTHERWISE = [Joint.WRIST, Joint.THUMB_CMC]


@dataclass(frozen=True, eq=False)
class Looks:
    """What was expected and what came out, for N crops of hands of one source.

    Attributes:
        score, sigma, error: (N, 21) joint score; expected error per axis and actual distance,
            shares of the hand's extent.
        axis_error: (N, 21) actual error per axis, share of the extent.
        sigma_mm, error_mm: (N, 21) expected and actual error per axis relative to the wrist.
        visible, is_visible: (N, 21) probability and truth.
        counts: (N, 21) bool, which joints have a label to be held against.
        presence: (N,) is this a hand.
    """

    score: np.ndarray
    sigma: np.ndarray
    error: np.ndarray
    axis_error: np.ndarray
    sigma_mm: np.ndarray
    error_mm: np.ndarray
    visible: np.ndarray
    is_visible: np.ndarray
    counts: np.ndarray
    presence: np.ndarray


@dataclass(frozen=True, eq=False)
class Reliability:
    """Expected against actual, bin by bin.

    Attributes:
        title: what is expected.
        kind: "share" for probabilities, "size" for errors.
        expected, actual: (B,) means of each bin.
    """

    title: str
    kind: Literal["share", "size"]
    expected: np.ndarray
    actual: np.ndarray

    @classmethod
    def of(
        cls, title: str, kind: Literal["share", "size"], expected: np.ndarray, actual: np.ndarray,
        bins: int = 10,
    ) -> Reliability:  # fmt: skip
        """Sort by what was expected, cut into bins of equal size, and average each."""
        order = np.argsort(expected, kind="stable")
        parts = [part for part in np.array_split(order, bins) if len(part)]
        means = np.array([(expected[part].mean(), actual[part].mean()) for part in parts])
        return cls(title, kind, means[:, 0], means[:, 1])

    @property
    def gap(self) -> float:
        """Mean distance of expected from actual; of sizes as a share of the actual one."""
        gaps = np.abs(self.expected - self.actual)
        return float(gaps.mean() if self.kind == "share" else (gaps / self.actual).mean())

    def rows(self) -> list[tuple[str, ...]]:
        """Two rows of a table."""
        form = "{:.2f}" if self.kind == "share" else "{:.3g}"
        said = {"expected": (self.expected, f"{self.gap:.3f}"), "actual": (self.actual, "")}
        return [
            (self.title, word, *map(form.format, values), gap)
            for word, (values, gap) in said.items()
        ]


# --- looking -------------------------------------------------------------------------------------


def look_at(networks: Networks, samples: Iterable[Sample], counts: np.ndarray) -> Looks:
    """Look at the first hand of every sample as a tracker would; ``counts`` (21,) bool."""
    rng = np.random.default_rng(0)
    rows = [_look(networks, sample, counts, rng) for sample in samples]
    return Looks(*(np.array(column) for column in zip(*rows, strict=True)))


def _look(
    networks: Networks, sample: Sample, counts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """One row of each array of ``Looks``."""
    hand, (height, width) = sample.hands[0], sample.image.shape[:2]
    crop = networks.crop_around(hand.joints_px, hand.side)
    crop = crop.jittered(rng, shift=_SHIFT, log_scale=_LOG_SCALE, angle=_ANGLE)
    keypoints = networks.look(sample.image, [crop])
    camera = sample.camera or Camera.assume(width, height)
    pose = networks.poses(keypoints, camera, (height, width))[0]
    extent = float(extent_px(keypoints.points_px)[0])
    size = float(box_side(hand.joints_px, hand.valid))
    away = (pose.joints_px - hand.joints_px) / size
    unknown = np.full(N_JOINTS, np.nan)
    error_mm = unknown
    if hand.joints_mm is not None:
        truth = hand.joints_mm - hand.joints_mm[Joint.WRIST]
        error_mm = np.abs(pose.joints_root_mm - truth).mean(axis=-1)
    return (
        pose.joint_score,
        keypoints.sigma_px[0] / max(extent, 1.0),
        np.linalg.norm(away, axis=-1),
        np.abs(away).mean(axis=-1),
        pose.joint_sigma_mm,
        error_mm,
        keypoints.visible[0],
        unknown if hand.visible is None else hand.visible.astype(float),
        counts & hand.valid,
        keypoints.presence[0],
    )


def presence_without_hand(networks: Networks, samples: Iterable[Sample]) -> np.ndarray:
    """(N,) what the network says of pictures that show no hand."""
    rng = np.random.default_rng(0)
    presence = []
    for sample in samples:
        height, width = sample.image.shape[:2]
        crop = Crop(
            ((width - 1) / 2, (height - 1) / 2), max(height, width), rng.uniform(-np.pi, np.pi),
            bool(rng.random() < 0.5), networks.keypoint_estimator.crop_size,
        )  # fmt: skip
        presence.append(networks.look(sample.image, [crop]).presence[0])
    return np.array(presence)


def rendered(folder: Path, limit: int) -> list[Sample]:
    """Close-ups of held-back shards, evenly from all of them."""
    paths = [path for path in all_shards(folder) if is_held_back(path)]
    each = -(-limit // len(paths))
    return [sample for path in paths for sample in islice(shards.read_shard(path), each)]


def photographs(path: Path, limit: int) -> list[Sample]:
    """Held-back pictures of a store."""
    store = PhotographStore.load(path)
    return [store.decode(int(i)) for i in store.part("validation")[:limit]]


# --- what comes of it ----------------------------------------------------------------------------


def reliabilities(looks: dict[str, Looks], empty: np.ndarray) -> dict[str, list[Reliability]]:
    """The curves of every source."""
    curves = {}
    for source, look in looks.items():
        counts, exact = look.counts, np.isfinite(look.error_mm)
        of_source = [
            Reliability.of(
                "joint score", "share", look.score[counts],
                look.error[counts] < confidence.RIGHT_WITHIN,
            ),
            Reliability.of("sigma, share", "size", look.sigma[counts], look.axis_error[counts]),
        ]  # fmt: skip
        if exact.any():
            exact[:, Joint.WRIST] = False
            known = np.isfinite(look.is_visible)
            of_source += [
                Reliability.of("sigma, mm", "size", look.sigma_mm[exact], look.error_mm[exact]),
                Reliability.of("visible", "share", look.visible[known], look.is_visible[known]),
            ]
        curves[source] = of_source
    curves["photographs"].append(_presence(looks["photographs"].presence, empty))
    return curves


def _presence(hands: np.ndarray, empty: np.ndarray) -> Reliability:
    """As many pictures with a hand as without: each kind is drawn evenly to the same number."""
    n = min(len(hands), len(empty))
    some = [kind[np.linspace(0, len(kind) - 1, n).astype(int)] for kind in (hands, empty)]
    return Reliability.of("presence", "share", np.concatenate(some), np.repeat([1.0, 0.0], n))


def fit(looks: dict[str, Looks]) -> tuple[float, float]:
    """``confidence.SPREAD`` and ``confidence.STEEPNESS`` that make the joint scores likeliest.

    Every source has the same weight.
    """
    from scipy.optimize import minimize

    def cost(parameters: np.ndarray) -> float:
        spread, steepness = np.exp(parameters)
        total = 0.0
        for look in looks.values():
            score = confidence.score_of(look.sigma[look.counts], spread, steepness)
            score = np.clip(score, 1e-4, 1 - 1e-4)
            right = look.error[look.counts] < confidence.RIGHT_WITHIN
            total -= float(np.where(right, np.log(score), np.log(1 - score)).mean())
        return total

    spread, steepness = np.exp(minimize(cost, np.zeros(2), method="Nelder-Mead").x)
    return float(spread), float(steepness)


def table(curves: dict[str, list[Reliability]]) -> str:
    """Markdown: expected and actual in every bin."""
    columns = Table(dict.fromkeys(("", "bin", *map(str, range(1, 11)), "mean gap"), ""))
    return "\n".join(
        f"\n{source}\n\n{columns.text(row for curve in of_source for row in curve.rows())}"
        for source, of_source in curves.items()
    )


def plot(curves: dict[str, list[Reliability]], path: Path) -> None:
    """One panel a confidence, one line a source, the diagonal dotted."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    titles = list(dict.fromkeys(c.title for of_source in curves.values() for c in of_source))
    figure = Figure(figsize=(2.6 * len(titles), 2.9), layout="constrained")
    FigureCanvasAgg(figure)
    for place, title in enumerate(titles, start=1):
        axes = figure.add_subplot(1, len(titles), place)
        shown = [(s, c) for s, all_ in curves.items() for c in all_ if c.title == title]
        most = max(float(max(c.expected.max(), c.actual.max())) for _, c in shown)
        most = 1.0 if shown[0][1].kind == "share" else 1.05 * most
        axes.plot([0, most], [0, most], ":", color="grey")
        for source, curve in shown:
            colour = {"rendered": "#1f6f8b", "photographs": "#ef7d5b"}[source]
            axes.plot(curve.expected, curve.actual, "o-", ms=3, color=colour, label=source)
        axes.set(xlim=(0, most), ylim=(0, most), xlabel="expected")
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.3)
        if place == 1:
            axes.set_ylabel("actual")
            axes.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


@dataclass(frozen=True)
class Calibration:
    """Hold every confidence against what came out."""

    crops: Path = Path("runs/data/crops")
    """Folder of rendered close-ups; shards whose number is a multiple of 25 are held back."""
    photographs: Path = Path("runs/data/crops.npz")
    """Store of photographs; its part "validation" is held back."""
    handless: Path = Path("runs/data/handless.npz")
    """Store of pictures without hands."""
    weights: Weights = None
    limit: int = 1000
    """Pictures of each source."""
    plot: Path | None = None
    """PNG file to write."""
    fit: bool = False
    """Print the constants of ``knuckle.pose.confidence`` that fit best."""

    def run(self) -> None:
        """Measure and print."""
        networks = Networks(EstimatorSettings(weights_dir=self.weights))
        everywhere = np.ones(N_JOINTS, bool)
        agreed = everywhere.copy()
        agreed[_DEFINED_OTHERWISE] = False
        looks = {
            "rendered": look_at(networks, rendered(self.crops, self.limit), everywhere),
            "photographs": look_at(networks, photographs(self.photographs, self.limit), agreed),
        }
        empty = presence_without_hand(networks, photographs(self.handless, self.limit))
        curves = reliabilities(looks, empty)
        numbers = ", ".join(f"{len(look.presence)} {source}" for source, look in looks.items())
        print(f"{numbers}, {len(empty)} without a hand\n{table(curves)}")
        if self.plot is not None:
            plot(curves, self.plot)
        if self.fit:
            spread, steepness = fit(looks)
            print(f"\nSPREAD = {spread:.3f}, STEEPNESS = {steepness:.3f}")


if __name__ == "__main__":
    command(Calibration)
