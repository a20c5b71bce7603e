"""The command ``knuckle``: one verb, one dataclass; its fields are the flags, their texts the help.

What a verb does lives in the room it belongs to and is imported when it runs, so that help comes
at once and nothing asks for libraries that it does not use.

Exit codes: 0 done; 2 an error, told in one sentence; 130 interrupted (143: terminated). However a
run ends, what it has computed is in its files.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import tyro

if TYPE_CHECKING:
    from knuckle.camera import Camera
    from knuckle.data.interhand26m import Selection
    from knuckle.data.labelled import LabelledSet
    from knuckle.evaluate import Predictions
    from knuckle.job import Summary
    from knuckle.pipeline import HandTracker

EXIT_ERROR = 2
EXIT_SIGNAL = 128  # plus the signal's number, as shells do

#: The extra of ``pip install knuckle[…]`` that brings a library.
EXTRAS = {
    **dict.fromkeys(("torch", "lightning", "numba", "onnx", "orjson"), "train"),
    **dict.fromkeys(("viser", "matplotlib"), "viewer"),
    "pyarrow": "parquet",
}

Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
Result = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RESULT")]
Dataset = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
Output = Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]
Number = Annotated[float | None, tyro.conf.arg(metavar="NUMBER")]


class Verb(Protocol):
    """What every verb is."""

    def run(self) -> int:
        """Do it; return the exit code."""


@dataclass(frozen=True)
class Track:
    """Find the hands in a video and write where every joint is, in pixels and in millimetres."""

    source: Source
    """A video file, a folder of images, an image, the index of a camera, or the URL of a stream."""
    output: Output = None
    """Folder for the results; by default one here that is named after the source."""
    format: str = "npz,json,csv"
    """What to write, separated by commas: npz, json, csv, parquet, overlay."""
    overlay: bool = False
    """Also write the video with the hands drawn onto it."""
    camera: File = None
    """Intrinsics as JSON: fx, fy, cx, cy, distortion. Without them a view of 65° is assumed."""
    max_hands: int = 2
    """Follow at most so many hands at a time."""
    raw: bool = False
    """Write the estimate of each frame alone, without smoothing."""
    offline: bool = False
    """Smooth with what comes before and after, when all is seen; fills short gaps."""
    hand_length_mm: Number = None
    """Length from the wrist to the tip of the middle finger, if it is known: it sets the scale."""
    fps: Number = None
    """Frame rate of a folder of images, or the one asked of a camera."""
    weights: Folder = None
    """Folder with other networks than those in the package."""

    def run(self) -> int:
        """Track, with progress, and say what was found and where it is."""
        from knuckle.job import open_sinks, run
        from knuckle.output import RunInfo
        from knuckle.progress import Progress
        from knuckle.two_pass import run_offline
        from knuckle.video import open_source

        if self.raw and self.offline:
            raise ValueError("--raw and --offline contradict each other: give one of them")
        camera = _load_camera(self.camera)
        raw = self.raw or self.offline
        tracker = _tracker(self.max_hands, raw, self.weights, self.hand_length_mm)
        again = partial(open_source, self.source, camera=camera, fps=self.fps)
        folder = self.output or default_folder(self.source)
        with again() as source:
            info = RunInfo.of(
                self.source, source.size, camera=camera, fps=source.fps, weights=tracker.versions
            )
            names = _names(self.format) + ["overlay"] * self.overlay
            sinks = open_sinks(names, folder, info)
            if self.offline:
                return report(run_offline(source, again, tracker, sinks, info, folder))
            with Progress(source.info) as progress:
                summary = run(source, tracker, sinks, on_frame=progress.advance)
        return report(summary)


@dataclass(frozen=True)
class Bench:
    """Show where the time of a frame goes, stage by stage, and MediaPipe beside it."""

    source: Source
    """A video file, or anything else that knuckle track takes."""
    max_hands: int = 2
    """Follow at most so many hands at a time."""
    overlay: bool = False
    """Draw and encode the overlay video as well (it is thrown away)."""
    frames: int = 1000
    """Stop after so many frames."""
    weights: Folder = None
    """Folder with other networks than those in the package."""
    mediapipe_python: File = None
    """Python of an environment with mediapipe 0.10.21; found by itself if it is in this one."""

    def run(self) -> int:
        """Measure and print."""
        from importlib.util import find_spec

        from knuckle.bench import measure, measure_mediapipe, table
        from knuckle.pipeline import HandTracker
        from knuckle.video import open_source

        tracker = HandTracker(max_hands=self.max_hands, weights_dir=self.weights)
        source = open_source(self.source)
        width, height = source.size
        print(f"{self.source}: {width} x {height}, {os.cpu_count()} processors")
        print(table(measure(source, tracker, overlay=self.overlay, limit=self.frames)))
        python = self.mediapipe_python
        if python is None and find_spec("mediapipe"):
            python = Path(sys.executable)
        if python is not None:
            peer = measure_mediapipe(
                Path(self.source), python=python, max_hands=self.max_hands, limit=self.frames
            )
            print(peer)
        return 0


@dataclass(frozen=True)
class Plot:
    """Draw a result over time: where each hand was, how its fingers bent, how sure that is."""

    result: Result
    """Folder or file that knuckle track wrote."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """Picture to write (.png, .svg or .pdf); by default plot.png beside the result."""

    def run(self) -> int:
        """Plot and say where it is."""
        from knuckle.output import open_recording
        from knuckle.viewer.plot import save_plot

        folder = self.result if self.result.is_dir() else self.result.parent
        path = self.output or folder / "plot.png"
        save_plot(open_recording(self.result), path)
        print(path)
        return 0


@dataclass(frozen=True)
class Live:
    """Show a camera in the browser with the hands drawn onto it, and in 3D beside it."""

    camera_index: int = 0
    """Which camera of this machine."""
    source: Annotated[str | None, tyro.conf.arg(metavar="SOURCE")] = None
    """Instead of a camera: a device, the URL of a stream, or a video."""
    record: Folder = None
    """Also write the results into this folder."""
    format: str = "npz,json,csv"
    """What to record, separated by commas: npz, json, csv, parquet, overlay."""
    camera: File = None
    """Intrinsics as JSON: fx, fy, cx, cy, distortion. Without them a view of 65° is assumed."""
    max_hands: int = 2
    """Follow at most so many hands at a time."""
    raw: bool = False
    """Show the estimate of each frame alone, without smoothing."""
    weights: Folder = None
    """Folder with other networks than those in the package."""
    host: str = "127.0.0.1"
    """Serve on this address; by default nobody but this machine can see the page."""
    port: int = 8080
    """Serve on this port, or on the next free one."""

    def run(self) -> int:
        """Track and serve until interrupted."""
        from knuckle.job import open_sinks
        from knuckle.output import RunInfo
        from knuckle.video import open_source
        from knuckle.viewer.live import live
        from knuckle.viewer.stage import StageSettings

        camera = _load_camera(self.camera)
        tracker = _tracker(self.max_hands, self.raw, self.weights)
        name = str(self.camera_index) if self.source is None else self.source
        with open_source(name, camera=camera) as source:
            info = RunInfo.of(
                name, source.size, camera=camera, fps=source.fps, weights=tracker.versions
            )
            sinks = open_sinks(_names(self.format), self.record, info) if self.record else []
            summary = live(
                source,
                tracker,
                sinks,
                StageSettings(self.host, self.port),
                camera=camera,
                max_hands=self.max_hands,
            )
        return report(summary)


@dataclass(frozen=True)
class View:
    """Play a result in the browser: the hands in 3D, beside and in front of their video."""

    result: Result
    """Folder or file that knuckle track wrote."""
    video: File = None
    """Where the video is now; by default where it was."""
    host: str = "127.0.0.1"
    """Serve on this address; by default nobody but this machine can see the page."""
    port: int = 8080
    """Serve on this port, or on the next free one."""

    def run(self) -> int:
        """Serve until interrupted."""
        from knuckle.output import open_recording
        from knuckle.viewer.play import view
        from knuckle.viewer.stage import StageSettings

        recording = open_recording(self.result)
        with suppress(KeyboardInterrupt):  # the way to end it
            view(recording, self.video, StageSettings(self.host, self.port))
        return 0


# --------------------------------------------------------------------------------------------
# Training side
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Train:
    """Train a network as a recipe says; a run that was interrupted goes on where it was."""

    recipe: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """A TOML file; those of the shipped networks are in recipes/."""
    runs: Path = Path("runs")
    """Folder of all runs."""
    fresh: bool = False
    """Begin anew even if the run has begun before."""

    def run(self) -> int:
        """Train until the recipe's time is spent."""
        from knuckle.train.recipe import Recipe
        from knuckle.train.run import train

        weights = train(Recipe.load(self.recipe), self.runs, fresh=self.fresh)
        print(f"{weights}: now knuckle export {weights.parent} --out FOLDER")
        return 0


