"""Resident memory over a long video.

    python benchmarks/memory.py --minutes 60

A file of that length is made by repeating the demo clip (its packets with new timestamps, without
re-encoding), and ``knuckle track`` writes all tables from it as for a user. Its resident memory is
read from the system every so many frames, and repeatedly while it turns its journals into files at
the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path

import av
import numpy as np

from board import Table, command
from track_process import TrackProcess

FPS = 30
#: What is held after so many frames is what is held: networks, decoder and buffers are there.
WARM_FRAMES = 1800


def write_long(clip: Path, path: Path, frames: int) -> None:
    """A video of so many frames (rounded up to whole repeats): the clip over and over."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        kept = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
        step = round(Fraction(1, FPS) / stream.time_base)
        for repeat in range(-(-frames // len(kept))):
            for data, pts, dts, is_key in kept:
                packet = av.Packet(data)
                shift = repeat * len(kept) * step
                packet.pts, packet.dts, packet.is_keyframe = pts + shift, dts + shift, is_key
                packet.time_base, packet.stream = stream.time_base, copied
                target.mux(packet)


def watch(process: TrackProcess, every: int) -> tuple[list[tuple[int, float]], list[float]]:
    """(frames, MB) every so many frames, and the MB while it closes its files."""
    readings: list[tuple[int, float]] = []
    closing: list[float] = []
    before = 0
    for done in process.frames(wake_s=0.2):
        idle = done == before  # nothing comes any more, or not yet
        before = done
        if idle or done % every == 0:
            held = process.resident_mb()
            if held is None:
                break
            if idle:
                closing.append(held)
            else:
                readings.append((done, held))
                closing.clear()  # what came before was a pause
    return readings, closing


@dataclass(frozen=True)
class Flatness:
    """How flat memory stayed once warm.

    Attributes:
        median_mb: of all readings.
        above_mb, below_mb: the farthest readings from it.
        growth_mb_per_hour: slope of the line through the readings.
    """

    median_mb: float
    above_mb: float
    below_mb: float
    growth_mb_per_hour: float

    @classmethod
    def of(cls, readings: Sequence[tuple[int, float]]) -> Flatness:
        """From (frames, MB) readings of which at least two are warm.

        Raises:
            ValueError: there are fewer.
        """
        warm = np.array([reading for reading in readings if reading[0] >= WARM_FRAMES])
        if len(warm) < 2:
            raise ValueError(
                f"expected 2 readings after {WARM_FRAMES} frames, got {len(warm)}: take more "
                "minutes, or read more often"
            )
        frames, held = warm.T
        middle = float(np.median(held))
        slope = float(np.polyfit(frames / FPS / 3600, held, 1)[0])
        return cls(middle, float(held.max()) - middle, middle - float(held.min()), slope)


def table(readings: Sequence[tuple[int, float]], lines: int = 12) -> str:
    """Markdown: some of the readings, evenly spread."""
    shown = sorted(set(np.linspace(0, len(readings) - 1, lines).round().astype(int).tolist()))
    rows = [(readings[i][0] / FPS / 60, readings[i][1]) for i in shown]
    return Table({"minute of video": "{:.1f}", "resident, MB": "{:.1f}"}).text(rows)


@dataclass(frozen=True)
class Memory:
    """Watch the memory of a long run."""

    minutes: float = 60.0
    """Length of the video."""
    every: int = 900
    """Frames between two readings."""
    formats: str = "npz,json,csv,parquet"
    """What is written meanwhile."""

    def run(self) -> None:
        """Make the video, track it, print what it held."""
        frames = round(self.minutes * 60 * FPS)
        clip = resources.files("knuckle") / "demo" / "hands.mp4"
        with resources.as_file(clip) as short, tempfile.TemporaryDirectory() as folder:
            video = Path(folder, "long.mp4")
            write_long(short, video, frames)
            with TrackProcess([video, "-o", folder, "--format", self.formats]) as process:
                readings, closing = watch(process, self.every)
                process.finish()
        print(f"{self.minutes:g} minutes of video, {frames} frames, {self.formats}\n")
        print(table(readings))
        flat, most = Flatness.of(readings), max(closing, default=float("nan"))
        print(
            f"\nFrom minute {WARM_FRAMES / FPS / 60:g} on: median {flat.median_mb:.1f} MB, at most "
            f"{flat.above_mb:.1f} MB above and {flat.below_mb:.1f} MB below it; growing by "
            f"{flat.growth_mb_per_hour:+.1f} MB an hour; at most {most:.1f} MB "
            "while files were closed"
        )


if __name__ == "__main__":
    command(Memory)
