"""``knuckle data fit``: how well the parametric hand fits a data set, in numbers and pictures."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.camera import Camera
from knuckle.data.fitted import FittedSet, believed
from knuckle.data.show import overlay
from knuckle.draw import SIDE_COLOURS
from knuckle.errors import InputError, NotWrittenError
from knuckle.hand import (
    ARTICULATIONS,
    BONES,
    JOINT_NAMES,
    N_JOINTS,
    SIDES,
    Side,
    bone_lengths,
    joint_angles,
)
from knuckle.render.fitting import HandFit
from knuckle.render.hand_model import PART_NAMES, HandModel
from knuckle.render.layers import NO_PART, HandLayers, draw_layers
from knuckle.sample import HandLabel, Sample

_HEADING = ("joint", "labels", "mean mm", "median mm", "95 % mm", "mean px", "95 % px")
#: What lies behind hands that are drawn without their picture.
_PAPER = 245


@dataclass(frozen=True, eq=False)
class FitTable:
    """The fitted hands of a data set's pictures, one row a hand."""

    picture: np.ndarray  # (N,) key of the picture
    hand: np.ndarray  # (N,) number of the hand in the picture
    fit: HandFit  # in each picture's camera
    believed: np.ndarray  # (N,) bool, see ``fitted.believed``
    #: (N, 21) from each label to the fitted joint in the picture, NaN without label.
    residual_px: np.ndarray

    def __len__(self) -> int:
        return len(self.picture)

    def rows(self) -> Iterator[tuple[str, int, float, float, float, float, float]]:
        """For each joint, and for all: labels, mean, median and 95 % in mm, mean and 95 % in px."""
        mm, px = self.fit.residual[self.believed], self.residual_px[self.believed]
        for name, column in [*zip(JOINT_NAMES, range(N_JOINTS), strict=True), ("all", slice(None))]:
            known = np.isfinite(mm[:, column])
            off_mm, off_px = mm[:, column][known], px[:, column][known]
            if known.any():
                yield (
                    name, int(known.sum()), off_mm.mean(), np.median(off_mm),
                    np.percentile(off_mm, 95), off_px.mean(), np.percentile(off_px, 95),
                )  # fmt: skip


def measure(dataset: FittedSet) -> FitTable:
    """The fits of all pictures of a data set, without reading any."""
    pictures: list[str] = []
    hands: list[int] = []
    fits, pixels = [], []
    for index in range(len(dataset)):
        record = dataset.record(index)
        if not record.hands or record.camera is None:
            continue
        fit = dataset.fit_of(index, record.hands)
        pictures += [record.key] * len(fit)
        hands += range(len(fit))
        fits.append(fit)
        pixels.append(_residual_px(fit, record.hands, record.camera))
    if not fits:
        raise InputError(
            "no picture has a camera and a labelled hand: there is nothing to fit; choose a data "
            "set with 3D joints"
        )
    fit = HandFit.joined(fits)
    return FitTable(
        np.array(pictures), np.array(hands), fit, believed(fit, dataset.settings),
        np.concatenate(pixels),
    )  # fmt: skip


def _residual_px(fit: HandFit, hands: tuple[HandLabel, ...], camera: Camera) -> np.ndarray:
    """(N, 21) px."""
    labels = np.array([hand.joints_px for hand in hands])
    off = np.linalg.norm(camera.project(fit.joints_mm) - labels, axis=-1)
    return np.where(np.isfinite(fit.residual), off, np.nan)


def print_table(table: FitTable, console: Console | None = None) -> None:
    """Say how far the fitted joints are from their labels."""
    console = console or Console()
    out = Table(title="from the labels to the fitted hand", title_justify="left")
    for number, name in enumerate(_HEADING):
        out.add_column(name, justify="right" if number else "left")
    for name, count, *values in table.rows():
        style = "bold" if name == "all" else None
        out.add_row(name, f"{count:,}", *(f"{value:.2f}" for value in values), style=style)
    console.print(out)
    labelled = np.isfinite(table.fit.residual).any(axis=1)
    console.print(
        f"{len(table):,} hands in {len(np.unique(table.picture)):,} pictures; "
        f"{int((~labelled).sum()):,} with too few labels to fit, "
        f"{int((labelled & ~table.fit.converged).sum()):,} not converged, "
        f"{int((labelled & table.fit.converged & ~table.believed).sum()):,} too far from their "
        "labels to be believed (left out above)"
    )


