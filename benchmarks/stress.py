"""Knuckle beside MediaPipe on hard pictures: the stress set, bin by bin.

    python benchmarks/stress.py --mediapipe-python PEERS/bin/python

Every bin shows the same rendered scenes (``stress_scenes``) under other conditions, so that bins
can be compared pairwise. Every system gets the same pixels, detects hands itself and may report as
many hands as there are; Knuckle gets the intrinsics, which MediaPipe cannot use. **A missed hand is
scored as a hand whose joints all lie in one point**: 100 % of the box in 2D, the distance of the
true joints from their root (PA: from their centroid) in 3D.

Frames, and MediaPipe's answers to them, do not change, so they are made once and kept in
``--folder``. Delete the folder after changing the renderer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from board import KNUCKLE, PEER, Hand, PeerPython, Table, command, knuckle_system
from knuckle.draw import caption, sheet
from knuckle.hand import Side
from knuckle.sample import Sample
from peers.process import MediaPipe, MediaPipeSettings, PeerHand
from real_hands import errors_of
from stress_scenes import AXES, bin_path, render, stress_bin

#: Columns of ``real_hands.errors_of`` that are shown.
FOUND, SIDE, KEYPOINTS, PA, WRIST, MIDDLE = range(6)
#: In these axes every hand of the frame counts, in the others the first: the rest hides it.
BOTH_HANDS = ("two hands",)


@dataclass(frozen=True)
class Errors:
    """What a system did in one bin.

    Attributes:
        rows: (scene, hand, measure), see ``real_hands.errors_of``.
    """

    rows: np.ndarray

    @classmethod
    def of(cls, samples: Sequence[Sample], answers: Sequence[Sequence[Hand]], hands: int) -> Errors:
        """Compare answers with the first ``hands`` true hands of each frame."""
        rows = [errors_of(s, given)[:hands] for s, given in zip(samples, answers, strict=True)]
        return cls(np.array(rows))

    @property
    def means(self) -> np.ndarray:
        """(measure,) over all hands."""
        return self.rows[..., : MIDDLE + 1].mean(axis=(0, 1))

    @property
    def keypoints(self) -> np.ndarray:
        """(scene,) 2D error, share of the box."""
        return self.rows[..., KEYPOINTS].mean(axis=1)

    @property
    def all_found(self) -> float:
        """Share of the frames in which no hand was missed."""
        return float((self.rows[..., FOUND] > 0).all(axis=1).mean())


#: System -> axis -> bin -> errors.
Results = dict[str, dict[str, dict[str, Errors]]]


# --- systems -------------------------------------------------------------------------------------


def remembered(peer: MediaPipe, samples: Sequence[Sample], path: Path) -> list[list[PeerHand]]:
    """A peer's answers, asked for once: it does not change."""
    if not path.exists():
        answers = peer.predict([sample.image for sample in samples])
        hands = [(i, hand) for i, given in enumerate(answers) for hand in given]
        np.savez_compressed(
            path,
            image=np.array([i for i, _ in hands], int),
            is_left=np.array([hand.side == "left" for _, hand in hands], bool),
            joints_px=np.array([hand.joints_px for _, hand in hands]).reshape(-1, 21, 2),
            joints_mm=np.array([hand.joints_mm for _, hand in hands]).reshape(-1, 21, 3),
        )
    known: list[list[PeerHand]] = [[] for _ in samples]
    with np.load(path) as saved:
        arrays = {name: saved[name] for name in saved.files}
    for i, left, px, mm in zip(*arrays.values(), strict=True):
        side: Side = "left" if left else "right"
        known[i].append(PeerHand(side, px, mm))
    return known


# --- the report ----------------------------------------------------------------------------------


def table(results: Results) -> str:
    """Markdown: a line a bin, in each cell all systems."""
    shown = {
        "found": (FOUND, "{:.0%}"),
        "side right": (SIDE, "{:.0%}"),
        "2D, share of box": (KEYPOINTS, "{:.1%}"),
        "PA-MPJPE, mm": (PA, "{:.1f}"),
        "MPJPE from middle MCP, mm": (MIDDLE, "{:.1f}"),
    }
    first = next(iter(results.values()))
    rows = [
        (axis, name, *(" / ".join(form.format(system[axis][name].means[column])
                                  for system in results.values())
                       for column, form in shown.values()))
        for axis, bins in first.items()
        for name in bins
    ]  # fmt: skip
    columns = dict.fromkeys(("axis", "bin", *shown), "")
    return f"Cells: {' / '.join(results)}\n\n{Table(columns).text(rows)}"


