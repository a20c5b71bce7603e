"""Verbs that find hands in a video, and that show what was found."""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from knuckle.address import short, without_secrets
from knuckle.cli.verb import (
    EXIT_ERROR,
    EXIT_SIGNAL,
    Address,
    File,
    Folder,
    Formats,
    HandLength,
    Intrinsics,
    MaxHands,
    Number,
    Output,
    Port,
    Result,
    SmallestHand,
    Source,
    Sources,
    Switch,
    Threads,
    Up,
    Weights,
    given,
    load_camera,
    optional,
)
from knuckle.errors import INTERRUPTS, InputError, KnuckleError, NotFoundError, putting_off
from knuckle.formats import PLOT, USUAL

if TYPE_CHECKING:
    from knuckle.job import Summary
    from knuckle.output import Recording
    from knuckle.pipeline import HandTracker


@dataclass(frozen=True)
class Track:
    """Track the hands in a video and write their joints, in pixels and in millimetres."""

    source: Sources
    """A video file, a folder of images, an image, the index of a camera, or the URL of a stream.
    With --rig: one for each camera, all of the same scene."""
    output: Output = None
    """Folder for the results; by default one in the current folder, named after the source."""
    rig: File = None
    """Calibration of several cameras, as written by knuckle camera rig, aniposelib, and others."""
    unit: Annotated[str | None, optional("UNIT")] = None
    """Rig: its unit of length, if the file does not say: m, mm, cm, inch, or a number of mm.
    "hands" estimates it from the size of the hands."""
    views: Annotated[str, optional("NAME,NAME")] = ""
    """Rig: its camera for each source, in order; by default matched by the files' names."""
    sync: Switch = False
    """Rig: the videos started at different times, or a camera lags.
    The offsets are estimated from the hands' motion."""
    rescale: Switch = False
    """Rig: the videos are scaled versions of the images it was calibrated with."""
    up: Up = None
    """Rig: the axis of its world that points up: x, y, z, -x, -y or -z.
    By default what its file says, or the one that points up in most of the images."""
    format: Formats = USUAL
    overlay: Switch = False
    """Also write the video with the hands drawn on it."""
    camera: Intrinsics = None
    max_hands: MaxHands = 2
    smallest_hand: SmallestHand = None
    raw: Switch = False
    """Write the estimates of single frames, without smoothing."""
    offline: Switch = False
    """Smooth with past and future frames, after the last frame; also fills short gaps."""
    hand_length_mm: HandLength = None
    fps: Number = None
    """Frame rate of a folder of images, or the one to request from a camera."""
    threads: Annotated[int | None, optional("INT")] = None
    """CPU threads for each network; by default 2. 1 is faster on a busy machine.
    Rig: number of cameras processed at the same time; by default one per processor."""
    weights: Weights = None

    def run(self) -> int:
        """Track, with progress, and say what was found and where it is."""
        if self.raw and self.offline:
            raise InputError("--raw and --offline contradict each other: give one of them")
        if self.rig is not None or len(self.source) != 1:
            from knuckle.cli.rigs import track_rig

            return report(track_rig(self))
        of_rigs = {
            f"--{name}": getattr(self, name) for name in ("unit", "views", "sync", "rescale", "up")
        }
        if given := [flag for flag, value in of_rigs.items() if value]:
            raise InputError(f"{given[0]} is for several cameras: give their calibration as --rig")
        return report(self._track_one(self.source[0]))

    def _track_one(self, source_name: str) -> Summary:
        """Track a source of one camera."""
        from knuckle.job import open_sinks, run
        from knuckle.output import RunInfo
        from knuckle.progress import Progress
        from knuckle.two_pass import refuse_pipe, run_offline
        from knuckle.video import open_source

        if self.offline:
            refuse_pipe(source_name)
        camera = load_camera(self.camera)
        raw = self.raw or self.offline
        tracker = _tracker(self, raw=raw, hand_length_mm=self.hand_length_mm)
        again = partial(open_source, source_name, camera=camera, fps=self.fps)
        with again() as source:
            if camera is not None:
                camera.check_fits(*source.size)  # before the work, not after
            name, size, versions = source.info.name, source.size, tracker.versions
            folder = self.output or default_folder(name, live=source.info.live)
            info = RunInfo.of(name, size, camera=camera, fps=source.fps, weights=versions)
            names = formats_of(self.format) + ["overlay"] * self.overlay
            open_all = partial(open_sinks, names, info=info)
            if self.offline:
                return run_offline(source, again, tracker, open_all, info, folder)
            sinks = open_all(folder)
            with Progress(source.info) as progress:
                return run(source, tracker, sinks, on_frame=progress.advance)