def write_table(table: FitTable, folder: Path) -> list[Path]:
    """Write ``fits.npz``, everything about every hand, and ``residuals.csv``, the table."""
    folder.mkdir(parents=True, exist_ok=True)
    fits, residuals = folder / "fits.npz", folder / "residuals.csv"
    fit, params = table.fit, table.fit.parameters
    sides = np.array(params.sides)
    np.savez_compressed(
        fits,
        picture=table.picture, hand=table.hand, side=sides,
        converged=fit.converged, believed=table.believed,
        pose_deg=params.pose_deg, shape=params.shape,
        R_camera_from_hand=params.R_camera_from_hand, root_mm=params.root_mm,
        joints_mm=fit.joints_mm.astype(np.float32),
        joint_sigma_mm=fit.joint_sigma_mm.astype(np.float32),
        residual_mm=fit.residual.astype(np.float32),
        residual_px=table.residual_px.astype(np.float32),
        joint_angles_deg=_angles(fit.joints_mm, sides).astype(np.float32),
        bone_lengths_mm=bone_lengths(fit.joints_mm).astype(np.float32),
        joint_names=np.array(JOINT_NAMES),
        angle_names=np.array(JOINT_NAMES)[ARTICULATIONS],
        bone_names=np.array([f"{JOINT_NAMES[a]} - {JOINT_NAMES[b]}" for a, b in BONES]),
        shape_names=np.array(HandModel.load().shape_names),
    )  # fmt: skip
    with residuals.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADING)
        for name, count, *values in table.rows():
            writer.writerow([name, count, *(f"{value:.3f}" for value in values)])
    return [fits, residuals]


