"""All data sets that Knuckle reads. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from knuckle.address import at_home
from knuckle.data.coco_wholebody import CocoWholeBody
from knuckle.data.folder import Folder
from knuckle.data.freihand import FreiHand
from knuckle.data.interhand26m import InterHand26M, Selection
from knuckle.data.json_stream import BrokenDataError, MissingDataError, NothingLeftError
from knuckle.data.labelled import DerivedSet, DropReport, Groups, LabelledSet
from knuckle.data.real_hand_3d import RealHand3D
from knuckle.data.rhd import Rhd
from knuckle.data.splits import (
    PARTS,
    Split,
    described_leaks,
    leaks,
    split_by_groups,
    write_split,
)
from knuckle.errors import InputError
from knuckle.sample import Sample

DATASETS: dict[str, type[LabelledSet]] = {
    "interhand26m": InterHand26M,
    "freihand": FreiHand,
    "rhd": Rhd,
    "coco_wholebody": CocoWholeBody,
    "real_hand_3d": RealHand3D,
    "folder": Folder,
}


class Joined(DerivedSet):
    """Several parts of one data set as one."""

    name = "joined"

    def __init__(self, parts: Sequence[LabelledSet]) -> None:
        self.parts = list(parts)
        self.name = parts[0].name  # type: ignore[misc]  # numbers and shards are named after the data
        self.split = "+".join(part.split for part in parts)
        self.license = parts[0].license
        self._ends = np.cumsum([len(part) for part in parts])
        self.report = DropReport()
        for part in parts:
            self.report.total += part.report.total
            self.report.kept += part.report.kept
            for reason, count in part.report.dropped.items():
                self.report.drop(reason, count, part.report.examples[reason])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def origin(self, index: int) -> tuple[LabelledSet, int]:
        """The part that a record is of, and its number there."""
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self.parts[part], index - int(self._ends[part] - len(self.parts[part]))

    def flaw(self, sample: Sample) -> str | None:
        """What any part finds wrong with a picture."""
        return next((flaw for part in self.parts if (flaw := part.flaw(sample))), None)

    def groups(self) -> Groups:
        """The groups of all parts."""
        return Groups.joined([part.groups() for part in self.parts])


class Subset(DerivedSet):
    """Some records of a data set, such as one part of a split."""

    name = "subset"

    def __init__(
        self, whole: LabelledSet, rows: np.ndarray, split: str, division: str = "some records"
    ) -> None:
        self.whole, self.rows, self.split, self.division = whole, rows, split, division
        self.name = whole.name  # type: ignore[misc]  # numbers and shards are named after the data
        self.license = whole.license
        self.report = DropReport(total=len(whole), kept=len(rows))
        self.report.drop(f"in another part than {split}", len(whole) - len(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def origin(self, index: int) -> tuple[LabelledSet, int]:
        """The whole, and the number of a record there."""
        return self.whole, int(self.rows[index])

    def flaw(self, sample: Sample) -> str | None:
        """What the whole finds wrong with a picture."""
        return self.whole.flaw(sample)

    def groups(self) -> Groups:
        """The groups of these records."""
        return self.whole.groups().take(self.rows)


def recognise(root: Path) -> str:
    """The name of the data set that lies in a folder, judged by its files.

    Raises:
        BrokenDataError: it is none that Knuckle knows.
    """
    if not root.is_dir():
        then = f"unpack it, and {_GIVE}" if root.exists() else "check the path"
        raise BrokenDataError(f"{root} is not a folder, expected that of a data set: {then}")
    name = _name_of(root)
    if name is None:
        raise BrokenDataError(
            f"{root} is none of the data sets {', '.join(DATASETS)}: none of their label files is "
            f"there; {_where_else(root)}"
        )
    return name


#: What to do where there is nothing to go by.
_GIVE = "give the folder that holds them"
#: Folders between a data set's own and its labels or pictures: ``annotations/train``.
_DEEPEST_LABELS = 2
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"})


def _name_of(root: Path) -> str | None:
    return next((name for name, reader in DATASETS.items() if reader.is_at(root)), None)


def _where_else(root: Path) -> str:
    """What to do about a folder that is no data set, by what lies in it and around it."""
    entries = sorted(root.iterdir())
    for inner in entries:
        if inner.is_dir() and (name := _name_of(inner)):
            return f"{inner} is {name}: give that folder"
    for outer in islice(root.resolve().parents, _DEEPEST_LABELS):
        if name := _name_of(outer):
            return f"it lies in {outer}, which is {name}: give that folder"
    packed = next((each.name for each in entries if each.suffix.lower() in _ARCHIVES), None)
    return _GIVE if packed is None else f"unpack {packed}, and {_GIVE}"


def open_dataset(
    root: Path,
    split: str = "all",
    name: str | None = None,
    *,
    selection: Selection | None = None,
) -> LabelledSet:
    """Open a data set by its folder.

    Args:
        root: the folder, as the data set is unpacked.
        split: one of the data set's own splits, "all", or "70/15/15:train" (or val, test): whole
            people, captures or sequences of all its splits dealt out anew (``splits``).
        name: key in ``DATASETS``; recognised by its files if not given.
        selection: which records of InterHand2.6M to keep; the others have none to choose from.

    Raises:
        BrokenDataError: a file is missing or broken; says which, and what to do.
        ValueError: there is no such split.
    """
    root = at_home(root)
    name = name or recognise(root)
    reader = _reader(name, selection)
    if split.startswith("70/15/15:"):
        whole, dealt = open_divided(root, name, selection=selection)
        part = split.removeprefix("70/15/15:")
        if part not in PARTS:
            raise InputError(f"expected 70/15/15:{{{','.join(PARTS)}}}, got {split!r}")
        if not len(rows := dealt.rows(part)):
            raise NothingLeftError(
                f"none of the {len(whole):,} records of {root} that were selected is in {split} "
                f"({dealt}); take another part, or leave fewer out"
            )
        return Subset(whole, rows, split, str(dealt))
    splits = DATASETS[name].splits
    if split == "all" and "all" not in splits:
        return _open_all(reader, splits, root)
    return reader(root, split)


def open_divided(
    root: Path, name: str | None = None, *, selection: Selection | None = None
) -> tuple[LabelledSet, Split]:
    """A whole data set and its division into 70/15/15 by people, captures or sequences.

    Whatever is selected, all records are dealt out: the parts of a selection are those parts
    without what it leaves out. Dealt out alone, a few records less can put whole people elsewhere,
    and who is trained on with flaws left out would be tested on with them.
    """
    name = name or recognise(root)
    whole = open_dataset(root, "all", name, selection=selection)
    if name != InterHand26M.name:
        return whole, split_by_groups(whole.groups())
    every = Selection.official()
    if selection is not None and selection.annotation != "all" and _lacks_all_labels(root):
        every = replace(every, annotation=selection.annotation)
    groups = open_dataset(root, "all", name, selection=every).groups()
    dealt = split_by_groups(groups)
    moments, first = np.unique(groups.step, return_index=True)  # each is in one part alone
    at = np.searchsorted(moments, whole.groups().step)
    return whole, replace(dealt, part=dealt.part[first][at])


def _lacks_all_labels(root: Path) -> bool:
    """Whether only those that people, or a network, have made were unpacked (release v0.0)."""
    try:
        open_dataset(root, "all", InterHand26M.name, selection=Selection.official())
    except MissingDataError:
        return True
    return False


def leak_report(root: Path, split: str, *, selection: Selection | None = None) -> str:
    """What stands in more than one part of a division: the makers' own, or 70/15/15.

    Args:
        root: folder of a data set.
        split: as for ``open_dataset``; it says which division.
        selection: as for ``open_dataset``.
    """
    if split.startswith("70/15/15:"):
        whole, dealt = open_divided(root, selection=selection)
        return described_leaks(leaks(whole.groups(), dealt.part), "70/15/15")
    parts, name = [], recognise(root)
    for part in PARTS:
        if part in DATASETS[name].splits:
            with suppress(BrokenDataError):  # not every split need be there
                parts.append(_reader(name, selection)(root, part))
    if len(parts) < 2:
        there = parts[0].split if parts else "none"
        return f"official splits: only {there} is here, so nothing can leak into another"
    part_of = np.repeat(np.arange(len(parts)), [len(each) for each in parts])
    return described_leaks(leaks(Joined(parts).groups(), part_of), "official splits")


def divide(root: Path, path: Path) -> Split:
    """Write the 70/15/15 division of a data set, with its shares, to a file; see ``splits``."""
    whole, dealt = open_divided(root)
    keys = [whole.record(index).key for index in range(len(whole))]
    write_split(path, dealt, keys, recognise(root))
    return dealt


def _reader(name: str, selection: Selection | None) -> Callable[[Path, str], LabelledSet]:
    """What opens a split of a data set."""
    if selection is None:
        return DATASETS[name]
    if name != InterHand26M.name:
        raise InputError(f"only InterHand2.6M has records to select from, not {name}")
    return lambda root, split: InterHand26M(root, split, selection)


def _open_all(
    reader: Callable[[Path, str], LabelledSet], splits: Sequence[str], root: Path
) -> LabelledSet:
    """All splits that are there, as one."""
    parts: list[LabelledSet] = []
    problems = []
    for split in splits:
        try:
            parts.append(reader(root, split))
        except (MissingDataError, NothingLeftError) as error:
            problems.append(error)
    if not parts:
        raise problems[0]
    return parts[0] if len(parts) == 1 else Joined(parts)