@dataclass(frozen=True)
class Export:
    """Turn a training run into the ONNX files that the runtime reads, and compare the numbers."""

    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a training run (runs/NAME)."""
    out: Path = Path("weights")
    """Folder for the ONNX files; knuckle track --weights takes it."""
    full: bool = False
    """Store weights in single precision instead of half: twice the size."""

    def run(self) -> int:
        """Export and say where the files are."""
        from knuckle.export import export

        for path in export(self.checkpoint, self.out, half=not self.full):
            print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
        return 0


@dataclass(frozen=True)
class Evaluate:
    """Measure a system against a data set, under a named protocol."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A file of predictions; or networks: a folder of them, one ONNX file, a training run or its
    checkpoint, or "knuckle" for those in the package, which also stand in for what is missing."""
    dataset: Dataset
    """Folder of a data set, as it is unpacked; recognised by its files."""
    split: str = "all"
    """One of its splits, all, or 70/15/15:train, :val, :test (dealt out anew without leaks)."""
    protocol: str = "knuckle"
    """How to score: knuckle, moon, mmpose or intaghand; docs/ say what each means."""
    boxes: Literal["own", "true"] = "own"
    """Find the hands by itself, or be given the true boxes."""
    intrinsics: Literal["given", "assumed"] = "given"
    """Be given the true camera, or assume a field of view."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = Path("evaluation")
    """Folder for predictions, numbers, plots and the worst hands."""
    no_pictures: bool = False
    """Leave out what needs reading the pictures again."""
    annotation: Literal["all", "human", "machine"] = "all"
    """InterHand2.6M: labels made by people, by a network, or all (H, M, H+M in the papers)."""
    hands: Literal["all", "single", "two"] = "all"
    """InterHand2.6M: only pictures of one hand, or of two."""
    clean: bool = False
    """InterHand2.6M: leave out its known flaws. The papers leave them in."""

    def run(self) -> int:
        """Predict, unless predictions were given; score, print and write."""
        from knuckle.data.datasets import leak_report, open_dataset
        from knuckle.evaluate import evaluate, print_report, publish, read_predictions
        from knuckle.output import make_folder

        dataset = open_dataset(self.dataset, self.split, selection=self._selection())
        print(dataset.report)
        print(leak_report(self.dataset, self.split, selection=self._selection()))
        make_folder(self.output)
        given = Path(self.model)
        is_text = given.is_file() and given.suffix not in (".onnx", *CHECKPOINTS)
        predictions = read_predictions(given) if is_text else self._predict(dataset)
        evaluation = evaluate(dataset, predictions, self.protocol)
        print_report(evaluation)
        for path in publish(evaluation, self.output, pictures=not self.no_pictures):
            print(f"  {path}")
        return 0

    def _selection(self) -> Selection | None:
        """Which records count; a data set that has none to select from refuses any wish."""
        from knuckle.data.datasets import recognise
        from knuckle.data.interhand26m import InterHand26M, Selection

        wished = (self.annotation, self.hands, self.clean) != ("all", "all", False)
        if recognise(self.dataset) != InterHand26M.name and not wished:
            return None
        base = Selection() if self.clean else Selection.official()
        return replace(base, annotation=self.annotation, hands=self.hands)

    def _predict(self, dataset: LabelledSet) -> Predictions:
        from knuckle.evaluate import System, predict
        from knuckle.pipeline import HandEstimator
        from knuckle.progress import bar

        packaged = self.model == "knuckle" and not Path("knuckle").is_dir()
        weights = None if packaged else complete_networks(Path(self.model), self.output / "weights")
        estimator = HandEstimator(weights_dir=weights)
        versions = " ".join(f"{kind} {number}" for kind, number in estimator.versions.items())
        system = System(f"{self.model} ({versions})", self.boxes, self.intrinsics)
        path = self.output / "predictions.jsonl"
        with bar("pictures") as advance:
            return predict(dataset, estimator, system, path, on_progress=advance)


