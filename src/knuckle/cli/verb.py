"""What verbs share: the kinds of arguments they take, and the codes they end with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import tyro

from knuckle.formats import FORMATS

if TYPE_CHECKING:
    from knuckle.camera import Camera

EXIT_ERROR = 2
EXIT_SIGNAL = 128  # plus the signal's number, as shells do


#: Help of flags that several verbs have.
_ADDRESS = "Serve on this address. The default can only be reached from this machine."
_SMALLEST_HAND = (
    "Find hands down to this fraction of the picture's longer side; by default 0.03. Below 0.05, "
    "the picture is also searched in tiles, which takes longer."
)
_INTRINSICS = (
    "Intrinsics as JSON: fx, fy, cx, cy, distortion. By default a 65° field of view is assumed."
)
_HAND_LENGTH = "Length from the wrist to the tip of the middle finger, if known. It sets the scale."
_WEIGHTS = "Folder of networks to use instead of those in the package."
_THREADS = "CPU threads for each network. 1 is faster on a busy machine."


def given(**options: Any) -> dict[str, Any]:
    """Those options that were given; the others stay as they come."""
    return {name: value for name, value in options.items() if value is not None}


def optional(metavar: str, **more: Any) -> object:
    """How an argument shows that may be left out: the help says what then is, not ``None``."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="", **more)


Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
Sources = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="SOURCE [SOURCE …]", help_behavior_hint="(required)"),
]
Result = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RESULT")]
Dataset = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
Output = Annotated[Path | None, optional("FOLDER", aliases=["-o"])]
File = Annotated[Path | None, optional("FILE")]
Folder = Annotated[Path | None, optional("FOLDER")]
Number = Annotated[float | None, optional("NUMBER")]
Switch = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
Formats = Annotated[
    str,
    tyro.conf.arg(
        metavar="NAME,NAME", help=f"Separated by commas: {', '.join(FORMATS)} (docs/formats.md)."
    ),
]
Address = Annotated[str, tyro.conf.arg(metavar="ADDRESS", help=_ADDRESS)]
Port = Annotated[int, tyro.conf.arg(help="Serve on this port, or on the next free one.")]
MaxHands = Annotated[int, tyro.conf.arg(help="Follow at most this many hands at a time.")]
SmallestHand = Annotated[float | None, optional("SHARE", help=_SMALLEST_HAND)]
Intrinsics = Annotated[Path | None, optional("FILE", help=_INTRINSICS)]
HandLength = Annotated[float | None, optional("NUMBER", help=_HAND_LENGTH)]
Weights = Annotated[Path | None, optional("FOLDER", help=_WEIGHTS)]
Threads = Annotated[int, tyro.conf.arg(help=_THREADS)]
Up = Annotated[Literal["x", "y", "z", "-x", "-y", "-z"] | None, optional("AXIS")]
SplitName = Annotated[str, tyro.conf.arg(metavar="SPLIT")]


class Verb(Protocol):
    """What every verb is."""

    def run(self) -> int:
        """Do it; return the exit code."""


def load_camera(path: Path | None) -> Camera | None:
    """The intrinsics in a file; None where none is given."""
    from knuckle.camera import Camera

    return None if path is None else Camera.load(path)