def _angles(joints_mm: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """(N, 15, 2) degrees."""
    angles = np.empty((len(joints_mm), 15, 2))
    for side in SIDES:
        angles[sides == side] = joint_angles(joints_mm[sides == side], side)
    return angles


# --- pictures ------------------------------------------------------------------------------------


def write_pictures(dataset: FittedSet, folder: Path, *, count: int = 12) -> list[Path]:
    """Write ``over.jpg``, labels and masks on the pictures, and ``drawn.jpg``, the hands alone.

    ``drawn.jpg`` holds nothing of the pictures themselves: it may be shown where they may not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    over, drawn = [], []
    for index in np.unique(np.linspace(0, len(dataset) - 1, count).astype(int)).tolist():
        sample = dataset[index]
        fit = dataset.fit_of(index, sample.hands)
        if sample.camera is None or not believed(fit, dataset.settings).any():
            continue
        fit = fit.take(np.flatnonzero(believed(fit, dataset.settings)))
        layers = draw_layers(fit.parameters, sample.camera, sample.image.shape[:2])
        over.append(
            np.concatenate(
                [
                    overlay(sample),
                    _doubled(_shaded_over(sample.image, layers, fit.parameters.sides)),
                ],
                axis=1,
            )
        )
        drawn.append(drawing(sample, fit))
    paths = []
    for name, tiles in (("over.jpg", over), ("drawn.jpg", drawn)):
        if tiles:
            paths.append(_write(folder / name, _stacked(tiles)))
    return paths


def drawing(sample: Sample, fit: HandFit) -> np.ndarray:
    """Fitted hands on plain paper: skin with the labelled joints, parts, and depth.

    Args:
        sample: gives camera, size and labels; its pixels are not shown.
        fit: the hands to draw.

    Returns:
        (2 h, 6 w, 3) uint8 RGB, of the h x w px around the hands.
    """
    assert sample.camera is not None
    layers = draw_layers(fit.parameters, sample.camera, sample.image.shape[:2])
    window = _window(layers)
    paper = np.full((*layers.hand_map.shape, 3), _PAPER, np.uint8)
    on_hand = layers.hand_map > 0
    parts, depth = paper.copy(), paper.copy()
    parts[on_hand] = _lit(_part_colours()[layers.part_map[on_hand]], layers.normals[on_hand])
    depth[on_hand] = _depth_colours(layers.depth_mm[on_hand])
    skin = replace(sample, image=_shaded_over(paper, layers, fit.parameters.sides), hand_map=None)
    panels = [overlay(skin), _doubled(parts), _doubled(depth)]
    rows, columns = (slice(2 * axis.start, 2 * axis.stop) for axis in window)
    return np.concatenate([panel[rows, columns] for panel in panels], axis=1)


def _window(layers: HandLayers, margin_px: int = 20) -> tuple[slice, slice]:
    """Rows and columns around the hands."""
    rows, columns = np.nonzero(layers.hand_map)
    height, width = layers.hand_map.shape
    if not len(rows):
        return slice(0, height), slice(0, width)
    return (
        slice(max(rows.min() - margin_px, 0), min(rows.max() + margin_px, height)),
        slice(max(columns.min() - margin_px, 0), min(columns.max() + margin_px, width)),
    )


def _shaded_over(image: np.ndarray, layers: HandLayers, sides: Sequence[Side]) -> np.ndarray:
    """The hands as if lit from the camera, half transparent over a picture."""
    colours = np.array([SIDE_COLOURS[side] for side in sides], np.uint8)
    on_hand = layers.hand_map > 0
    lit = _lit(colours[layers.hand_map[on_hand] - 1], layers.normals[on_hand])
    out = image.copy()
    out[on_hand] = (0.6 * lit + 0.4 * image[on_hand]).astype(np.uint8)
    return out


def _lit(colour: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(K, 3) uint8 colours of surfaces with normals (K, 3), lit from the camera."""
    facing = np.clip(-normals[:, 2:], 0, 1)
    return (colour * (0.35 + 0.65 * facing)).astype(np.uint8)


def _part_colours() -> np.ndarray:
    """(256, 3) uint8: neighbouring parts differ; metacarpals share the palm's hue."""
    hues = np.array([20, 0, 8, 14, 26, 34, 42, 56, 66, 76, 92, 104, 112, 126, 138, 150, 0, 18, 22])
    hsv = np.stack([hues, np.full(len(hues), 150), np.full(len(hues), 255)], axis=1)
    hsv[[0, 17, 18], 1] = (70, 90, 110)
    colours = np.full((NO_PART + 1, 3), _PAPER, np.uint8)
    rgb = cv2.cvtColor(hsv.astype(np.uint8)[None], cv2.COLOR_HSV2RGB)[0]
    colours[: len(PART_NAMES)] = rgb
    return colours


def _depth_colours(depth_mm: np.ndarray) -> np.ndarray:
    """(K, 3) uint8: near is bright."""
    near, far = depth_mm.min(), depth_mm.max()
    share = (far - depth_mm) / max(float(far - near), 1.0)
    bgr = cv2.applyColorMap((255 * share).astype(np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)
    return np.ascontiguousarray(bgr[:, 0, ::-1])


def _doubled(image: np.ndarray) -> np.ndarray:
    return image.repeat(2, axis=0).repeat(2, axis=1)


def _stacked(tiles: list[np.ndarray]) -> np.ndarray:
    """Tiles of any size below each other."""
    width = max(tile.shape[1] for tile in tiles)
    padded = [
        np.pad(tile, ((0, 8), (0, width - tile.shape[1]), (0, 0)), constant_values=_PAPER)
        for tile in tiles
    ]
    return np.concatenate(padded)


def _write(path: Path, image: np.ndarray) -> Path:
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise NotWrittenError(f"{path} cannot be written; is its folder writable?")
    return path