@dataclass(frozen=True)
class Render:
    """Render a training set: shards of pictures with everything known about their hands."""

    kind: Annotated[Literal["crops", "frames"], tyro.conf.Positional]
    """Close-ups of one hand, for keypoints, or whole frames, for the detector."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder for the shards; a run that was interrupted goes on with those that are missing."""
    count: int
    """How many pictures."""
    seed: int = 0
    """Another seed gives other pictures."""
    workers: int = 1
    """Processes that render."""
    backgrounds: tuple[Path, ...] = ()
    """Folders of photographs, beside the few that ship."""
    first: int = 0
    """Number of the first picture, to add to a set that exists: a multiple of 1000."""

    def run(self) -> int:
        """Render."""
        from knuckle.data.rendered import Job, write_crops, write_frames

        job = Job(self.out, self.count, self.seed, self.workers, self.backgrounds, self.first)
        paths = write_crops(job) if self.kind == "crops" else write_frames(job)
        print(f"{len(paths)} shards in {self.out}")
        return 0


@dataclass(frozen=True)
class Synth:
    """Record a synthetic studio capture of one and two hands in InterHand2.6M's format."""

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder for it; a run that was interrupted goes on with what is missing."""
    frames: int
    """How many pictures in all: a time step that 16 cameras see gives 16."""
    cameras: int = 16
    """Calibrated cameras on a dome around the hands, up to 140."""
    fps: Literal[5, 30] = 5
    """Time steps a second."""
    subjects: int = 20
    """People, dealt out to train, val and test as 70/15/15."""
    seed: int = 0
    """Another seed gives another capture."""
    workers: int = 1
    """Processes that render; their number changes nothing but the time."""
    vary: bool = False
    """Any background, light and gloves in place of a dark studio and bare hands."""
    depth: bool = True
    """Depth maps, which take more room than all the rest."""

    def run(self) -> int:
        """Render, write the annotations, and say what came out."""
        from knuckle.data.capture import write_capture
        from knuckle.data.capture_plan import CaptureSettings
        from knuckle.progress import bar

        settings = CaptureSettings(
            frames=self.frames,
            cameras=self.cameras,
            fps=self.fps,
            subjects=self.subjects,
            seed=self.seed,
            vary=self.vary,
            depth=self.depth,
        )
        with bar("pictures") as advance:
            write_capture(self.out, settings, workers=self.workers, on_progress=advance)
        print(f"{self.frames:,} pictures in {self.out}")
        return 0


@dataclass(frozen=True)
class Pack:
    """Pack a data set into shards, which training reads many times faster than single files."""

    dataset: Dataset
    """Folder of a data set, as it is unpacked; recognised by its files."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """Folder for the shards; those that are there already are kept."""
    what: Literal["crops", "frames"] = "crops"
    """A square around each hand, or whole pictures."""
    split: str = "all"
    """One of its splits, all, or 70/15/15:train, :val, :test (dealt out anew without leaks)."""
    size_px: int = 224
    """Side of a packed crop."""
    fit_masks: bool = False
    """Work out the masks and the visibility that are not labelled from the 3D joints, by fitting
    the parametric hand to them."""
    processes: int = 1
    """How many pack at the same time."""

    def run(self) -> int:
        """Pack."""
        from knuckle.data.datasets import open_dataset
        from knuckle.data.pack import PackSettings, pack
        from knuckle.progress import bar

        dataset = open_dataset(self.dataset, self.split)
        if self.fit_masks:
            from knuckle.data.fitted import FittedSet

            with bar("labels read") as advance:
                dataset = FittedSet(dataset, on_progress=advance)
        settings = PackSettings(self.what, self.size_px, processes=self.processes)
        with bar("packed") as advance:
            paths = pack(dataset, self.out, settings, on_progress=advance)
        print(f"{len(paths)} shards in {self.out}")
        return 0


@dataclass(frozen=True)
class Fit:
    """Fit the parametric hand to the 3D joints of a data set, and say how well it fits."""

    dataset: Dataset
    """Folder of a data set, as it is unpacked; recognised by its files."""
    output: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder for fits.npz (pose, shape, place, joint angles, bone lengths), residuals.csv, and the
    pictures over.jpg (on the data set's own) and drawn.jpg (hands alone)."""
    split: str = "all"
    """One of its splits, all, or 70/15/15:train, :val, :test."""
    pictures: int = 12
    """How many to draw, spread evenly over the data set."""

    def run(self) -> int:
        """Fit, print and write."""
        from knuckle.data.datasets import open_dataset
        from knuckle.data.fit_report import measure, print_table, write_pictures, write_table
        from knuckle.data.fitted import FittedSet
        from knuckle.progress import bar

        with bar("labels read") as advance:
            dataset = FittedSet(open_dataset(self.dataset, self.split), on_progress=advance)
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
    """The JSON that src/knuckle/data/teacher.py wrote."""
    root: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ROOT")]
    """The folder that holds the photographs' folders."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """Folder for crops.npz, frames.npz and handless.npz."""

    def run(self) -> int:
        """Pack."""
        from knuckle.data.photographs import pack

        pack(self.labels, self.root, self.out)
        print(self.out)
        return 0


@dataclass(frozen=True)
class Check:
    """Find every fault of a data set: labels that contradict each other, pictures that are gone."""

    dataset: Dataset
    """Folder of a data set, as it is unpacked; recognised by its files."""

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
class Stats:
    """Say what a data set holds, what was left out of it and why."""

    dataset: Dataset
    """Folder of a data set, as it is unpacked; recognised by its files."""
    split: str = "all"
    """One of its splits, all, or 70/15/15:train, :val, :test."""
    read: bool = False
    """Also read every picture, for their sizes."""
    plausibility: bool = False
    """Also measure whether people could have done this: angles, bones, hands in hands."""

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
class Split:
    """Divide a data set into 70/15/15 by people, captures or sequences, and write who is where."""

    dataset: Dataset
    """Folder of a data set, as it is unpacked; recognised by its files."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path("split.json")
    """The file to write: the shares, and the keys of each part."""

    def run(self) -> int:
        """Divide, write and say what came out."""
        from knuckle.data.datasets import divide

        print(f"{divide(self.dataset, self.output)}\n  {self.output}")
        return 0


