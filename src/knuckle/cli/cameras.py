"""The verb ``camera``: intrinsics, and the true size of a hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from knuckle.cli.tracking import names_of
from knuckle.cli.verb import File, Number, Source, Sources, Switch, Weights, load_camera, optional
from knuckle.errors import InputError

if TYPE_CHECKING:
    from knuckle.camera import Camera
    from knuckle.views.boards import BoardCalibration, Charuco
    from knuckle.views.calibrate import RigCalibration


@dataclass(frozen=True)
class Calibrate:
    """Calibrate the intrinsics of a camera from a video of a checkerboard, with standard errors."""

    source: Source
    """The board, moved and tilted through the whole picture: a video, images or a camera."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path("camera.json")
    """File for the intrinsics, for knuckle track --camera."""
    columns: int = 9
    """Inner corners in a row of the board (where four squares meet)."""
    rows: int = 6
    """Rows of inner corners."""

    def run(self) -> int:
        """Calibrate, write and print."""
        from knuckle.output import make_room
        from knuckle.progress import Progress
        from knuckle.video import open_source
        from knuckle.video.calibrate import calibrate

        make_room(self.output)  # before minutes of looking at boards, not after
        with open_source(self.source) as source, Progress(source.info) as progress:
            found = calibrate(map(progress.passing, source), self.columns, self.rows)
        found.camera.save(self.output)
        print(f"{found}\n  {self.output}")
        return 0


@dataclass(frozen=True)
class ShowCamera:
    """Print the focal length, centre and field of view in a camera file.

    For a rig, also print where its cameras are and which axis points up.
    """

    camera: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """Intrinsics as JSON, as written by knuckle camera calibrate, or the calibration of a rig."""
    unit: Annotated[str | None, optional("UNIT")] = None
    """Rig: the unit of length, if its file does not say: m, mm, cm, inch, or a number of mm."""

    def run(self) -> int:
        """Print."""
        from knuckle.views.dialects import is_rig

        print(_rig_told(self.camera, self.unit) if is_rig(self.camera) else _told_of(self.camera))
        return 0


def _told_of(path: Path) -> str:
    from knuckle.camera import Camera

    return _lens_told(Camera.load(path))


def _rig_told(path: Path, unit: str | None) -> str:
    """A line for each camera, and one for the world."""
    from knuckle.views import Rig

    rig = Rig.load(path, unit)
    first = rig.cameras[0].centre_mm
    lines = []
    for each in rig.cameras:
        x, y, z = each.centre_mm
        away = ((each.centre_mm - first) ** 2).sum() ** 0.5
        beside = f", {away:.0f} mm from {rig.names[0]}" * (each is not rig.cameras[0])
        late = f", {1000 * each.late_s:+.0f} ms late" * bool(each.late_s)
        size = "" if each.size is None else f", calibrated at {each.size[0]} x {each.size[1]} px"
        lines.append(
            f"{each.name} at {x:.0f}, {y:.0f}, {z:.0f} mm{beside}{late}{size}"
            f"\n  {_lens_told(each.camera)}"
        )
    why = f"as {path.name} says" if rig.stated_up else "as most of their pictures stand"
    return "\n".join([*lines, f"up is {rig.up}, {why}"])


def _lens_told(camera: Camera) -> str:
    import numpy as np

    width, height = 2 * camera.cx + 1, 2 * camera.cy + 1
    edges = np.array([[-0.5, camera.cy], [width - 0.5, camera.cy]])
    across = np.degrees(np.ptp(np.arctan(camera.rays(edges)[:, 0])))
    return (
        f"focal length {camera.fx:.1f} x {camera.fy:.1f} px, centre {camera.cx:.1f}, "
        f"{camera.cy:.1f} px; about {width:.0f} x {height:.0f} px and {across:.1f}° across"
    )


@dataclass(frozen=True)
class Scale:
    """Measure a hand lying flat beside an object of known size, for --hand-length-mm."""

    source: Source
    """Hand and object on a table, an inch apart, from above: a video, images or a camera."""
    thing: Literal["card", "a4", "a5", "letter", "board"] = "card"
    """The object: a bank card, a sheet of paper, or a checkerboard (see below)."""
    camera: File = None
    """Intrinsics as JSON. From straight above, the assumed ones are good enough."""
    columns: int = 9
    """Board: inner corners in a row."""
    rows: int = 6
    """Board: rows of inner corners."""
    square_mm: float = 25.0
    """Board: side of a square."""
    weights: Weights = None

    def run(self) -> int:
        """Measure and print."""
        from knuckle.hand_scale import measure_hand
        from knuckle.pipeline import HandEstimator
        from knuckle.progress import Progress
        from knuckle.video import open_source
        from knuckle.video.reference import SHEETS, Board

        sheet = SHEETS.get(self.thing)
        thing = sheet or Board(self.columns, self.rows, self.square_mm)
        estimator = HandEstimator(max_hands=2, weights_dir=self.weights)
        camera = load_camera(self.camera)
        with open_source(self.source) as source, Progress(source.info) as progress:
            print(measure_hand(map(progress.passing, source), estimator, thing, camera))
        return 0


