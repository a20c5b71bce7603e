"""``knuckle plot RESULT``: what every hand did, over time, as one picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from statistics import mode
from typing import TYPE_CHECKING

import numpy as np

from knuckle.address import shown
from knuckle.draw import FINGER_COLOURS, SIDE_COLOURS
from knuckle.hand import FINGER_NAMES, Joint
from knuckle.output import OutputError, Recording
from knuckle.output.sink import cannot_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: A gap longer than so many frames' time breaks a line.
_GAP_FRAMES = 5
_AXIS_COLOURS = {"x, right": "#d1495b", "y, down": "#3a9e5c", "z, forward": "#3067c8"}


def plot(recording: Recording, *, longest: int = 4) -> Figure:
    """A column per track: where its wrist is, how its fingers bend, how sure that is.

    At most ``longest`` tracks are drawn, those with the most frames.

    Raises:
        OutputError: there is no hand in it.
    """
    import matplotlib

    matplotlib.use("Agg")  # no window: the picture goes to a file
    from matplotlib.figure import Figure

    ids, counts = np.unique(recording.hands["track_id"], return_counts=True)
    if not len(ids):
        raise OutputError(f"there is nothing to plot: no hand in {recording.info.source}")
    ids = np.sort(ids[np.argsort(-counts, kind="stable")[:longest]])
    figure = Figure(figsize=(1.5 + 5.5 * len(ids), 9.5), layout="constrained")
    axes = figure.subplots(4, len(ids), sharex=True, sharey="row", squeeze=False)
    for column, track_id in zip(axes.T, ids, strict=True):
        hands = _with_gaps(recording.track(int(track_id)))
        side = mode(hands["side"].tolist())
        column[0].set_title(f"{side} hand, track {track_id}", color=_hex(SIDE_COLOURS[side]))
        _plot_wrist(column[0], hands, recording.info.space)
        _plot_flexion(column[1], hands)
        _plot_spread(column[2], hands)
        _plot_confidence(column[3], hands)
    for row, label in zip(
        axes, ("wrist, mm", "flexion per joint, °", "spread, °", "0 to 1"), strict=True
    ):
        row[0].set_ylabel(label)
        row[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("time, s")
    for axis in axes.flat:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    name = shown(Path(recording.info.source).name)
    # A name is no formula, whatever dollars it has.
    figure.suptitle(f"{name}: {_told_by(recording)}", fontsize=10, parse_math=False)
    return figure


def _told_by(recording: Recording) -> str:
    """What the millimetres rely on."""
    if recording.info.space == "world":
        return "several cameras, in the world of their rig"
    camera = recording.info.camera
    return f"camera{' (assumed)' * camera.assumed} f = {camera.fx:.0f} px"


def save_plot(recording: Recording, path: Path) -> None:
    """Plot and write a picture, whole or not at all; its kind is that of the name (.png, .svg)."""
    figure = plot(recording)
    aside = path.with_name(f"unfinished-{path.name}")
    try:
        with warnings.catch_warnings():
            # A name in a script that the font lacks is drawn as boxes; the plot is right.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(aside, dpi=110)
        aside.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    except ValueError as error:
        raise OutputError(
            f"cannot write the plot {path} ({error}): choose another name with --output"
        ) from None
    finally:
        aside.unlink(missing_ok=True)


def _plot_wrist(axis: Axes, hands: np.ndarray, space: str) -> None:
    """Which way the axes of a rig's world go, nobody says."""
    for i, (label, colour) in enumerate(_AXIS_COLOURS.items()):
        label = label if space == "camera" else label.partition(",")[0]
        axis.plot(hands["time_s"], hands["joints_mm"][:, Joint.WRIST, i], color=colour, label=label)


def _plot_flexion(axis: Axes, hands: np.ndarray) -> None:
    """Per finger the mean of its joints, which reads like the angle of one: about -30 to 110."""
    flexion = _by_finger(hands)[..., 0].mean(axis=2)
    for name, colour, values in zip(FINGER_NAMES, FINGER_COLOURS, flexion.T, strict=True):
        axis.plot(hands["time_s"], values, color=_hex(colour), label=f"{name}, mean of 3")


def _plot_spread(axis: Axes, hands: np.ndarray) -> None:
    spread = _by_finger(hands)[:, :, 0, 1]
    for name, colour, values in zip(FINGER_NAMES, FINGER_COLOURS, spread.T, strict=True):
        axis.plot(hands["time_s"], values, color=_hex(colour), label=f"{name}, base")


def _plot_confidence(axis: Axes, hands: np.ndarray) -> None:
    axis.plot(hands["time_s"], hands["score"], color="#222222", label="hand")
    axis.plot(hands["time_s"], hands["side_score"], color="#999999", label="side")
    joints = hands["joint_score"]
    axis.plot(hands["time_s"], joints.mean(axis=1), color="#7b5ea7", label="joints, mean")
    axis.fill_between(
        hands["time_s"],
        joints.min(axis=1),
        joints.max(axis=1),
        color="#7b5ea7",
        alpha=0.18,
        linewidth=0,
        label="joints, all",
    )
    axis.set_ylim(-0.03, 1.03)


def _by_finger(hands: np.ndarray) -> np.ndarray:
    """(n, 5, 3, 2) flexion and spread of the three joints of each finger, degrees."""
    return hands["joint_angles_deg"].reshape(len(hands), len(FINGER_NAMES), 3, 2)


def _with_gaps(hands: np.ndarray) -> np.ndarray:
    """The records of a track, with a row of NaN wherever it was lost for a while.

    Angles do not jump from 180 to -180 degrees.
    """
    steps = np.diff(hands["time_s"])
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = np.flatnonzero(steps > _GAP_FRAMES * usual) + 1
    nothing = np.zeros(1, hands.dtype)
    for name in ("joints_mm", "joint_angles_deg", "score", "side_score", "joint_score"):
        nothing[name] = np.nan
    nothing["side"] = hands["side"][0]
    parts: list[np.ndarray] = []
    for part in np.split(hands, gaps):
        if parts:
            nothing["time_s"] = part["time_s"][0]
            parts.append(nothing.copy())
        part = part.copy()
        part["joint_angles_deg"] = np.unwrap(part["joint_angles_deg"], axis=0, period=360)
        parts.append(part)
    return np.concatenate(parts)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