@dataclass(frozen=True)
class Show:
    """Write a sheet of pictures with their labels drawn onto them, to look at before trusting."""

    dataset: Dataset
    """Folder of a data set, as it is unpacked; recognised by its files."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path("sheet.jpg")
    """The picture to write."""
    split: str = "all"
    """One of its splits, all, or 70/15/15:train, :val, :test."""
    count: int = 16
    """How many pictures, spread evenly over the data set."""

    def run(self) -> int:
        """Draw and say where it is."""
        from knuckle.data.datasets import open_dataset
        from knuckle.data.show import write_contact_sheet

        dataset = open_dataset(self.dataset, self.split)
        print(write_contact_sheet(dataset, self.output, count=self.count))
        return 0


@dataclass(frozen=True)
class Data:
    """Make, pack, check and look at training data."""

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


# --------------------------------------------------------------------------------------------
# Cameras
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Calibrate:
    """Find the intrinsics of a camera from a video of a checkerboard, with their error bars."""

    source: Source
    """The board, moved and tilted until it has been everywhere: a video, images or a camera."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path("camera.json")
    """Where to write the intrinsics; knuckle track --camera takes it."""
    columns: int = 9
    """Inner corners of the board in a row: where four squares meet."""
    rows: int = 6
    """Rows of inner corners."""

    def run(self) -> int:
        """Calibrate, write and print."""
        from knuckle.progress import Progress
        from knuckle.video import open_source
        from knuckle.video.calibrate import calibrate

        with open_source(self.source) as source, Progress(source.info) as progress:
            found = calibrate(map(progress.passing, source), self.columns, self.rows)
        found.camera.save(self.output)
        print(f"{found}\n  {self.output}")
        return 0


