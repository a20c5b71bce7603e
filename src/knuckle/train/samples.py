"""Pictures of a run: what the network was shown and what it answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
from torch import Tensor

from knuckle.draw import Colour, sheet, skeleton

_COLUMNS, _ROWS, _SCALE = 8, 4, 2


class SamplePictures(L.Callback):
    """At each validation, a sheet of the newest training batch with targets and answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._batch: dict[str, Tensor] | None = None

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch."""
        self._batch = batch

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Draw it."""
        if not trainer.is_global_zero or self._batch is None or "image" not in self._batch:
            return
        part = {key: value[: _COLUMNS * _ROWS] for key, value in self._batch.items()}
        module.eval()
        with torch.no_grad():
            if "points_px" in part:
                tiles = _draw_crops(
                    part, module.get_submodule("keypoints")(part["image"], part["known_px"])
                )
            else:
                tiles = _draw_frames(part, module.get_submodule("detector")(part["image"]))
        module.train()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{trainer.global_step:07d}.jpg"
        cv2.imwrite(str(path), sheet(tiles, _COLUMNS)[..., ::-1])


def _draw_crops(batch: dict[str, Tensor], out: Any) -> list[np.ndarray]:
    """Truth in green, answer in red, the mask's outline in blue."""
    tiles = []
    for i, crop in enumerate(batch["image"].cpu().numpy()):
        tile = cv2.resize(crop, None, fx=_SCALE, fy=_SCALE)
        mask = (out.mask_logit[i] > 0).cpu().numpy().astype(np.uint8)
        mask = cv2.resize(mask, tile.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, outline, -1, (60, 120, 255), 1)
        if batch["point_weight"][i].sum() > 0:
            _bones(tile, batch["points_px"][i], (40, 220, 40))
        if out.presence_logit[i] > 0:
            _bones(tile, out.keypoints_px[i], (255, 40, 40))
        tiles.append(tile)
    return tiles


def _draw_frames(batch: dict[str, Tensor], out: Any) -> list[np.ndarray]:
    """Peaks of left hands in red, of right hands in green; targets as circles."""
    tiles = []
    for i, frame in enumerate(batch["image"].cpu().numpy()):
        tile = frame.copy()
        peaks = out.peak_logit[i].sigmoid().cpu().numpy()
        for channel in (0, 1):
            heat = cv2.resize(peaks[channel], tile.shape[1::-1])
            tile[..., channel] = np.maximum(tile[..., channel], (heat * 255).astype(np.uint8))
            stride = tile.shape[0] / peaks.shape[1]
            for y, x in np.argwhere(batch["peaks"][i, channel].cpu().numpy() >= 1.0):
                size = float(torch.exp(batch["geometry"][i, 5 * channel + 2, y, x])) * 64
                centre = (int((x + 0.5) * stride), int((y + 0.5) * stride))
                cv2.circle(tile, centre, int(size / 2), (255, 255, 0), 1)
        tiles.append(tile)
    return tiles


def _bones(image: np.ndarray, points: Tensor, colour: Colour) -> None:
    skeleton(image, (points.cpu().numpy() + 0.5) * _SCALE - 0.5, colour, dot_px=0)