@dataclass(frozen=True)
class CalibrateRig:
    """Calibrate the poses of several cameras from videos of moving hands, or of a moving board."""

    source: Sources
    """A video from each camera, of the same hands or of a ChArUco board.
    Move both hands slowly through the whole view, fingers spread, opening and closing them."""
    intrinsics: Annotated[str, optional("FILE,FILE")] = ""
    """Of each camera, in order, as JSON (knuckle camera calibrate), or one file for all.
    By default a 65° field of view is assumed, and the poses are as rough as that guess."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path("rig.toml")
    """File for the rig, an aniposelib toml, for knuckle track --rig."""
    hand_length_mm: Number = None
    """The person's wrist to the tip of the middle finger, along the bones. It sets the scale."""
    charuco: Annotated[str, optional("COLUMNSxROWS")] = ""
    """Squares of a printed ChArUco board that is carried through the videos, such as 5x7.
    It gives better poses than hands do."""
    square_mm: float = 30.0
    """Board: side of a square."""
    marker_mm: Number = None
    """Board: side of a marker; by default three quarters of a square's."""
    dictionary: Annotated[str, tyro.conf.arg(metavar="NAME")] = "4X4_50"
    """Board: the dictionary of its markers, by OpenCV's name."""
    together: Switch = False
    """The videos started at the same time. By default, offsets are found by the hands' motion."""
    fps: Number = None
    """Frame rate of folders of images; by default 30."""
    max_hands: int = 2
    """Follow at most this many hands in each video."""
    weights: Weights = None

    def run(self) -> int:
        """Track each video, calibrate, write and print."""
        from knuckle.hand import check_hand_length
        from knuckle.output import make_room
        from knuckle.views.recordings import calibrate_from_boards, calibrate_from_videos

        if len(self.source) < 2:
            raise InputError("expected the videos of two cameras or more, of the same hands")
        if self.hand_length_mm is not None:
            check_hand_length(self.hand_length_mm)
        make_room(self.output)  # before minutes of tracking, not after
        files = [Path(name) for name in names_of(self.intrinsics)]
        if len(files) not in (0, 1, len(self.source)):
            raise InputError(
                f"--intrinsics names {len(files)} files for {len(self.source)} videos: give one "
                "for each, or one for all"
            )
        lenses = [load_camera(path) for path in files * (1 if len(files) > 1 else len(self.source))]
        how: dict[str, Any] = {
            "fps": self.fps, "together": self.together, "max_hands": self.max_hands,
            "weights_dir": self.weights,
        }  # fmt: skip
        given = lenses or [None] * len(self.source)
        found: RigCalibration | BoardCalibration
        if self.charuco:
            found = calibrate_from_boards(self.source, given, self._board(), **how)
        else:
            found = calibrate_from_videos(
                self.source, given, hand_length_mm=self.hand_length_mm, **how
            )
        found.rig.save(self.output)
        print(found)
        if not self.together:
            told = ", ".join(f"{1000 * offset:+.0f} ms" for offset in found.rig.late_s)
            print(
                f"clocks of the videos at one instant: {told}; stored in the rig. Track these, and "
                "others that start in the same way, as they are, and all others with --sync"
            )
        print(f"  {self.output}")
        return 0

    def _board(self) -> Charuco:
        """The board that the flags describe."""
        from knuckle.views.boards import Charuco

        if self.hand_length_mm is not None:
            raise InputError("a board sets the scale itself: leave out --hand-length-mm")
        squares = re.fullmatch(r"(\d+)x(\d+)", self.charuco)
        if squares is None:
            raise InputError(
                f"--charuco is COLUMNSxROWS, squares and not corners, as 5x7; got {self.charuco!r}"
            )
        marker = 0.75 * self.square_mm if self.marker_mm is None else self.marker_mm
        columns, rows = map(int, squares.groups())
        return Charuco(columns, rows, self.square_mm, marker, self.dictionary)


@dataclass(frozen=True)
class CameraVerb:
    """Calibrate cameras and rigs, and measure the length of a hand."""

    action: (
        Annotated[Calibrate, tyro.conf.subcommand("calibrate")]
        | Annotated[CalibrateRig, tyro.conf.subcommand("rig")]
        | Annotated[Scale, tyro.conf.subcommand("scale")]
        | Annotated[ShowCamera, tyro.conf.subcommand("show")]
    )

    def run(self) -> int:
        """Run the action."""
        return self.action.run()