@dataclass(frozen=True)
class ShowCamera:
    """Say what a camera file means: its field of view, and where its picture is cut."""

    camera: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """Intrinsics as JSON, as knuckle camera calibrate writes them."""

    def run(self) -> int:
        """Print."""
        from knuckle.camera import Camera

        camera = Camera.load(self.camera)
        width, height = 2 * camera.cx + 1, 2 * camera.cy + 1
        across = 2 * math.degrees(math.atan(width / 2 / camera.fx))
        print(
            f"focal length {camera.fx:.1f} x {camera.fy:.1f} px, centre {camera.cx:.1f}, "
            f"{camera.cy:.1f} px; about {width:.0f} x {height:.0f} px and {across:.1f}° across"
        )
        return 0


@dataclass(frozen=True)
class Scale:
    """Measure a hand that lies flat beside a thing of known size: it sets the scale of a track."""

    source: Source
    """Hand and thing on a table, an inch apart, from above: a video, images or a camera."""
    thing: Literal["card", "a4", "a5", "letter", "board"] = "card"
    """A bank card, a sheet of paper, or a checkerboard (see below)."""
    camera: File = None
    """Intrinsics as JSON; seen from straight above, the assumed ones do as well."""
    columns: int = 9
    """Board: inner corners in a row."""
    rows: int = 6
    """Board: rows of inner corners."""
    square_mm: float = 25.0
    """Board: side of a square."""
    weights: Folder = None
    """Folder with other networks than those in the package."""

    def run(self) -> int:
        """Measure and print."""
        from knuckle.hand_scale import measure_hand
        from knuckle.pipeline import HandEstimator
        from knuckle.progress import Progress
        from knuckle.video import open_source
        from knuckle.video.reference import SHEETS, Board

        board = Board(self.columns, self.rows, self.square_mm)
        thing = board if self.thing == "board" else SHEETS[self.thing]
        estimator = HandEstimator(max_hands=2, weights_dir=self.weights)
        camera = _load_camera(self.camera)
        with open_source(self.source) as source, Progress(source.info) as progress:
            print(measure_hand(map(progress.passing, source), estimator, thing, camera))
        return 0


