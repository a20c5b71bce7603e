"""What is written about every hand, whatever the format: the one table of fields.

``HAND`` and ``FRAME`` are NumPy record types. The npz and parquet writers store them as they are,
the text formats write the same fields under the same names, and every reader gives a
``Recording`` back. ``docs/formats.md`` explains each field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.address import without_secrets
from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.hand import ARTICULATIONS, JOINT_NAMES, N_BONES, N_JOINTS, SIDES, check_side
from knuckle.output.errors import OutputError
from knuckle.output.tidy import to_arrow, to_pandas
from knuckle.release import VERSION
from knuckle.results import LATEST_S, Frame, HandPose, TrackedHand
from knuckle.up import AXES, OF_CAMERA

#: Raised when a field changes its meaning or goes away; readers refuse what is newer.
FORMAT = 1

#: One processed frame, with hands or without.
FRAME = np.dtype([("frame", "<i8"), ("time_s", "<f8"), ("n_hands", "<i4")])

#: One hand in one frame. ``track_id`` is -1 where nobody tracked.
HAND = np.dtype(
    [
        ("frame", "<i8"),
        ("time_s", "<f8"),
        ("track_id", "<i4"),
        ("side", "<U5"),
        ("side_score", "<f4"),
        ("score", "<f4"),
        ("box_xyxy", "<f4", (4,)),
        ("joints_px", "<f4", (N_JOINTS, 2)),
        ("joints_mm", "<f4", (N_JOINTS, 3)),
        ("joint_score", "<f4", (N_JOINTS,)),
        ("visible", "?", (N_JOINTS,)),
        ("joint_sigma_mm", "<f4", (N_JOINTS,)),
        ("bone_lengths_mm", "<f4", (N_BONES,)),
        ("joint_angles_deg", "<f4", (len(ARTICULATIONS), 2)),
    ]
)

#: Fields that carry the name of the ``HandPose`` attribute they come from.
_SAME_NAME = (
    *("side", "side_score", "score", "box_xyxy", "joints_px", "joints_mm", "joint_score"),
    *("visible", "joint_sigma_mm", "bone_lengths_mm"),
)

#: What the endings of the names mean.
UNITS = {
    "_px": "pixels of the upright picture; (0, 0) is the centre of the top-left one",
    "_mm": "millimetres in the camera frame: x right, y down, z forward",
    "_s": "seconds, from the container",
    "_deg": "degrees; flexion towards the palm and spread towards the thumb are positive",
    "score": "0 to 1",
}


def frame_record(frame: Frame, hands: Sequence[HandPose]) -> np.ndarray:
    """() ``FRAME``."""
    return np.array((frame.index, frame.time_s, len(hands)), dtype=FRAME)


def hand_records(frame: Frame, hands: Sequence[HandPose]) -> np.ndarray:
    """(N,) ``HAND``, in the order of ``hands``."""
    records = np.zeros(len(hands), dtype=HAND)
    for record, hand in zip(records, hands, strict=True):
        record["frame"], record["time_s"] = frame.index, frame.time_s
        record["track_id"] = hand.track_id if isinstance(hand, TrackedHand) else -1
        record["joint_angles_deg"] = hand.joint_angles
        for name in _SAME_NAME:
            record[name] = getattr(hand, name)
    return records


@dataclass(frozen=True)
class RunInfo:
    """What holds for a whole run, written once in every file.

    Attributes:
        source: the video, as the user named it; for a URL, without its secrets.
        size: (width, height) px of the upright image.
        camera: the camera of ``joints_mm``; ``camera.assumed`` if its field of view was guessed.
        fps: nominal frame rate, if there is one.
        weights: version of each network, by kind.
        knuckle: version of the package.
        joints: names, in the order of the joint axis.
        units: meaning of the suffixes of field names.
        space: frame of ``joints_mm``: "camera", or "world" if several cameras were used.
        up: axis of that frame that points up, such as "-y" or "z".
        format: see ``FORMAT``.
    """

    source: str
    size: tuple[int, int]
    camera: Camera
    fps: float | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    knuckle: str = ""
    joints: tuple[str, ...] = JOINT_NAMES
    units: Mapping[str, str] = field(default_factory=lambda: dict(UNITS))
    space: str = "camera"
    up: str = OF_CAMERA
    format: int = FORMAT

    @classmethod
    def of(
        cls,
        source: str,
        size: tuple[int, int],
        *,
        camera: Camera | None = None,
        fps: float | None = None,
        weights: Mapping[str, str] | None = None,
    ) -> RunInfo:
        """The head of a run of this package; without a camera, the one that is assumed."""
        return cls(
            source=without_secrets(source),
            size=size,
            camera=camera or Camera.assume(*size),
            fps=fps,
            weights=dict(weights or {}),
            knuckle=VERSION,
        )

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str, source: str | Path) -> RunInfo:
        """Read back what ``to_json`` wrote.

        Raises:
            OutputError: ``source`` was not written by Knuckle, or by a newer one.
        """
        try:
            values = json.loads(text)
            if values["format"] > FORMAT:
                raise OutputError(
                    f"{source} has format {values['format']} of Knuckle {values.get('knuckle')}, "
                    f"this one ({VERSION}) reads up to {FORMAT}: install a newer one"
                )
            camera = _known(Camera, values["camera"])
            camera["distortion"] = tuple(camera["distortion"])
            values["camera"] = Camera(**camera)
            values["source"] = without_secrets(values["source"])  # older results kept them
            values["size"], values["joints"] = tuple(values["size"]), tuple(values["joints"])
            info = cls(**_known(cls, values))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise OutputError(
                f"{source} was not written by Knuckle: expected its description, found {text!r:.60}"
            ) from None
        for wrong in info._wrong():
            raise OutputError(f"{source} was not written by Knuckle, or was changed: {wrong}")
        return info

    def _wrong(self) -> Iterator[str]:
        """What is not such as ``of`` gives it."""
        if self.joints != JOINT_NAMES:
            yield f"expected the joints {', '.join(JOINT_NAMES)} in this order"
        if len(self.size) != 2 or not all(isinstance(n, int) and n > 0 for n in self.size):
            yield f"expected the width and height of its pictures, found {self.size}"
        if self.fps is not None and not (isinstance(self.fps, int | float) and self.fps > 0):
            yield f"expected frames a second, found {self.fps!r:.40}"
        if self.space not in ("camera", "world"):
            yield f"expected the space camera or world, found {self.space!r:.40}"
        if self.up not in AXES:
            axes = ", ".join(AXES)
            yield f"expected one of the axes {axes} that points up, found {self.up!r:.40}"


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows of: a newer one says more, and the same of that (see ``FORMAT``)."""
    return {item.name: values[item.name] for item in fields(kind) if item.name in values}


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """The contents of a result file, as arrays.

    Attributes:
        info: what holds for the whole run.
        frames: (F,) ``FRAME``, every frame that was processed.
        hands: (N,) ``HAND``, in the order of the frames.
    """

    info: RunInfo
    frames: np.ndarray
    hands: np.ndarray

    def __post_init__(self) -> None:
        if self.frames.dtype != FRAME or self.hands.dtype != HAND:
            raise InputError(f"expected FRAME and HAND records, got {self.frames.dtype} and others")

    def __repr__(self) -> str:
        return (
            f"<recording of {self.info.source}: frames {len(self.frames)}, hands in them "
            f"{len(self.hands)}, tracks {len(self.track_ids)}>"
        )

    def faults(self) -> Iterator[str]:
        """What no sink has written: whoever goes through the frames relies on their order."""
        numbers, times_s = self.frames["frame"], self.frames["time_s"]
        if not np.array_equal(np.repeat(numbers, self.frames["n_hands"]), self.hands["frame"]):
            yield "its hands are not those of its frames"
        if (np.diff(numbers) <= 0).any():
            yield "the numbers of its frames do not grow"
        if not (np.abs(times_s) <= LATEST_S).all():
            yield "times of its frames are no seconds of a video"
        if not np.isin(self.hands["side"], SIDES).all():
            yield f"some of its hands are neither {' nor '.join(SIDES)}"

    @property
    def track_ids(self) -> np.ndarray:
        """(T,) the ids of all tracks, smallest first."""
        return np.unique(self.hands["track_id"])

    def track(self, track_id: int) -> np.ndarray:
        """(n,) ``HAND`` of one track, in the order of time.

        Raises:
            ValueError: there is no such track.
        """
        there = self.track_ids.tolist()
        if track_id not in there:
            known = f"its track_ids are {', '.join(map(str, there))}" if there else "it has no hand"
            raise InputError(f"{self!r} has no track {track_id!r}: {known}")
        return self.hands[self.hands["track_id"] == track_id]

    @cached_property
    def _frame_of_hands(self) -> np.ndarray:
        """(N,) without gaps: each search would copy the column of the records."""
        return np.ascontiguousarray(self.hands["frame"])

    def hands_in(self, frame: int) -> np.ndarray:
        """(n,) ``HAND`` of one frame, by its index."""
        first, last = np.searchsorted(self._frame_of_hands, [frame, frame + 1])
        return self.hands[first:last]

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with a row for each joint of each hand; see ``tidy``."""
        return to_pandas(self)

    def to_arrow(self) -> Any:
        """The same as a ``pyarrow.Table``, which polars and DuckDB take as it is."""
        return to_arrow(self)


def pose_from(record: np.ndarray, camera: Camera) -> HandPose:
    """A ``HAND`` record as a pose again (without mask and speed)."""
    return HandPose(
        side=check_side(str(record["side"])),
        side_score=float(record["side_score"]),
        score=float(record["score"]),
        joints_px=record["joints_px"].astype(np.float64),
        joints_mm=record["joints_mm"].astype(np.float64),
        joint_score=record["joint_score"].astype(np.float64),
        visible=record["visible"],
        joint_sigma_mm=record["joint_sigma_mm"].astype(np.float64),
        camera=camera,
    )


def hands_of(recording: Recording, frame: int) -> list[HandPose]:
    """The hands of a frame as poses again."""
    poses: list[HandPose] = []
    for record in recording.hands_in(frame):
        pose = pose_from(record, recording.info.camera)
        if record["track_id"] >= 0:
            pose = TrackedHand.of(
                pose,
                track_id=int(record["track_id"]),
                age_s=0.0,
                raw=pose,
                velocity_mm_s=np.zeros(3),
            )
        poses.append(pose)
    return poses
