"""What every data set of labelled pictures offers, and the report of what it left out.

A reader turns one format into ``Record``s; units, joint order and file layout end there. Pictures
are read only when asked for, so that labels alone (for scoring, splitting, counting) stay cheap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path, PureWindowsPath
from typing import Any, ClassVar, final

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.data.json_stream import BrokenDataError
from knuckle.errors import InputError
from knuckle.limits import check_picture
from knuckle.quiet import quiet_decoders
from knuckle.rows import Rows
from knuckle.sample import HandLabel, Sample

#: Called with (done, of).
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """The labels of one picture, without its pixels."""

    key: str  # unique within its data set, fit for a file name
    path: Path  # the picture
    #: The hands that are there; one of which no joint is known has ``valid`` all False.
    hands: tuple[HandLabel, ...]
    camera: Camera | None = None  # intrinsics, or None where unknown
    #: (4,) px, the data set's own box around all hands, where no joint says where they are.
    box_xyxy: np.ndarray | None = None
    sides_known: bool = True  # False where the data set does not vouch for which hands are there
    complete: bool = True  # see ``Sample.complete``
    #: See ``Sample.ignore_xyxy``.
    ignore_xyxy: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    group: str = ""  # see ``Sample.group``
    #: (name, frame number) where the pictures of a name follow each other in time.
    video: tuple[str, int] | None = None


@dataclass(frozen=True, eq=False)
class Groups(Rows):
    """Where each record comes from: what a split must keep together. -1 stands for unknown."""

    subject: np.ndarray  # (N,) int, the person
    capture: np.ndarray  # (N,) int, the recording session
    sequence: np.ndarray  # (N,) int, the sequence within the data set (unique across captures)
    step: np.ndarray  # (N,) int, the moment: the same for all views of one time step

    @classmethod
    def of(cls, count: int, **known: np.ndarray) -> Groups:
        """Those of ``count`` records of which some levels are known, none or a few."""
        unknown = np.full(count, -1)
        return cls(**{each.name: known.get(each.name, unknown) for each in fields(cls)})

    def __len__(self) -> int:
        return len(self.subject)


@dataclass
class DropReport:
    """What a reader left out, and why: reason -> how many, with a few names each."""

    total: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def drop(self, reason: str, count: int, examples: Sequence[str] = ()) -> None:
        """Count records left out for a reason."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count
            known = self.examples.setdefault(reason, [])
            known.extend(list(examples)[: 3 - len(known)])

    def __str__(self) -> str:
        lines = [f"{self.kept:,} of {self.total:,} records kept"]
        for reason, count in sorted(self.dropped.items(), key=lambda item: -item[1]):
            names = ", ".join(self.examples[reason])
            lines.append(
                f"  {count:,} left out: {reason}" + (f" (such as {names})" if names else "")
            )
        return "\n".join(lines)


class LabelledSet(ABC):
    """A data set of labelled pictures.

    Attributes:
        name: the key in ``DATASETS``.
        splits: the parts that the data set's makers made.
        license: of weights that learn from it, if it does not leave them to be Knuckle's own.
        split: the part that was opened.
        division: how the data set was divided into parts, for people to read.
        report: what was left out.
    """

    name: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]
    license: str = ""
    split: str
    division: str = "official"
    report: DropReport

    @abstractmethod
    def __init__(self, root: Path, split: str) -> None: ...

    @classmethod
    @abstractmethod
    def is_at(cls, root: Path) -> bool:
        """Whether ``root`` holds this data set, judged by the names of its files."""

    @classmethod
    def license_at(cls, root: Path) -> str:
        """``license`` of what lies in a folder, without opening it."""
        del root
        return cls.license

    @abstractmethod
    def __len__(self) -> int:
        """Number of pictures."""

    @abstractmethod
    def record(self, index: int) -> Record:
        """The labels of one picture, without reading it."""

    @abstractmethod
    def groups(self) -> Groups:
        """Where each record comes from, for splitting."""

    def hand_map(self, index: int) -> np.ndarray | None:
        """(H, W) uint8 as in ``Sample.hand_map``, or None where the set has no masks."""
        del index
        return None

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, as it lies on disk."""
        return read_rgb(self.record(index).path)

    @final
    def __getitem__(self, index: int) -> Sample:
        """One picture with its labels."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} records, asked for number {index}")
        record = self.record(index)
        sample = Sample(
            image=self.image(index),
            hands=record.hands,
            camera=record.camera,
            hand_map=self.hand_map(index),
            ignore_xyxy=record.ignore_xyxy,
            complete=record.complete,
            key=record.key,
            group=record.group,
            license=self.license,
        )
        return self.completed(index, sample)

    def completed(self, index: int, sample: Sample) -> Sample:
        """The sample with what can be worked out from its labels; most sets leave it as it is."""
        del index
        return sample

    def flaw(self, sample: Sample) -> str | None:
        """Why a picture should be left out that only reading it reveals, or None."""
        del sample
        return None

    def __iter__(self) -> Iterator[Sample]:
        """All pictures in order, without those that turn out to be flawed (see ``report``)."""
        for index in range(len(self)):
            sample = self[index]
            flaw = self.flaw(sample)
            if flaw is None:
                yield sample
            else:
                self.report.drop(flaw, 1, [sample.key])
                self.report.kept -= 1