def tone_ratio(bins: dict[str, Errors], found_only: bool = False) -> tuple[float, float, float]:
    """2D error of the worst skin-tone bin over the best, and its 90 % interval.

    The interval is a bootstrap over scenes, of the ratio between the two bins that are worst and
    best in all scenes; scenes are drawn together for all bins, as only the skin differs.

    Args:
        bins: errors of the same scenes.
        found_only: leave out scenes in which the hand was missed with some skin.
    """
    errors = np.stack([errors.keypoints for errors in bins.values()])  # (tone, scene)
    if found_only:
        found = np.stack([e.rows[..., FOUND].all(axis=1) for e in bins.values()]).all(axis=0)
        errors = errors[:, found]
    means = errors.mean(axis=1)
    pair = errors[[means.argmax(), means.argmin()]]
    rng, n = np.random.default_rng(0), errors.shape[1]
    drawn = pair[:, rng.integers(n, size=(1000, n))].mean(axis=-1)  # (2, draw)
    low, high = np.quantile(drawn[0] / drawn[1], (0.05, 0.95))
    return float(means.max() / means.min()), float(low), float(high)


def summary(results: Results) -> str:
    """What the bars ask for: fairness over skin tones, both hands found."""
    lines = []
    for name, axes in results.items():
        for axis in axes.keys() & {"skin tone"}:
            every, found = tone_ratio(axes[axis]), tone_ratio(axes[axis], found_only=True)
            lines.append(
                f"- {name}: 2D error of the worst skin-tone bin over the best "
                f"{every[0]:.2f} (90 % interval {every[1]:.2f} to {every[2]:.2f}), over scenes in "
                f"which the hand is found with every skin {found[0]:.2f} ({found[1]:.2f} to "
                f"{found[2]:.2f})"
            )
        for axis in BOTH_HANDS:
            for condition, errors in axes.get(axis, {}).items():
                lines.append(f"- {name}, {axis}, {condition}: both found in {errors.all_found:.0%}")
    return "\n".join(lines)


def picture(scene: int, columns: int = 10, size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """A scene in every bin, a row an axis, (H, W, 3) RGB."""
    tiles = []
    for axis, bins in AXES.items():
        if axis != "base":
            for name, conditions in bins.items():
                tile = cv2.resize(
                    render(scene, conditions).image, size, interpolation=cv2.INTER_AREA
                )
                caption(tile, name, (4, size[1] - 5), scale=0.36)
                tiles.append(tile)
            tiles += [np.full_like(tile, 255)] * (-len(tiles) % columns)
    return sheet(tiles, columns)


@dataclass(frozen=True)
class Stress:
    """Measure Knuckle beside MediaPipe on the stress set."""

    mediapipe_python: PeerPython = None
    weights: tuple[Path, ...] = ()
    """Folders of networks to measure instead of those in the package."""
    axes: tuple[str, ...] = tuple(AXES)
    """Which axes."""
    count: int = 100
    """Scenes a bin."""
    folder: Path = Path("runs/stress")
    """Where frames and the peer's answers are kept."""
    picture: Path | None = None
    """Write only a picture that shows one scene in every bin."""
    scene: int = 0
    """Which scene."""

    def run(self) -> None:
        """Measure and print, or draw."""
        if self.picture is not None:
            cv2.imwrite(str(self.picture), cv2.cvtColor(picture(self.scene), cv2.COLOR_RGB2BGR))
            return
        results: Results = {}
        for axis in self.axes:
            for name in AXES[axis]:
                for system, errors in self._bin(axis, name).items():
                    results.setdefault(system, {}).setdefault(axis, {})[name] = errors
        print(f"{self.count} scenes a bin, 640 x 480\n\n{table(results)}\n\n{summary(results)}")

    def _bin(self, axis: str, name: str) -> dict[str, Errors]:
        """Every system's errors in one bin."""
        samples = stress_bin(axis, name, self.count, self.folder)
        max_hands = max(len(sample.hands) for sample in samples)
        asked = max_hands if axis in BOTH_HANDS else 1
        answers: dict[str, Sequence[Sequence[Hand]]] = {}
        for weights in self.weights or (None,):
            label = KNUCKLE if len(self.weights) < 2 else str(weights)
            answers[label] = knuckle_system(weights, max_hands=max_hands)(samples)
        if self.mediapipe_python is not None:
            peer = MediaPipe(self.mediapipe_python, MediaPipeSettings("full", max_hands))
            path = bin_path(axis, name, self.count, self.folder).with_suffix(".mediapipe-full.npz")
            answers[PEER] = remembered(peer, samples, path)
        return {system: Errors.of(samples, given, asked) for system, given in answers.items()}


if __name__ == "__main__":
    command(Stress)