@dataclass(frozen=True)
class Bench:
    """Measure how long each stage of a frame takes, compared with MediaPipe if it is there."""

    source: Source
    """A video file, or anything else that knuckle track takes."""
    max_hands: MaxHands = 2
    overlay: Switch = False
    """Also draw and encode the overlay video (it is discarded)."""
    frames: int = 1000
    """Stop after this many frames."""
    threads: Threads = 2
    weights: Weights = None
    mediapipe_python: File = None
    """Python of an environment with mediapipe 0.10.21; by default this one, if it has that."""

    def run(self) -> int:
        """Measure and print."""
        from importlib.util import find_spec

        from knuckle.bench import measure, measure_mediapipe, table
        from knuckle.video import open_source

        python = self.mediapipe_python
        if python is None and find_spec("mediapipe"):
            python = Path(sys.executable)
        if python is not None and not python.is_file():
            raise NotFoundError(
                f"there is no {python}: expected the Python of an environment with mediapipe, as "
                ".venv-peers/bin/python"
            )
        tracker = _tracker(self)
        source = open_source(self.source)
        width, height = source.size
        print(f"{source.info.name}: {width} x {height}, {os.cpu_count()} processors")
        measured = measure(source, tracker, overlay=self.overlay, limit=self.frames)
        print(table(measured))
        if measured.error is not None:
            raise measured.error
        if python is not None:
            peer = measure_mediapipe(
                Path(self.source), python=python, max_hands=self.max_hands, limit=self.frames
            )
            print(peer)
        return 0


@dataclass(frozen=True)
class Plot:
    """Plot a result over time: where each hand was, how its fingers bent, and the confidence."""

    result: Result
    """Folder or file that knuckle track wrote."""
    output: Annotated[Path | None, optional("FILE", aliases=["-o"])] = None
    """File to write (.png, .svg or .pdf); by default plot.png beside the result."""

    def run(self) -> int:
        """Plot and say where it is."""
        from knuckle.output import make_room, open_recording
        from knuckle.viewer.plot import save_plot

        folder = self.result if self.result.is_dir() else self.result.parent
        path = self.output or folder / PLOT
        save_plot(open_recording(self.result), make_room(path))
        print(path)
        return 0


@dataclass(frozen=True)
class Convert:
    """Convert a result for another program, without the video."""

    result: Result
    """Folder or file that knuckle track wrote."""
    format: Annotated[str, tyro.conf.arg(metavar="NAME,NAME")] = "glb"
    """Formats of knuckle track, except overlay, lerobot and rrd, which need the video."""
    output: Output = None
    """Folder for the files; by default the result's."""

    def run(self) -> int:
        """Convert and say where the files are."""
        from knuckle.job import convert
        from knuckle.output import open_recording

        recording = open_recording(self.result)
        folder = self.result if self.result.is_dir() else self.result.parent
        for path in convert(recording, formats_of(self.format), self.output or folder):
            print(path)
        return 0


@dataclass(frozen=True)
class Live:
    """Show a camera in the browser, with the hands drawn on the picture and in 3D beside it."""

    camera_index: Annotated[int | None, optional("INT")] = None
    """Index of the camera on this machine; by default the first one, 0."""
    source: Annotated[str | None, optional("SOURCE")] = None
    """Instead of a camera index: a device, the URL of a stream, or a video."""
    record: Folder = None
    """Also write the results into this folder."""
    format: Formats = USUAL
    send: Annotated[str, optional("ADDRESS,ADDRESS")] = ""
    """Also send the hands to other programs, at addresses separated by commas.
    osc://127.0.0.1:39539 for VMC and OSC, udp://127.0.0.1:9000 for JSON.
    ws://127.0.0.1:9001 to serve a WebSocket there.
    lsl://NAME for a stream of the Lab Streaming Layer."""
    rerun: Switch = False
    """Also show everything in the Rerun viewer, which is started if none is open."""
    camera: Intrinsics = None
    max_hands: MaxHands = 2
    smallest_hand: SmallestHand = None
    raw: Switch = False
    """Show the estimates of single frames, without smoothing."""
    hand_length_mm: HandLength = None
    threads: Threads = 2
    weights: Weights = None
    host: Address = "127.0.0.1"
    port: Port = 8080

    def run(self) -> int:
        """Track and serve until interrupted."""
        from knuckle.job import open_sinks
        from knuckle.output import RunInfo
        from knuckle.send import open_senders, sending
        from knuckle.video import open_source

        with putting_off(INTERRUPTS):
            from knuckle.viewer.live import live
            from knuckle.viewer.stage import StageSettings

        index = self.camera_index
        if index is not None and self.source is not None:
            raise InputError("--camera-index and --source exclude each other: give one of them")
        if index is not None and index < 0:
            raise InputError(
                f"the cameras of this machine count from 0, got --camera-index {index}"
            )
        if self.format != USUAL and self.record is None:
            raise InputError("--format is for recording: give a folder as --record too")
        camera = load_camera(self.camera)
        tracker = _tracker(self, raw=self.raw, hand_length_mm=self.hand_length_mm)
        name = str(index or 0) if self.source is None else self.source
        with ExitStack() as opened:
            # First, as an address may be refused: the camera then stays dark.
            senders = [opened.enter_context(each) for each in open_senders(names_of(self.send))]
            source = opened.enter_context(open_source(name, camera=camera))
            if camera is not None:
                camera.check_fits(*source.size)  # before the work, not after
            title, size, versions = source.info.name, source.size, tracker.versions
            info = RunInfo.of(title, size, camera=camera, fps=source.fps, weights=versions)
            sinks = open_sinks(formats_of(self.format), self.record, info) if self.record else []
            if self.rerun:
                from knuckle.send.rerun_viewer import RerunViewer

                senders.append(opened.enter_context(RerunViewer()))
            summary = live(
                source,
                sending(tracker, senders),
                sinks,
                StageSettings(self.host, self.port),
                camera=camera,
                max_hands=self.max_hands,
            )
        return report(summary)


