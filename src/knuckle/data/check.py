"""``knuckle data check DIR``: every fault of a data set in one pass, and no more than faults.

A reader stops at the first fault; this goes on. Label files are read record by record, then every
picture that a label names is read. Each fault is one sentence with the file and the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knuckle.data.datasets import DATASETS, recognise
from knuckle.data.interhand26m import BONE_RANGE_MM, InterHand26M, impossible_steps, is_black
from knuckle.data.interhand_files import LabelFiles
from knuckle.data.interhand_index import InterHandIndex, build_index
from knuckle.data.interhand_release import Release, find_release
from knuckle.data.json_stream import BrokenDataError, BrokenRecordsError, MissingDataError
from knuckle.data.labelled import LabelledSet, OnProgress, read_rgb
from knuckle.hand import bone_lengths, in_picture
from knuckle.sample import HandLabel, Sample

#: 3D that projects further than this from the labelled 2D does not belong to it, px.
_REPROJECTION_PX = 5.0


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong."""

    kind: str  # a few words, the same for all faults of this kind
    where: str  # the file, and the record in it
    what: str  # the sentence

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class CheckReport:
    """What ``check`` found."""

    name: str  # of the data set
    pictures: int  # how many pictures were read
    faults: tuple[Fault, ...]  # all of them, label files first

    def __str__(self) -> str:
        if not self.faults:
            return f"{self.name}: {self.pictures:,} pictures, no fault"
        kinds = Counter(fault.kind for fault in self.faults)
        lines = [f"{self.name}: {self.pictures:,} pictures, {len(self.faults):,} faults"]
        lines += [f"  {count:,} × {kind}" for kind, count in kinds.most_common()]
        return "\n".join(lines)


def check(root: Path, *, on_progress: OnProgress = lambda done, of: None) -> CheckReport:
    """Find every fault of a data set.

    Args:
        root: its folder.
        on_progress: called with (done, of).

    Raises:
        BrokenDataError: the folder is none of the data sets that Knuckle knows.
    """
    name = recognise(root)
    reader = DATASETS[name]
    if reader is InterHand26M:
        return _check_interhand(root, on_progress)
    faults: list[Fault] = []
    pictures = 0
    for split in ("all",) if "all" in reader.splits else reader.splits:
        try:
            dataset = reader(root, split)
        except MissingDataError:
            continue  # not every split need be there
        except BrokenRecordsError as error:
            path = str(error.path)
            faults += [Fault("broken record", path, sentence) for sentence in error.sentences]
            continue
        except BrokenDataError as error:
            faults.append(Fault("broken label file", str(root), str(error)))
            continue
        for index in range(len(dataset)):
            faults += _check_record(dataset, index)
            on_progress(index + 1, len(dataset))
        pictures += len(dataset)
    return CheckReport(name, pictures, tuple(faults))


def _check_record(dataset: LabelledSet, index: int) -> Iterator[Fault]:
    """What is wrong with one picture and its labels."""
    record = dataset.record(index)
    try:
        sample = dataset[index]
    except ValueError as error:
        yield Fault("picture missing or undecodable", record.key, str(error))
        return
    if is_black(sample.image):
        yield Fault("black picture", str(record.path), "all its pixels are black")
    for hand in sample.hands:
        if hand.valid.any():
            yield from _check_hand(sample, hand)


def _check_hand(sample: Sample, hand: HandLabel) -> Iterator[Fault]:
    """What is wrong with the labels of one hand."""
    where = f"{sample.key}, {hand.side} hand"
    height, width = sample.image.shape[:2]
    points = hand.joints_px[hand.valid]
    inside = in_picture(points, (width, height))
    if not inside.any():
        yield Fault(
            "hand outside its picture",
            where,
            f"none of its {len(points)} joints is inside the {width} x {height} picture",
        )
    if hand.joints_mm is None:
        return
    if sample.camera is not None:
        projected = sample.camera.project(hand.joints_mm[hand.valid])
        off = float(np.nan_to_num(np.abs(projected - points), nan=np.inf).max())
        if off > _REPROJECTION_PX:
            yield Fault("3D does not project onto 2D", where, f"a joint projects {off:.0f} px away")
    lengths = bone_lengths(hand.joints_mm)
    low, high = BONE_RANGE_MM
    if hand.valid.all() and (lengths.min() < low or lengths.max() > high):
        yield Fault(
            "impossible bone",
            where,
            f"its bones are {lengths.min():.0f} to {lengths.max():.0f} mm long",
        )


