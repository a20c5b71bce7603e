"""Verbs that make the files that the runtime reads: exported networks, and quantised ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from knuckle.cli.verb import Folder, Switch, given, optional
from knuckle.errors import InputError


@dataclass(frozen=True)
class Export:
    """Export a training run to the ONNX files that the runtime reads, and verify their outputs."""

    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a training run (runs/NAME)."""
    output: Annotated[Path, tyro.conf.arg(metavar="FOLDER", aliases=["-o"])] = Path("weights")
    """Folder for the ONNX files, for knuckle track --weights."""
    full: Switch = False
    """Store weights in single instead of half precision: twice the size."""
    average_with: Folder = None
    """Average with the weights that the run started from, which is often better.
    Give the folder of their ONNX files, or of their run."""
    share: Annotated[float | None, optional("NUMBER")] = None
    """Share of those earlier weights in the average, 0 to 1; by default 0.3."""
    only: Annotated[str | None, optional("NAME,NAME")] = None
    """Average only these parts, such as keypoints.merge8; the others keep the earlier weights."""

    def run(self) -> int:
        """Export and say where the files are."""
        from knuckle.export import export

        if self.average_with is None and (self.share is not None or self.only):
            raise InputError(
                "--share and --only are of earlier weights: give their folder as --average-with"
            )
        for path in export(
            self.checkpoint,
            self.output,
            half=not self.full,
            earlier=self.average_with,
            only=self.only.split(",") if self.only else (),
            **given(share=self.share),
        ):
            print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
        return 0


@dataclass(frozen=True)
class Quantise:
    """Quantise exported networks to integers where the outputs hardly change, for speed."""

    networks: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the ONNX files."""
    pictures: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Folder with pictures of hands, for calibration; subfolders are searched too."""
    output: Annotated[Path, tyro.conf.arg(metavar="FOLDER", aliases=["-o"])] = Path("weights")
    """Folder for the quantised files; may be the same."""
    count: int = 80
    """Use this many of the pictures, evenly spaced."""
    most_change: float = 0.03
    """Quantise as long as no output changes by more than this share of its spread."""

    def run(self) -> int:
        """Quantise and say what became of it."""
        from knuckle.quantise import QuantiseSettings, quantise
        from knuckle.video.image import read_image

        settings = QuantiseSettings(self.most_change)
        pictures = map(read_image, self._some_pictures())
        for path, result in quantise(self.networks, pictures, self.output, settings).items():
            how_many = f"{len(result.parts)} of {result.n_parts} parts in integers"
            how_much = f"outputs change by {result.change:.1%} of their spread"
            print(f"{path}: {how_many}, {how_much} ({', '.join(result.parts)})")
        return 0

    def _some_pictures(self) -> list[Path]:
        from knuckle.video.folder import images_in
        from knuckle.video.image import is_image

        if self.count < 2:
            raise InputError(f"--count must be at least 2, got {self.count}")
        paths = sorted(filter(is_image, self.pictures.rglob("*")))
        # Where there is none, this says what is there instead.
        paths = paths or images_in(self.pictures)
        step = max(len(paths) / self.count, 1.0)
        return [paths[int(i * step)] for i in range(min(self.count, len(paths)))]
