"""``knuckle track`` with several cameras."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import repeat
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from knuckle.cli.tracking import Track, default_folder, formats_of, names_of
from knuckle.cli.verb import given
from knuckle.errors import InputError

if TYPE_CHECKING:
    from knuckle.job import Summary
    from knuckle.views import Rig, RigTracker
    from knuckle.views.sync import Motion

#: Seconds from the beginning that --sync and --unit hands look at.
_FIRST_S = 20.0


def track_rig(verb: Track) -> Summary:
    """Track what several cameras see, as the flags of ``knuckle track`` say."""
    from knuckle.job import open_sinks, run
    from knuckle.progress import Progress
    from knuckle.video import open_sources
    from knuckle.views.record import RigRecord

    rig = _rig(verb)
    with open_sources(verb.source, fps=verb.fps) as opened:
        sizes = [source.size for source in opened.sources]
        live = opened.info.live
        _say(opened.paces_apart() if verb.sync else opened.remarks)
    rig = _of_recordings(verb, rig, sizes)
    tracker = _tracker(verb, rig if live else rig.in_step())
    folder = _folder(verb, live=live)
    formats = formats_of(verb.format) + ["overlay"] * verb.overlay
    with open_sources(verb.source, fps=verb.fps, offsets_s=rig.late_s.tolist()) as sources:
        record = RigRecord(
            folder, rig, verb.source, sizes, formats, open_sinks,
            fps=sources.info.fps, weights=tracker.versions,
        )  # fmt: skip
        with Progress(sources.info) as progress:
            summary = run(sources, tracker, [record], on_frame=progress.advance)
    _say(tracker.remarks)
    return summary


def _of_recordings(verb: Track, rig: Rig, sizes: Sequence[tuple[int, int]]) -> Rig:
    """The rig as it took these recordings: at their sizes, with their clocks, in millimetres."""
    if verb.rescale:
        rig = rig.resized(sizes)
    for each, size in zip(rig.cameras, sizes, strict=True):
        each.check_size(size)
    if verb.sync:
        rig = rig.with_late(_offsets(verb, rig))
    elif rig.late_s.any():
        _say([f"by {rig.source}, clocks differ at one instant: {_told(verb, rig.late_s)}"])
    return _of_the_hands(verb, rig) if verb.unit == "hands" else rig


def _tracker(verb: Track, rig: Rig) -> RigTracker:
    from knuckle.views import RigTracker

    if verb.threads is not None and verb.threads < 1:
        raise InputError(f"--threads must be at least 1, got {verb.threads}")
    return RigTracker(
        rig, max_hands=verb.max_hands, smooth=None if verb.raw else "one_euro",
        weights_dir=verb.weights, workers=verb.threads,
        **given(smallest_hand=verb.smallest_hand),
    )  # fmt: skip


def _folder(verb: Track, *, live: bool) -> Path:
    """Where results go; not where the calibration lies, which they would overwrite."""
    folder = verb.output or default_folder(verb.source[0], live=live)
    if verb.rig is not None and _is_same(folder / "rig.toml", verb.rig):
        raise InputError(
            f"{verb.rig} would be written over by the cameras of this run: expected another folder "
            "as --output"
        )
    return folder


def _is_same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def _rig(verb: Track) -> Rig:
    """The cameras that took the sources, in their order; refuses flags for one camera."""
    from knuckle.video import open_sources
    from knuckle.views import Rig

    if not verb.source:
        raise InputError("expected a video, or several with --rig: knuckle track SOURCE")
    if verb.rig is None:
        raise InputError(
            f"{len(verb.source)} sources need --rig FILE, the calibration of their cameras; "
            "knuckle camera rig makes one from people's hands before them"
        )
    of_one = {
        "--camera": verb.camera is not None,
        "--offline": verb.offline,
        "--hand-length-mm": verb.hand_length_mm is not None,
    }
    given = [flag for flag, there in of_one.items() if there]
    if given:
        raise InputError(
            f"{given[0]} is for one camera: a rig has its own lenses, measures the hands and looks "
            "at each instant once; leave it out"
        )
    if len(verb.source) < 2:
        raise InputError(
            f"a rig needs two sources or more, got {verb.source[0]} alone: give a file per camera"
        )
    rig = Rig.load(verb.rig, 1.0 if verb.unit == "hands" else verb.unit)
    if verb.up is not None:
        rig = rig.with_up(verb.up)
    if verb.views:
        views = names_of(verb.views)
        if len(views) != len(verb.source):
            raise InputError(
                f"--views names {len(views)} camera{'s' * (len(views) != 1)} for "
                f"{len(verb.source)} sources: expected one for each, of {', '.join(rig.names)}"
            )
        return rig.select(views)
    try:
        found = rig.for_videos(verb.source)
    except InputError:
        with open_sources(verb.source, fps=verb.fps):
            raise  # but a file that is not there is told first
    if found is rig:  # told by their order, which may be any
        pairs = zip(verb.source, rig.names, strict=True)
        told = ", ".join(f"{Path(source).name} is taken for {camera}" for source, camera in pairs)
        _say([f"{told}, by their order; if it is another, give it with --views"])
    return found


def _offsets(verb: Track, rig: Rig) -> list[float]:
    """When each source began, from the hands in it: their rays, or else how they bend."""
    from knuckle.progress import bar
    from knuckle.views.lateness import lateness
    from knuckle.views.sync import follow

    _refuse_live(verb)
    with bar("finding the offsets") as advance:
        seen = [
            follow(source, each.camera, fps=verb.fps, max_hands=verb.max_hands,
                   first_s=_FIRST_S, weights_dir=verb.weights,
                   on_source=partial(advance, number, len(rig)))
            for number, (source, each) in enumerate(zip(verb.source, rig.cameras, strict=True))
        ]  # fmt: skip
    try:
        found = lateness(rig, seen)
    except InputError:
        return _by_fingers(verb, [each.motion for each in seen])
    told = _told(verb, found.late_s, found.doubt_s)
    _say([f"clocks of the sources at one instant: {told}"])
    return found.late_s.tolist()


def _by_fingers(verb: Track, motions: Sequence[Motion]) -> list[float]:
    """When each source began, from how the fingers in it bend."""
    from knuckle.views.sync import doubts, offsets

    clocks_s = offsets(motions)
    doubt_s = doubts(motions, clocks_s)
    known = all(map(isfinite, doubt_s))
    unknown = (
        "; how far off these may be is not known, as they hang on one moment of the recordings: "
        "expected hands that open and close several times, for some seconds"
    )
    told = _told(verb, clocks_s, doubt_s if known else None)
    _say([f"clocks of the sources at one instant, by fingers alone: {told}{unknown * (not known)}"])
    return clocks_s


def _told(verb: Track, clocks_s: Iterable[float], doubt_s: Iterable[float] | None = None) -> str:
    """What the clock of each source shows, and how far that may be off."""
    doubts = repeat(0.0) if doubt_s is None else doubt_s
    return ", ".join(
        f"{Path(source).name} {1000 * clock_s:+.0f}{f' ± {1000 * doubt:.0f}' if doubt else ''} ms"
        for source, clock_s, doubt in zip(verb.source, clocks_s, doubts, strict=False)
    )


def _of_the_hands(verb: Track, rig: Rig) -> Rig:
    """The rig in millimetres, by the size of the hands before it."""
    from itertools import islice

    from knuckle.progress import Progress
    from knuckle.video import open_sources
    from knuckle.views.scale import unit_by_hands

    _refuse_live(verb)
    with open_sources(verb.source, fps=verb.fps, offsets_s=rig.late_s.tolist()) as sources:
        count = round(_FIRST_S * (sources.info.fps or 30.0))
        shown = replace(sources.info, n_frames=min(sources.info.n_frames or count, count))
        with Progress(shown) as progress:
            instants = map(progress.passing, islice(sources, count))
            unit = unit_by_hands(rig.in_step(), instants, verb.max_hands, verb.weights)
    _say([f"one unit of the rig is {unit.mm:.4g} mm ± {unit.doubt:.0%}, by the size of the hands"])
    return rig.scaled(unit.mm)


def _refuse_live(verb: Track) -> None:
    from knuckle.video import open_sources

    with open_sources(verb.source, fps=verb.fps) as sources:
        if sources.info.live:
            raise InputError(
                "--sync and --unit hands look at the sources twice, and one of these is live: "
                "record them first"
            )


def _say(remarks: list[str]) -> None:
    for remark in remarks:
        print(f"knuckle: {remark}", file=sys.stderr)
