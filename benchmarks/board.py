"""What benchmarks share: names of systems and sets, the systems asked, the format of rows."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import tyro

from knuckle.camera import Camera
from knuckle.errors import KnuckleError
from knuckle.hand import Side
from peers.process import MediaPipe, MediaPipeSettings

#: Systems, by the names that they have in every table.
KNUCKLE, RAW, PEER = "Knuckle", "Knuckle, raw", "MediaPipe full"
#: Where real data lies, and a teacher's labels of its photographs.
SHARED, LABELS = Path("../shared/data"), Path("recipes/labels.json.xz")

# Flags that mean the same everywhere.
Data = Annotated[Path, tyro.conf.arg(help="Folder of the real data; docs/data.md.")]
Labels = Annotated[Path, tyro.conf.arg(help="A teacher's labels of the photographs.")]
Weights = Annotated[
    Path | None, tyro.conf.arg(help="Folder of other networks than those in the package.")
]
PeerPython = Annotated[
    Path | None,
    tyro.conf.arg(
        help='Python of an environment with mediapipe==0.10.21 (extra "peers"); left out: '
        "Knuckle alone."
    ),
]


class Benchmark(Protocol):
    """A frozen dataclass whose fields are its flags."""

    def run(self) -> None:
        """Measure and print."""


def command(benchmark: Callable[..., Benchmark]) -> None:
    """Run it with the flags of the command line; what is foreseen to go wrong is one sentence."""
    try:
        tyro.cli(benchmark).run()
    except KnuckleError as error:
        sys.exit(f"{error}; docs/data.md says which folders there are, --data where they lie")


class Hand(Protocol):
    """What is asked of a system's hand; ``knuckle.HandPose`` is one."""

    side: Side
    joints_px: np.ndarray  # (21, 2)
    joints_mm: np.ndarray  # (21, 3)


class Picture(Protocol):
    """What a system is given; ``knuckle.sample.Sample`` is one."""

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    @property
    def camera(self) -> Camera | None:
        """Intrinsics, if they are known."""


#: A system finds the hands of each picture by itself.
System = Callable[[Sequence[Picture]], list[list[Hand]]]


def knuckle_system(weights: Path | None = None, **options: Any) -> System:
    """Knuckle as its users call it; ``options`` are those of ``HandEstimator``."""
    from knuckle import HandEstimator

    estimator = HandEstimator(weights_dir=weights, **options)
    return lambda pictures: [list(estimator(p.image, camera=p.camera)) for p in pictures]


def mediapipe_system(python: Path, settings: MediaPipeSettings) -> System:
    """MediaPipe in the environment of ``python``; it cannot use intrinsics."""
    peer = MediaPipe(python, settings)
    return lambda pictures: list(map(list, peer.predict([p.image for p in pictures])))


def with_peer(systems: dict[str, System], python: Path | None) -> dict[str, System]:
    """The same systems, and MediaPipe full at its most generous, if there is a Python for it."""
    if python is None:
        return systems
    return {**systems, PEER: mediapipe_system(python, MediaPipeSettings(max_hands=8))}


@dataclass(frozen=True)
class Table:
    """A Markdown table.

    Attributes:
        columns: title of each column, and how its values are shown, such as ``{:.1f} mm``.
    """

    columns: Mapping[str, str]

    @property
    def head(self) -> str:
        """The titles and the line below them."""
        return f"| {' | '.join(self.columns)} |\n{'|---' * len(self.columns)}|"

    def row(self, *values: object) -> str:
        """A line; words stand as they are, what is not known (None, NaN) is a dash."""
        forms = self.columns.values()
        cells = [_cell(form, value) for form, value in zip(forms, values, strict=True)]
        return f"| {' | '.join(cells)} |"

    def text(self, rows: Iterable[Sequence[object]]) -> str:
        """All of it."""
        return "\n".join([self.head, *(self.row(*values) for values in rows)])


def _cell(form: str, value: object) -> str:
    if isinstance(value, str):
        return value
    unknown = value is None or (isinstance(value, float) and math.isnan(value))
    return "–" if unknown else form.format(value)