@dataclass(frozen=True)
class View:
    """Play a result in the browser: the hands in 3D, together with their video."""

    result: Result
    """Folder or file that knuckle track wrote. For a rig's folder, its first camera is shown."""
    video: File = None
    """Path of the video; by default where it was when it was tracked."""
    host: Address = "127.0.0.1"
    port: Port = 8080

    def run(self) -> int:
        """Serve until interrupted."""
        with putting_off(INTERRUPTS):
            from knuckle.viewer.play import view
            from knuckle.viewer.stage import StageSettings

        recording = _before_a_camera(self.result)
        stage = StageSettings(self.host, self.port)
        with suppress(KeyboardInterrupt):  # the way to end it
            view(recording, self.video, stage, result=self.result)
        return 0


def _before_a_camera(result: Path) -> Recording:
    """A result; of the folder of a rig, whose world is before no picture, its first camera's."""
    from knuckle.output import open_recording
    from knuckle.views import Rig

    recording = open_recording(result)
    if recording.info.space == "world" and result.is_dir():
        with suppress(KnuckleError, OSError):  # nothing but the world is left of it
            camera = result / Rig.load(result / "rig.toml").names[0]
            recording = open_recording(camera)
            print(f"{camera}, the first camera of the rig; the others are beside it")
    return recording


def default_folder(source: str, *, live: bool = False) -> Path:
    """Where results go by default: here, named after the source.

    Another recording of the same name (``cam.mp4`` of another session, or what a camera shows at
    another time) gets a number behind it.
    """
    name = source.split("://")[-1].split("?")[0].rstrip("/").split("/")[-1]
    stem = short(Path(name).stem) if name else "stream"
    own = f"{'camera-' * source.isdecimal()}{stem}-hands"
    names = itertools.chain([own], (f"{own}-{k}" for k in itertools.count(2)))
    return next(folder for folder in map(Path, names) if _is_free_for(source, folder, live))


def _is_free_for(source: str, folder: Path, live: bool) -> bool:
    """Whether a folder holds no result but an earlier one of this source."""
    from knuckle.output import OutputError, open_recording

    if not folder.is_dir():
        return True
    try:
        return open_recording(folder).info.source == without_secrets(source) and not live
    except (OutputError, OSError):
        return True  # nothing that could be lost


def report(summary: Summary) -> int:
    """Say how a run went; return the exit code."""
    print(summary)
    if summary.signal_number is not None:
        kept = "; what came before is in the files" if summary.files else ""  # live writes none
        print(f"knuckle: stopped{kept}", file=sys.stderr)
        return EXIT_SIGNAL + summary.signal_number
    if summary.error is not None:
        print(f"knuckle: {summary.error}", file=sys.stderr)
        return EXIT_ERROR
    return 0


def names_of(listed: str) -> list[str]:
    """The names in a list that is separated by commas."""
    return [name.strip() for name in listed.split(",") if name.strip()]


def formats_of(listed: str) -> list[str]:
    """Likewise, of formats, which people write as CSV as well."""
    return names_of(listed.lower())


def _tracker(verb: Track | Live | Bench, *, raw: bool = False, **options: Any) -> HandTracker:
    from knuckle.pipeline import HandTracker

    if raw:
        options["smooth"] = None
    smallest = None if isinstance(verb, Bench) else verb.smallest_hand
    options |= given(threads=verb.threads, smallest_hand=smallest)
    return HandTracker(max_hands=verb.max_hands, weights_dir=verb.weights, **options)
