"""The verb ``data``: make, pack, check and look at training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from knuckle.cli.verb import EXIT_ERROR, Dataset, SplitName, Switch, optional


@dataclass(frozen=True)
class OfDataset:
    """What every look at a data set takes."""

    dataset: Dataset
    """Folder of a data set as unpacked; its kind is recognised by its files."""


@dataclass(frozen=True, kw_only=True)
class OfSplit(OfDataset):
    """What every look at a part of it takes."""

    split: SplitName = "all"
    """One of its splits, all, or 70/15/15:train, :val, :test (a new division without leaks)."""


@dataclass(frozen=True)
class Render:
    """Render a training set: shards of pictures with exact labels of their hands."""

    kind: Annotated[Literal["crops", "plain", "touching", "frames"], tyro.conf.Positional]
    """What to render.
    crops: close-ups of one hand, of all kinds; plain: the same in ordinary light.
    touching: close-ups of hands that touch another; frames: whole pictures, for the detector."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder for the shards. Run an interrupted command again to render those that are missing."""
    count: int
    """Number of pictures."""
    seed: int = 0
    """Another seed gives other pictures."""
    workers: int = 1
    """Number of processes that render."""
    backgrounds: Annotated[tuple[Path, ...], optional("FOLDER [FOLDER …]")] = ()
    """Folders of photographs, in addition to the few in the package."""
    first: int = 0
    """Number of the first picture, a multiple of 1000, to extend an existing set."""

    def run(self) -> int:
        """Render."""
        from knuckle.data.rendered import SETS, Job
        from knuckle.output import make_folder

        job = Job(self.out, self.count, self.seed, self.workers, self.backgrounds, self.first)
        before = _shards_in(make_folder(self.out))
        print(_packed(SETS[self.kind](job), before, self.out))
        return 0


@dataclass(frozen=True)
class Synth:
    """Render a synthetic studio capture of one and two hands in InterHand2.6M's format."""

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder for the capture. Run an interrupted command again to render what is missing."""
    frames: int
    """Number of pictures in all: 16 cameras take 16 at each time step."""
    cameras: int = 16
    """Number of calibrated cameras on a dome around the hands, up to 140."""
    fps: Literal[5, 30] = 5
    """Time steps per second."""
    subjects: int = 20
    """Number of people, divided into train, val and test as 70/15/15."""
    seed: int = 0
    """Another seed gives another capture."""
    workers: int = 1
    """Number of processes that render; it does not change the result."""
    vary: Switch = False
    """Vary background, light and gloves, instead of a dark studio and bare hands."""
    no_depth: Switch = False
    """Leave out the depth maps, which take more space than everything else."""

    def run(self) -> int:
        """Render, write the annotations, and say what came out."""
        from knuckle.data.capture import write_capture
        from knuckle.data.capture_plan import CaptureSettings
        from knuckle.output import make_folder
        from knuckle.progress import bar

        settings = CaptureSettings(
            self.frames,
            self.cameras,
            self.fps,
            self.subjects,
            self.seed,
            vary=self.vary,
            depth=not self.no_depth,
        )
        make_folder(self.out)
        with bar("pictures") as advance:
            write_capture(self.out, settings, workers=self.workers, on_progress=advance)
        print(f"{self.frames:,} pictures in {self.out}")
        return 0


@dataclass(frozen=True)
class Pack(OfSplit):
    """Pack a data set into shards, which training reads many times faster than single files."""

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """Folder for the shards; existing ones are kept."""
    what: Literal["crops", "frames"] = "crops"
    """Pack a square around each hand, or whole pictures."""
    size_px: int = 224
    """Side of a packed crop, px."""
    fit_masks: Switch = False
    """Get masks and visibility that are not labelled by fitting the hand model to 3D joints."""
    processes: int = 1
    """Number of processes that pack."""

    def run(self) -> int:
        """Pack."""
        from knuckle.data.datasets import open_dataset
        from knuckle.data.pack import PackSettings, pack
        from knuckle.output import make_folder
        from knuckle.progress import bar

        dataset = open_dataset(self.dataset, self.split)
        before = _shards_in(make_folder(self.out))
        if self.fit_masks:
            from knuckle.data.fitted import FittedSet

            with bar("labels read") as advance:
                dataset = FittedSet(dataset, on_progress=advance)
        settings = PackSettings(self.what, self.size_px, processes=self.processes)
        with bar("packed") as advance:
            paths = pack(dataset, self.out, settings, on_progress=advance)
        print(_packed(paths, before, self.out))
        return 0


def _shards_in(folder: Path) -> set[Path]:
    return set(folder.glob("*.tar"))


def _packed(shards: Sequence[Path], before: set[Path], folder: Path) -> str:
    """How many there are, and which are of an earlier run: of other labels or options, perhaps."""
    told = f"{len(shards)} shard{'s' * (len(shards) != 1)} in {folder}"
    if kept := before & set(shards):
        told += (
            f"; {len(kept)} of them were there before and are kept: if labels or options have "
            "changed since, delete them and run again"
        )
    if others := before - set(shards):
        told += f"; of other runs {len(others)} lie there, which training also reads"
    return told


@dataclass(frozen=True)
class Fit(OfSplit):
    """Fit the parametric hand to the 3D joints of a data set, and report how well it fits."""

    output: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder for fits.npz (pose, shape, place, joint angles, bone lengths) and residuals.csv.
    Also for drawings: over.jpg (on the data set's pictures) and drawn.jpg (hands alone)."""
    pictures: int = 12
    """Number of pictures to draw, evenly spaced over the data set."""

    def run(self) -> int:
        """Fit, print and write."""
        from knuckle.data.datasets import open_dataset
        from knuckle.data.fit_report import measure, print_table, write_pictures, write_table
        from knuckle.data.fitted import FittedSet
        from knuckle.output import make_folder
        from knuckle.progress import bar

        labelled = open_dataset(self.dataset, self.split)
        make_folder(self.output)
        with bar("labels read") as advance:
            dataset = FittedSet(labelled, on_progress=advance)
        table = measure(dataset)
        print_table(table)
        paths = write_table(table, self.output)
        paths += write_pictures(dataset, self.output, count=self.pictures)
        print("\n".join(f"  {path}" for path in paths))
        return 0


