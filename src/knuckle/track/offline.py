"""A whole track smoothed at once, when all of it has been seen (``two_sided``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from knuckle.hand import N_JOINTS, Joint
from knuckle.results import HandPose, TrackedHand
from knuckle.track.skeleton import robust_lengths
from knuckle.track.two_sided import Evidence, OfflineSettings, solve

#: Frames that are solved together, and how many before and after them are solved with them.
_CHUNK, _OVERLAP = 600, 90


class OfflineTrack:
    """One hand from the first frame that shows it to the last, every frame steadied by all.

    Example:
        >>> track = OfflineTrack(0, [hand.raw for hand in hands], time_s)
        >>> steady = [track[i] for i in range(len(track))]

    Attributes:
        joints_mm: (F, 21, 3) camera frame; NaN in gaps that are too long to be filled.
        lengths_mm: (20,) of the bones, in every frame.
    """

    def __init__(
        self,
        track_id: int,
        looks: Sequence[HandPose | None],
        time_s: np.ndarray,
        settings: OfflineSettings | None = None,
    ) -> None:
        """Smooth F raw estimates of a hand at increasing times (F,); None where it was missed.

        They are read one by one, so that a long track need not be held in memory.

        Raises:
            ValueError: there is no look at all, or the times do not fit.
        """
        time_s = np.asarray(time_s, dtype=np.float64)
        if len(time_s) != len(looks) or (np.diff(time_s) <= 0).any():
            raise ValueError(
                f"expected {len(looks)} increasing times, one for each look, got {len(time_s)}"
            )
        seen = [look.bone_lengths_mm if (look := looks[i]) else None for i in range(len(looks))]
        if not any(lengths is not None for lengths in seen):
            raise ValueError("a track needs at least one look at its hand, all are None")
        self.track_id, self._looks, self._time_s = track_id, looks, time_s
        self.lengths_mm = robust_lengths(np.stack([x for x in seen if x is not None]))
        self.joints_mm = np.full((len(looks), N_JOINTS, 3), np.nan)
        self._velocity_mm_s = np.zeros((len(looks), 3))
        settings = settings or OfflineSettings()
        frames = np.flatnonzero([lengths is not None for lengths in seen])
        for piece in _pieces(frames, time_s, settings.fill_s):
            self._smooth(piece, settings)

    def __len__(self) -> int:
        """Frames from the first look to the last."""
        return len(self._looks)

    def __getitem__(self, i: int) -> TrackedHand | None:
        """The hand in frame i; None in a long gap.

        In a short gap it is what the frames around say: its scores are 0, no joint is ``visible``,
        and ``raw`` is the same.
        """
        if not np.isfinite(self.joints_mm[i]).all():
            return None
        look = self._looks[i]
        pose = self._placed(i, self._filled(i) if look is None else look)
        return TrackedHand.of(
            pose,
            track_id=self.track_id,
            age_s=float(self._time_s[i] - self._time_s[0]),
            raw=pose if look is None else look,
            velocity_mm_s=self._velocity_mm_s[i],
        )

    def _placed(self, i: int, look: HandPose) -> HandPose:
        joints_mm = self.joints_mm[i]
        return replace(look, joints_mm=joints_mm, joints_px=look.camera.project(joints_mm))

    def _filled(self, i: int) -> HandPose:
        """A frame without a look, with the side and the camera of the look before."""
        before = next(look for k in range(i, -1, -1) if (look := self._looks[k]) is not None)
        return replace(
            before,
            score=0.0,
            joint_score=np.zeros(N_JOINTS),
            visible=np.zeros(N_JOINTS, bool),
            crop_mask=None,
        )

    def _smooth(self, piece: slice, settings: OfflineSettings) -> None:
        """Solve chunk by chunk; those in the middle of an overlap are far from both ends."""
        for start in range(piece.start, piece.stop, _CHUNK):
            inner = slice(start, min(start + _CHUNK, piece.stop))
            first = max(inner.start - _OVERLAP, piece.start)
            last = min(inner.stop + _OVERLAP, piece.stop)
            looks = [self._looks[i] for i in range(first, last)]
            evidence = Evidence.of(looks, self._time_s[first:last], self.lengths_mm)
            solved = solve(evidence, settings)
            self.joints_mm[inner] = solved[inner.start - first : inner.stop - first]
        if piece.stop - piece.start > 1:
            root_mm = self.joints_mm[piece, Joint.WRIST]
            self._velocity_mm_s[piece] = np.gradient(root_mm, self._time_s[piece], axis=0)


def _pieces(frames: np.ndarray, time_s: np.ndarray, fill_s: float) -> list[slice]:
    """Runs of the frames (S,) with a look that only short gaps divide."""
    frame_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0
    ends = np.flatnonzero(np.diff(time_s[frames]) > fill_s + frame_s)
    runs = np.split(frames, ends + 1)
    return [slice(int(run[0]), int(run[-1]) + 1) for run in runs]
