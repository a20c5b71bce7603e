"""Masks, visibility and geometry for hands of which only the joints are labelled.

The parametric hand is fitted to the 3D joints (``render.fitting``) and drawn (``render.layers``):
so a data set without masks, such as InterHand2.6M, has them. What is worked out so says that it is
(``Sample.derived``), and is left open where the fit cannot know: along outlines, and where a hand
has no fit to be believed.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.data.labelled import DerivedSet, Groups, LabelledSet, OnProgress
from knuckle.hand import N_JOINTS, Side
from knuckle.metrics import masked_mean
from knuckle.render.fitting import (
    MIN_JOINTS,
    FitSettings,
    HandFit,
    fit_hands,
    fit_hands_2d,
    rigid_between,
)
from knuckle.render.layers import HandLayers, draw_layers
from knuckle.rigid import RigidTransform
from knuckle.sample import UNKNOWN, HandLabel, Sample

#: Views of one moment whose labels differ by more than this (mm, on average) are not of one moment.
_SAME_MOMENT_MM = 1.0


@dataclass(frozen=True)
class DeriveSettings:
    """What to believe."""

    fit: FitSettings = field(default_factory=FitSettings)  # see ``FitSettings``
    #: A hand that misses its labels by more on average is not believed.
    worst_residual_mm: float = 10.0
    #: How far keypoints may be off from the model's even if their labels are perfect, as a share of
    #: the box around them.
    keypoint_share: float = 0.02
    #: ``within_mm``, ``beyond_mm``: along every outline the map is ``UNKNOWN``, so far within the
    #: hand and so far beyond it: joints do not tell how thick the flesh is, and the average
    #: person's fingers are thinner than many a man's.
    within_mm: float = 1.0
    beyond_mm: float = 3.0


def fit_labels(hands: Sequence[HandLabel], settings: DeriveSettings | None = None) -> HandFit:
    """Fit the 3D labels of hands; those without any come out as NaN.

    Args:
        hands: N labels.
        settings: what is likely.

    Returns:
        The fit of the N hands, in order.
    """
    settings = settings or DeriveSettings()
    joints = np.array([_joints(hand) for hand in hands]).reshape(-1, N_JOINTS, 3)
    valid = np.array([_known(hand) for hand in hands], bool).reshape(-1, N_JOINTS)
    return fit_hands(joints, valid, [hand.side for hand in hands], settings=settings.fit)


def believed(fit: HandFit, settings: DeriveSettings | None = None) -> np.ndarray:
    """(N,) bool: hands that were found and meet their labels."""
    settings = settings or DeriveSettings()
    off = masked_mean(fit.residual, np.isfinite(fit.residual))
    return fit.converged & (np.nan_to_num(off, nan=np.inf) <= settings.worst_residual_mm)


def derive_truth(
    sample: Sample, fit: HandFit | None = None, settings: DeriveSettings | None = None
) -> Sample:
    """Fill in the masks and the visibility that a sample lacks.

    What is labelled is kept. Visible means: not hidden by a labelled hand; held things and sleeves
    are not known.

    Args:
        sample: with a camera and 3D joints; without them it is returned as it is.
        fit: of its hands, in order; made here if not given.
        settings: what to believe.

    Returns:
        The sample with ``hand_map``, ``visible`` and ``derived``.
    """
    settings = settings or DeriveSettings()
    lacks_visible = any(hand.visible is None for hand in sample.hands)
    has_3d = any(hand.joints_mm is not None for hand in sample.hands)
    if sample.camera is None or not has_3d or not (lacks_visible or sample.hand_map is None):
        return sample
    fit = fit_labels(sample.hands, settings) if fit is None else fit
    sure = np.flatnonzero(believed(fit, settings))
    layers = draw_layers(fit.parameters.take(sure), sample.camera, sample.image.shape[:2])
    derived = []
    hands, hand_map = list(sample.hands), sample.hand_map
    for row, number in enumerate(sure):
        if hands[number].visible is None:
            hands[number] = replace(hands[number], visible=layers.visible[row])
            derived.append("visible")
    if hand_map is None:
        hand_map = _hand_map(sample, fit, layers, sure, settings)
        derived.append("hand_map")
    return replace(
        sample, hands=tuple(hands), hand_map=hand_map,
        derived=tuple(sorted({*sample.derived, *derived})),
    )  # fmt: skip


def lift_keypoints(sample: Sample, settings: DeriveSettings | None = None) -> Sample:
    """Fill in the 3D joints that a sample lacks: the likeliest hand that its keypoints show.

    Depth and scale are those of a hand of average size; see ``fit_hands_2d``. Joints without a
    keypoint stay without. ``derive_truth`` can go on from there.

    Args:
        sample: without a camera, one is assumed.
        settings: what to believe.

    Returns:
        The sample with ``joints_mm``, a camera and ``derived``.
    """
    settings = settings or DeriveSettings()
    height, width = sample.image.shape[:2]
    camera = sample.camera or Camera.assume(width, height)
    flat = [
        number for number, hand in enumerate(sample.hands)
        if hand.joints_mm is None and hand.valid.sum() >= MIN_JOINTS
    ]  # fmt: skip
    if not flat:
        return sample
    labels = [sample.hands[number] for number in flat]
    fit = fit_hands_2d(
        np.array([hand.joints_px for hand in labels]),
        camera,
        np.array([_keypoint_sigma_px(hand, settings) for hand in labels]),
        np.array([hand.valid for hand in labels]),
        [hand.side for hand in labels],
        settings=settings.fit,
    )
    hands = list(sample.hands)
    for row, number in enumerate(flat):
        if fit.converged[row]:
            known = hands[number].valid[:, None]
            joints_mm = np.where(known, fit.joints_mm[row], 0.0)
            hands[number] = replace(hands[number], joints_mm=joints_mm)
    return replace(
        sample, hands=tuple(hands), camera=camera,
        derived=tuple(sorted({*sample.derived, "joints_mm"})),
    )  # fmt: skip


def _keypoint_sigma_px(hand: HandLabel, settings: DeriveSettings) -> np.ndarray:
    """(21,) how far keypoints may be off: as labelled, and what the hand model lacks."""
    points = hand.joints_px[hand.valid]
    model = settings.keypoint_share * (points.max(axis=0) - points.min(axis=0)).max()
    label = np.zeros(N_JOINTS) if hand.sigma_px is None else hand.sigma_px
    return np.hypot(label, max(model, 0.5))


def _hand_map(
    sample: Sample, fit: HandFit, layers: HandLayers, sure: np.ndarray, settings: DeriveSettings
) -> np.ndarray:
    """(H, W) uint8 as in ``Sample.hand_map``, unknown where the fit cannot know."""
    assert sample.camera is not None
    number_of = np.concatenate([[0], sure + 1]).astype(np.uint8)
    hand_map = number_of[layers.hand_map]
    focal = np.sqrt(sample.camera.fx * sample.camera.fy)
    for number in sure:
        px_per_mm = focal / fit.joints_mm[number, :, 2].mean()
        mask = number_of[layers.hand_map] == number + 1
        edge = _edge(mask, settings.within_mm * px_per_mm, settings.beyond_mm * px_per_mm)
        hand_map[edge] = UNKNOWN
    for number, hand in enumerate(sample.hands):
        if number not in sure and hand.valid.any():
            hand_map[_around(hand, hand_map.shape)] = UNKNOWN
    if not sample.complete:  # somewhere there is an unlabelled hand
        hand_map[hand_map == 0] = UNKNOWN
    return hand_map


def _edge(mask: np.ndarray, within_px: float, beyond_px: float) -> np.ndarray:
    """(H, W) bool: near the outline of a mask (H, W), on either side of it."""
    if mask.all() or not mask.any():
        return np.zeros_like(mask)
    # To the centre of the next pixel across the outline, which lies half a pixel before it.
    within, beyond = (
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 0.5
        for side in (mask, ~mask)
    )
    return np.where(mask, within < within_px, beyond < beyond_px)


def _around(hand: HandLabel, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """A box in which a hand lies for sure: that of its labels, and half as much on each side."""
    points = hand.joints_px[hand.valid]
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.maximum(0.5 * (high - low).max(), 10.0)
    x0, y0 = np.clip(np.floor(low - margin), 0, shape[::-1]).astype(int)
    x1, y1 = np.clip(np.ceil(high + margin), 0, shape[::-1]).astype(int)
    return slice(y0, y1), slice(x0, x1)


def _joints(hand: HandLabel) -> np.ndarray:
    return np.zeros((N_JOINTS, 3)) if hand.joints_mm is None else hand.joints_mm


def _known(hand: HandLabel) -> np.ndarray:
    return hand.valid & (hand.joints_mm is not None)


# --- whole data sets -----------------------------------------------------------------------------


@dataclass
class _Moment:
    """A hand at a moment, as the view that knows most of its joints labels it."""

    side: Side
    joints_mm: np.ndarray
    known: np.ndarray


class FittedSet(DerivedSet):
    """A data set with the truth that follows from its 3D joints.

    All hands are fitted at once when it is opened. The views of one moment share one fit, which is
    moved from camera to camera by the labels: InterHand2.6M has 30 to 140 views of each.

    Args:
        whole: the data set.
        settings: what to believe.
        on_progress: called with (done, of) while labels are read.

    Attributes:
        fit: of every hand and moment.
    """

    name = "fitted"

    def __init__(
        self,
        whole: LabelledSet,
        settings: DeriveSettings | None = None,
        *,
        on_progress: OnProgress = lambda done, of: None,
    ) -> None:
        self.whole, self.settings = whole, settings or DeriveSettings()
        self.name = whole.name  # type: ignore[misc]  # shards are named after the data
        self.split, self.division, self.report = whole.split, whole.division, whole.report
        self.license = whole.license
        #: Moment of every hand of every picture (-1: too little is labelled), and the place of
        #: each picture's first one. Plain integers: there may be millions.
        self._rows, self._first = array("i"), array("q")
        self._moments: list[_Moment] = []
        self._gather(on_progress)
        self.fit = fit_hands(
            np.array([m.joints_mm for m in self._moments]).reshape(-1, N_JOINTS, 3),
            np.array([m.known for m in self._moments], bool).reshape(-1, N_JOINTS),
            [m.side for m in self._moments],
            settings=self.settings.fit,
        )

    def __len__(self) -> int:
        return len(self.whole)

    def origin(self, index: int) -> tuple[LabelledSet, int]:
        """The data set, and the same number."""
        return self.whole, index

    def groups(self) -> Groups:
        """Those of the data set."""
        return self.whole.groups()

    def flaw(self, sample: Sample) -> str | None:
        """What the data set finds wrong with a picture."""
        return self.whole.flaw(sample)

    def completed(self, index: int, sample: Sample) -> Sample:
        """The sample with masks and visibility."""
        return derive_truth(sample, self.fit_of(index, sample.hands), self.settings)

    def fit_of(self, index: int, hands: Sequence[HandLabel]) -> HandFit:
        """The fit of the hands of one picture, in its camera.

        Args:
            index: number of the picture.
            hands: its labels.
        """
        fits = []
        for number, hand in enumerate(hands):
            row = self._rows[self._first[index] + number]
            T_here_from_fit = self._way(row, hand)
            if T_here_from_fit is None:
                fits.append(fit_labels([hand], self.settings))
            else:
                fits.append(self.fit.take(np.array([row])).moved(T_here_from_fit))
        return HandFit.joined(fits)

    def _gather(self, on_progress: OnProgress) -> None:
        """Look through all labels for the hands and moments that there are."""
        steps = self.whole.groups().step
        row_of: dict[tuple[int, Side], int] = {}
        for index in range(len(self.whole)):
            self._first.append(len(self._rows))
            for hand in self.whole.record(index).hands:
                known = _known(hand)
                if known.sum() < MIN_JOINTS:
                    self._rows.append(-1)
                    continue
                row = len(self._moments)
                if steps[index] >= 0:  # else every picture is a moment of its own
                    row = row_of.setdefault((int(steps[index]), hand.side), row)
                self._rows.append(row)
                moment = _Moment(hand.side, _joints(hand), known)
                if row == len(self._moments):
                    self._moments.append(moment)
                elif known.sum() > self._moments[row].known.sum():
                    self._moments[row] = moment
            on_progress(index + 1, len(self.whole))

    def _way(self, row: int, hand: HandLabel) -> RigidTransform | None:
        """From the camera of a moment's labels to that of a hand's; None if they differ."""
        if row < 0:
            return None
        moment = self._moments[row]
        both = moment.known & _known(hand)
        if both.sum() < MIN_JOINTS:
            return None
        T_here_from_fit = rigid_between(moment.joints_mm[both], _joints(hand)[both])
        off = np.linalg.norm(T_here_from_fit(moment.joints_mm[both]) - _joints(hand)[both], axis=1)
        return T_here_from_fit if off.mean() <= _SAME_MOMENT_MM else None
