"""``knuckle evaluate rig``: calibrated cameras of an InterHand2.6M capture as a rig.

Every time step is shown to rigs of the first 2, 3, 4, 8 of the named cameras. What is printed:
error of all joints in the world (absolute), from the wrist and after Procrustes, of the hands that
were found; how many were; and the mean of min(error, 100 mm) over all hands, in which one that was
missed counts 100 mm. One view alone is what each camera's own tracker says, in the mean over the
cameras.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from knuckle import metrics
from knuckle.data.interhand26m import InterHand26M, Selection
from knuckle.data.labelled import Record
from knuckle.errors import InputError
from knuckle.hand import N_JOINTS, Joint, Side
from knuckle.results import Frame
from knuckle.views import Rig, RigCamera, RigTracker

#: Numbers of views that are compared, as far as there are so many.
VIEW_COUNTS = (2, 3, 4, 8)
#: What a missed hand costs, and any hand at most, mm.
MOST_MM = 100.0
#: InterHand2.6M's frame numbers count so many a second.
_SENSOR_FPS = 90.0


@dataclass(frozen=True, eq=False)
class Instant:
    """One time step before several cameras."""

    sequence: str  # a name that is one for each recording
    time_s: float  # within it
    rows: tuple[int | None, ...]  # per camera the index of its record; None where it has no picture
    rig: Rig  # the cameras of this capture


@dataclass(frozen=True, eq=False)
class Truth:
    """A hand as the labels have it, in the world."""

    side: Side  # which
    joints_mm: np.ndarray  # (21, 3)
    valid: np.ndarray  # (21,) bool
    #: (V, 21) bool, which camera sees which joint; None where the labels do not say.
    seen: np.ndarray | None


@dataclass
class Row:
    """What came out with some number of views."""

    #: ``absolute_mm``, ``wrist_mm``, ``pa_mm``: per found hand, means over its joints.
    absolute_mm: list[float] = field(default_factory=list)
    wrist_mm: list[float] = field(default_factory=list)
    pa_mm: list[float] = field(default_factory=list)
    #: From the wrist, of joints that at most one of the cameras sees.
    hidden_mm: list[float] = field(default_factory=list)
    hands: int = 0  # how many there were

    def add(self, found_mm: np.ndarray | None, truth: Truth, hidden: np.ndarray | None) -> None:
        """One hand that was there, and what was said of it."""
        self.hands += 1
        if found_mm is None:
            return
        true, valid = truth.joints_mm, truth.valid
        self.absolute_mm.append(float(metrics.absolute_error(found_mm, true, valid)))
        self.wrist_mm.append(float(metrics.mpjpe(found_mm, true, valid)))
        self.pa_mm.append(float(metrics.pa_mpjpe(found_mm, true, valid)))
        if hidden is not None and (hidden & valid).any():
            apart = (found_mm - found_mm[:1]) - (true - true[:1])
            self.hidden_mm.append(float(np.linalg.norm(apart, axis=1)[hidden & valid].mean()))

    @property
    def numbers(self) -> dict[str, float]:
        """What is reported."""
        capped = np.minimum(self.absolute_mm, MOST_MM).sum()
        missed = self.hands - len(self.absolute_mm)
        return {
            "hands": self.hands,
            "coverage": len(self.absolute_mm) / max(self.hands, 1),
            "absolute_mm": _mean(self.absolute_mm),
            "wrist_mm": _mean(self.wrist_mm),
            "pa_mm": _mean(self.pa_mm),
            "hidden_mm": _mean(self.hidden_mm),
            "capped_mm": float(capped + MOST_MM * missed) / max(self.hands, 1),
        }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


@dataclass(frozen=True, eq=False)
class RigEvaluation:
    """The outcome."""

    cameras: tuple[str, ...]  # their names, the first n of which make a rig of n
    rows: dict[int, Row]  # number of views -> what came out

    def table(self) -> str:
        """Markdown, one line a number of views."""
        lines = [
            "| views | hands | found | absolute | from the wrist | PA | hidden joints, from the "
            "wrist | mean of min(error, 100 mm) |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for count, row in self.rows.items():
            n = row.numbers
            errors = ("absolute_mm", "wrist_mm", "pa_mm", "hidden_mm", "capped_mm")
            told = " | ".join("–" if np.isnan(n[name]) else f"{n[name]:.1f} mm" for name in errors)
            lines.append(f"| {count} | {n['hands']:.0f} | {n['coverage']:.1%} | {told} |")
        return "\n".join(lines)

    def save(self, folder: Path) -> Path:
        """Write the numbers as JSON; what is not known is null."""
        path = folder / "rig.json"
        rows = {
            str(count): {k: None if np.isnan(v) else v for k, v in row.numbers.items()}
            for count, row in self.rows.items()
        }
        path.write_text(json.dumps({"cameras": self.cameras, "views": rows}, indent=1) + "\n")
        return path


def evaluate_rig(
    root: Path,
    splits: Sequence[str],
    views: Sequence[str],
    *,
    weights_dir: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> RigEvaluation:
    """Measure the rig on captures in InterHand2.6M's format: the release, or synthetic ones.

    The first n of the named cameras make the rig of n views. ``on_progress`` hears (done, of) after
    every time step.

    Raises:
        ValueError: fewer than two cameras are named, or none of them has pictures.
    """
    if len(set(views)) < 2:
        raise InputError(
            f"expected the names of two or more cameras, as --views 400008,400030; got "
            f"{', '.join(views) or 'none'}"
        )
    datasets = {split: InterHand26M(root, split, Selection.official()) for split in splits}
    work = [(d, instant) for d in datasets.values() for instant in instants(d, views)]
    counts = [n for n in VIEW_COUNTS if n <= len(views)]
    rows = {n: Row() for n in (1, *counts)}
    run: _Run | None = None
    for done, (dataset, instant) in enumerate(work, start=1):
        if run is None or run.sequence != instant.sequence:
            run = _Run(instant, counts, weights_dir)
        run.see(dataset, instant, rows)
        on_progress(done, len(work))
    return RigEvaluation(tuple(views), rows)


class _Run:
    """The trackers of one recording."""

    def __init__(self, first: Instant, counts: Sequence[int], weights_dir: Path | None) -> None:
        self.sequence = first.sequence
        self._alone = RigTracker(first.rig, max_hands=2, weights_dir=weights_dir)
        rigs = {n: first.rig.select(first.rig.names[:n]) for n in counts}
        self._of = {
            n: RigTracker(rig, max_hands=2, smooth=None, weights_dir=weights_dir)
            for n, rig in rigs.items()
        }

    def see(self, dataset: InterHand26M, instant: Instant, rows: dict[int, Row]) -> None:
        """Track one time step and judge what comes out."""
        frames: list[Frame | None] = []
        for row, rig_camera in zip(instant.rows, instant.rig.cameras, strict=True):
            if row is None:
                frames.append(None)
                continue
            image = dataset.image(row)
            frames.append(Frame(image, instant.time_s, 0, rig_camera.camera))
        looks = self._alone.look(frames)
        truths = truths_of(dataset, instant)
        for number, (seen, rig_camera) in enumerate(zip(looks, instant.rig.cameras, strict=True)):
            if instant.rows[number] is None:
                continue
            to_world = rig_camera.T_camera_from_world.inverse()
            said = [(hand.side, to_world(hand.raw.joints_mm)) for hand in seen]
            for truth in truths:
                hidden = None if truth.seen is None else ~truth.seen[number]
                rows[1].add(_answer(said, truth), truth, hidden)
        for count, tracker in self._of.items():
            hands = tracker(frames[:count])
            said = [(hand.side, hand.joints_mm) for hand in hands]
            for truth in truths:
                hidden = None if truth.seen is None else truth.seen[:count].sum(axis=0) <= 1
                rows[count].add(_answer(said, truth), truth, hidden)


def _answer(said: Sequence[tuple[Side, np.ndarray]], truth: Truth) -> np.ndarray | None:
    """The nearest hand of the right side; None if there is none."""
    of_side = [joints for side, joints in said if side == truth.side]
    true = truth.joints_mm[Joint.WRIST]
    return min(of_side, key=lambda j: float(np.linalg.norm(j[Joint.WRIST] - true)), default=None)


def instants(dataset: InterHand26M, views: Sequence[str]) -> Iterator[Instant]:
    """The time steps that at least two of the cameras see, sequence by sequence.

    Raises:
        ValueError: one of the cameras has no picture in this split.
    """
    columns, kept = dataset.index, dataset.rows
    names = [columns.cameras[int(columns["camera"][row])] for row in kept]
    missing = sorted(set(views) - set(names))
    if missing:
        raise InputError(
            f"{dataset.split} has no pictures of camera {', '.join(missing)}: its cameras are "
            f"{', '.join(sorted(set(names))[:12])}"
        )
    steps: dict[tuple[str, int], dict[str, int]] = {}
    of_sequences: dict[str, dict[str, int]] = {}
    for index, (row, name) in enumerate(zip(kept, names, strict=True)):
        if name in views:
            sequence = f"{columns['capture'][row]}/{columns.sequences[columns['sequence'][row]]}"
            steps.setdefault((sequence, int(columns["frame"][row])), {})[name] = index
            of_sequences.setdefault(sequence, {})[name] = index
    rigs = {sequence: _rig_of(dataset, views, seen) for sequence, seen in of_sequences.items()}
    for (sequence, frame), seen in sorted(steps.items()):
        if len(seen) > 1 and (rig := rigs[sequence]) is not None:
            rows = tuple(seen.get(name) for name in views)
            yield Instant(f"{dataset.split}/{sequence}", frame / _SENSOR_FPS, rows, rig)


def _rig_of(dataset: InterHand26M, views: Sequence[str], seen: dict[str, int]) -> Rig | None:
    """The cameras of a sequence, by a picture of each; None if one of them never saw it."""
    if set(seen) < set(views):
        return None
    cameras = []
    for name in views:
        record: Record = dataset.record(seen[name])
        assert record.camera is not None
        cameras.append(RigCamera(name, record.camera, dataset.pose(seen[name])))
    return Rig(tuple(cameras))


def truths_of(dataset: InterHand26M, instant: Instant) -> list[Truth]:
    """The hands of a time step in the world; those whose wrist is not known are left out."""
    found: dict[Side, Truth] = {}
    for number, (row, rig_camera) in enumerate(zip(instant.rows, instant.rig.cameras, strict=True)):
        if row is None:
            continue
        for label in dataset.record(row).hands:
            if label.joints_mm is None:
                continue
            seen = None if label.visible is None else np.zeros((len(instant.rows), N_JOINTS), bool)
            nothing = np.zeros((N_JOINTS, 3)), np.zeros(N_JOINTS, bool)
            truth = found.setdefault(label.side, Truth(label.side, *nothing, seen))
            # A joint outside of this picture has no place in its label.
            new = label.valid & ~truth.valid
            truth.joints_mm[new] = rig_camera.T_camera_from_world.inverse()(label.joints_mm[new])
            truth.valid[new] = True
            if truth.seen is not None and label.visible is not None:
                truth.seen[number] = label.visible
    return [truth for truth in found.values() if truth.valid[Joint.WRIST]]