class DerivedSet(LabelledSet):
    """Records of other data sets, each as it is there."""

    splits = ()

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Never: it is made from others, not read."""
        del root
        return False

    @abstractmethod
    def origin(self, index: int) -> tuple[LabelledSet, int]:
        """The data set that a record is of, and its number there."""

    def record(self, index: int) -> Record:
        """The labels of one picture."""
        dataset, row = self.origin(index)
        return dataset.record(row)

    def image(self, index: int) -> np.ndarray:
        """The picture."""
        dataset, row = self.origin(index)
        return dataset.image(row)

    def hand_map(self, index: int) -> np.ndarray | None:
        """The masks of one picture."""
        dataset, row = self.origin(index)
        return dataset.hand_map(row)


def check_split(whose: str, split: str, splits: Iterable[str]) -> None:
    """Refuse a split that a data set does not have."""
    if split not in splits:
        raise InputError(f"{whose} has the splits {', '.join(splits)}, asked for {split!r}")


def read_rgb(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB.

    The pixels are taken as they are stored: an orientation in the file's EXIF would turn the
    picture away from its labels.

    Raises:
        BrokenDataError: there is no file, or it is not an image.
    """
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.cvtColor(_decoded(path, flags), cv2.COLOR_BGR2RGB)


def read_grey(path: Path) -> np.ndarray:
    """(H, W) uint8 of a mask, as its pixels are stored.

    Raises:
        BrokenDataError: there is no file, or it is not an image.
    """
    return _decoded(path, cv2.IMREAD_GRAYSCALE)


def _decoded(path: Path, flags: int) -> np.ndarray:
    if not path.is_file():
        raise _broken_picture(path, "does not exist")
    content = path.read_bytes()
    # A decoder fills what a broken-off JPEG lacks with grey and says nothing.
    if content[:2] == _JPEG_START and _JPEG_END not in content[-_JPEG_TRAILER:]:
        raise _broken_picture(path, "is not an image that can be decoded: it breaks off")
    check_picture(content, path)
    with quiet_decoders():
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if image is None:
        raise _broken_picture(path, "is not an image that can be decoded")
    return image


def inside(folder: Path, name: object) -> Path:
    """The file of a folder that a label names.

    Labels may come from anywhere: a name must not lead out of the folder of its data set.

    Raises:
        BrokenDataError: it is no name, an absolute one, or climbs out of the folder.
    """
    parts = PureWindowsPath(name) if isinstance(name, str) and "\0" not in name else None
    if parts is None or not parts.parts:
        raise BrokenDataError(f"expected the name of a file, found {name!r:.60}")
    if parts.anchor or str(name).startswith("/") or ".." in parts.parts:
        raise BrokenDataError(
            f"the name {name!r:.200} leads outside of {folder}: expected a file in that folder; "
            "mend the label or leave the record out"
        )
    return folder / str(name)


def is_finite(values: Any, shape: tuple[int, ...]) -> bool:
    """Whether a label is an array of finite numbers of a shape."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):  # ragged, or no numbers
        return False
    return array.shape == shape and bool(np.isfinite(array).all())


def described(values: Any) -> str:
    """What a label holds that should be an array of finite numbers, in a few words."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return "something else"
    lost = int((~np.isfinite(array)).sum())
    return f"shape {array.shape}" + (f" with {lost} that are not finite" if lost else "")


_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
#: Some cameras write a few bytes after the end of the picture.
_JPEG_TRAILER = 4096


def _broken_picture(path: Path, problem: str) -> BrokenDataError:
    return BrokenDataError(
        f"{path} {problem}; unpack the data set again, or see `knuckle data check`"
    )