@dataclass(frozen=True)
class CameraVerb:
    """Work with cameras."""

    action: (
        Annotated[Calibrate, tyro.conf.subcommand("calibrate")]
        | Annotated[Scale, tyro.conf.subcommand("scale")]
        | Annotated[ShowCamera, tyro.conf.subcommand("show")]
    )

    def run(self) -> int:
        """Run the action."""
        return self.action.run()


#: Files of a training run that stand for the run.
CHECKPOINTS = (".ckpt", ".pt")


def complete_networks(given: Path, folder: Path) -> Path:
    """A folder with a network of every kind: the given ones, and the package's for the rest.

    Args:
        given: a folder of networks, one ONNX file, or a training run or a checkpoint in it; the
            averaged weights of the run are exported.
        folder: where they are put together.

    Returns:
        ``given`` if nothing is missing in it, else ``folder``.
    """
    from knuckle.modelcard import KINDS
    from knuckle.runtime import read_card, weights_folder

    if given.is_dir() and all((given / f"{kind}.onnx").is_file() for kind in KINDS):
        return given
    if given.is_file() and given.suffix in CHECKPOINTS:
        given = given.parent
    if (given / "recipe.json").is_file():
        from knuckle.export import export

        networks = export(given, folder)
    else:
        networks = sorted(given.glob("*.onnx")) if given.is_dir() else [given]
    if not networks or not all(path.is_file() for path in networks):
        raise FileNotFoundError(
            f"{given} is no file of predictions, no network, no folder of networks and no training "
            "run; give one of them, or knuckle for the networks in the package"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with weights_folder(None) as package:
        of_kind = {kind: package / f"{kind}.onnx" for kind in KINDS}
        of_kind |= {read_card(path).kind: path for path in networks}
        for kind, path in of_kind.items():
            if path != folder / f"{kind}.onnx":
                shutil.copyfile(path, folder / f"{kind}.onnx")
    return folder


def default_folder(source: str) -> Path:
    """Where results go if nobody says: here, named after the source."""
    name = source.split("://")[-1].split("?")[0].rstrip("/").split("/")[-1]
    stem = Path(name).stem if name else "stream"
    return Path(f"{'camera-' * source.isdecimal()}{stem}-hands")


def report(summary: Summary) -> int:
    """Say how a run went; return the exit code."""
    print(summary)
    if summary.signal_number is not None:
        print("knuckle: stopped; what came before is in the files", file=sys.stderr)
        return EXIT_SIGNAL + summary.signal_number
    if summary.error is not None:
        print(f"knuckle: {summary.error}", file=sys.stderr)
        return EXIT_ERROR
    return 0


def _names(formats: str) -> list[str]:
    return [name.strip() for name in formats.split(",") if name.strip()]


def _tracker(
    max_hands: int, raw: bool, weights: Path | None, hand_length_mm: float | None = None
) -> HandTracker:
    from knuckle.pipeline import HandTracker

    options: dict[str, Any] = {"smooth": None} if raw else {}
    return HandTracker(
        max_hands=max_hands, weights_dir=weights, hand_length_mm=hand_length_mm, **options
    )


def _load_camera(path: Path | None) -> Camera | None:
    from knuckle.camera import Camera

    return None if path is None else Camera.load(path)


CONFIG = (
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
)
VERBS: dict[str, Callable[..., Verb]] = {
    "track": Track,
    "live": Live,
    "view": View,
    "plot": Plot,
    "bench": Bench,
    "train": Train,
    "evaluate": Evaluate,
    "export": Export,
    "data": Data,
    "camera": CameraVerb,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: those of the command line by default.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        from importlib.metadata import version

        print(f"knuckle {version('knuckle')}")
        return 0
    verb = tyro.extras.subcommand_cli_from_dict(
        VERBS,
        prog="knuckle",
        description="Hands in ordinary video: every knuckle, fingertip and wrist in 3D.",
        args=arguments,
        config=CONFIG,
    )
    return run_verb(verb)


def run_verb(verb: Verb) -> int:
    """Run a verb; turn what users can put right into one sentence and an exit code."""
    from knuckle.output.errors import OutputError
    from knuckle.video.errors import SourceError

    try:
        return verb.run()
    except (SourceError, OutputError) as error:
        return _fail(str(error))
    except (OSError, ValueError) as error:
        if os.environ.get("KNUCKLE_TRACEBACK"):
            raise
        return _fail(f"{error} (KNUCKLE_TRACEBACK=1 shows where)")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        return _fail(f"this needs {error.name}: pip install 'knuckle[{extra}]'")
    except KeyboardInterrupt:
        print("knuckle: interrupted", file=sys.stderr)
        return EXIT_SIGNAL + 2


def _fail(sentence: str) -> int:
    print(f"knuckle: {sentence}", file=sys.stderr)
    return EXIT_ERROR