# --------------------------------------------------------------------------------------------
# InterHand2.6M
# --------------------------------------------------------------------------------------------
def _check_interhand(root: Path, on_progress: OnProgress) -> CheckReport:
    """All splits that are there, and pictures that stand in several of them."""
    faults: list[Fault] = []
    pictures = 0
    split_of: dict[str, str] = {}
    for split, release in _releases(root).items():
        try:
            index = build_index(release.files, _sink(faults, release.files))
        except BrokenDataError as error:
            faults.append(Fault("broken label file", str(release.files.data.parent), str(error)))
            continue
        faults += _check_index(index, release.files)
        for row in range(len(index)):
            name = index.file_name(row)
            other = split_of.setdefault(name, split)
            if other != split:
                what = f"stands in {other} and in {split}"
                faults.append(Fault("picture in two splits", name, what))
            faults += _check_picture(release.images / name, index, row)
            on_progress(row + 1, len(index))
        pictures += len(index)
    return CheckReport(InterHand26M.name, pictures, tuple(faults))


def _releases(root: Path) -> dict[str, Release]:
    """The splits that are there."""
    found: dict[str, Release] = {}
    for split in InterHand26M.splits:
        with suppress(MissingDataError):
            found[split] = find_release(root, split)
    return found


def _sink(faults: list[Fault], files: LabelFiles) -> Callable[[str], None]:
    """Notes what ``build_index`` complains of, apart by file."""

    def note(sentence: str) -> None:
        paths = (str(path) for path in (files.data, files.camera, files.joint_3d))
        path = next((path for path in paths if sentence.startswith(path)), "")
        faults.append(Fault("broken record", path, sentence.removeprefix(path).lstrip(" ,:")))

    return note


def _check_index(index: InterHandIndex, files: LabelFiles) -> Iterator[Fault]:
    """What the labels alone show."""
    wrong_steps = np.flatnonzero(impossible_steps(index))
    for step in wrong_steps:
        capture, frame = index["step_capture"][step], index["step_frame"][step]
        yield Fault(
            "impossible bones in 3D",
            f"{files.joint_3d}, capture {capture}, frame {frame}",
            "a bone has a length that no hand has",
        )
    for column, kind, path, what in (
        ("camera", "camera missing", files.camera, "its camera is not in this file"),
        ("step", "3D missing", files.joint_3d, "its time step is not in this file"),
    ):
        for row in np.flatnonzero(index[column] < 0):
            yield Fault(kind, f"{path}, for {index.file_name(int(row))}", what)
    identities, counts = np.unique(index["annotation"], return_counts=True)
    for identity in identities[counts > 1]:
        yield Fault("annotation twice", f"{files.data}, annotation {identity}", "comes twice")
    labelled = np.asarray(index["joint_valid"].any(axis=1))
    usable = labelled & (index["camera"] >= 0) & (index["step"] >= 0)
    outside = usable & (index["n_inside"] == 0) & ~np.isin(index["step"], wrong_steps)
    for rows, kind, what in (
        (~labelled, "no valid joint", "no joint is labelled"),
        (outside, "hand outside its picture", "no labelled joint projects into the picture"),
    ):
        for row in np.flatnonzero(rows):
            yield Fault(kind, f"{files.data}, annotation {index['annotation'][row]}", what)


def _check_picture(path: Path, index: InterHandIndex, row: int) -> Iterator[Fault]:
    try:
        image = read_rgb(path)
    except BrokenDataError as error:
        what = str(error).removeprefix(str(path)).split(";")[0].strip()
        yield Fault("picture missing or undecodable", str(path), what)
        return
    height, width = int(index["height"][row]), int(index["width"][row])
    if image.shape[:2] != (height, width):
        found = f"{image.shape[1]} x {image.shape[0]}"
        what = f"is {found}, its label says {width} x {height}"
        yield Fault("picture of another size", str(path), what)
    if is_black(image):
        yield Fault("black picture", str(path), "all its pixels are black")