@dataclass(frozen=True)
class PackPhotographs:
    """Pack photographs that a teacher has labelled."""

    labels: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LABELS")]
    """The JSON written by tools/teacher.py."""
    root: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ROOT")]
    """The folder that holds the photographs' folders."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """Folder for crops.npz, frames.npz and handless.npz."""

    def run(self) -> int:
        """Pack."""
        from knuckle.data.photograph_packing import pack

        pack(self.labels, self.root, self.out)
        print(self.out)
        return 0


@dataclass(frozen=True)
class Check(OfDataset):
    """Find the faults of a data set, such as contradicting labels and missing pictures."""

    def run(self) -> int:
        """Check; the exit code says whether there is a fault."""
        from knuckle.data.check import check
        from knuckle.progress import bar

        with bar("pictures") as advance:
            report = check(self.dataset, on_progress=advance)
        for fault in report.faults:
            print(fault)
        print(report)
        return EXIT_ERROR if report.faults else 0


@dataclass(frozen=True)
class Stats(OfSplit):
    """Report what a data set contains, and what was left out and why."""

    read: Switch = False
    """Also read every picture, to report their sizes."""
    plausibility: Switch = False
    """Also check whether the poses are humanly possible: angles, bones, interpenetration."""

    def run(self) -> int:
        """Count and print."""
        from knuckle.data.census import describe, take_census
        from knuckle.data.datasets import open_dataset
        from knuckle.data.plausibility import measure
        from knuckle.progress import bar

        dataset = open_dataset(self.dataset, self.split)
        print(describe(dataset, take_census(dataset, read=self.read)))
        if self.plausibility:
            with bar("labels") as advance:
                found = measure(dataset, advance)
            print(f"\n{found}")
        return 0


@dataclass(frozen=True)
class Split(OfDataset):
    """Split a data set 70/15/15 by people, captures or sequences, and write the parts."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path("split.json")
    """File to write, with the shares and the keys of each part."""

    def run(self) -> int:
        """Divide, write and say what came out."""
        from knuckle.data.datasets import divide, recognise
        from knuckle.output import make_room

        recognise(self.dataset)  # no folder is made for what is no data set
        print(f"{divide(self.dataset, make_room(self.output))}\n  {self.output}")
        return 0


@dataclass(frozen=True)
class Show(OfSplit):
    """Write a contact sheet of pictures with their labels drawn on them, to check by eye."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path("sheet.jpg")
    """File to write."""
    count: int = 16
    """Number of pictures, evenly spaced over the data set."""

    def run(self) -> int:
        """Draw and say where it is."""
        from knuckle.data.datasets import open_dataset
        from knuckle.data.show import write_contact_sheet
        from knuckle.output import make_room

        dataset = open_dataset(self.dataset, self.split)
        print(write_contact_sheet(dataset, make_room(self.output), count=self.count))
        return 0


@dataclass(frozen=True)
class Data:
    """Render, pack, check and look at training data."""

    action: (
        Annotated[Render, tyro.conf.subcommand("render")]
        | Annotated[Synth, tyro.conf.subcommand("synth")]
        | Annotated[Pack, tyro.conf.subcommand("pack")]
        | Annotated[Fit, tyro.conf.subcommand("fit")]
        | Annotated[PackPhotographs, tyro.conf.subcommand("pack-photographs")]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[Stats, tyro.conf.subcommand("stats")]
        | Annotated[Split, tyro.conf.subcommand("split")]
        | Annotated[Show, tyro.conf.subcommand("show")]
    )

    def run(self) -> int:
        """Run the action."""
        return self.action.run()
