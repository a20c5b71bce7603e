"""Accuracy and speed of fitting the parametric hand to labels, on hands with known truth.

    python benchmarks/fitting.py [--hands 1000]

Poses, shapes, sides and positions are drawn as the renderer does; labels are the joints: exact,
noisy, incomplete, or in 2D only. Times are processor time, so a busy machine changes them little;
run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.camera import Camera
from knuckle.metrics import mpjpe, pa_mpjpe
from knuckle.render.fitting import FitSettings, HandFit, fit_hands, fit_hands_2d, pose_prior
from knuckle.render.hand_model import HandModel, HandParameters, sample_shapes
from knuckle.render.poses import sample_poses

#: A picture of 1280 x 960 px in which a hand is some 250 px long.
CAMERA = Camera(1000.0, 1000.0, 639.5, 479.5)


def draw_hands(n: int) -> HandParameters:
    rng = np.random.default_rng(7)
    turns = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    turns[:, :, 0] *= np.linalg.det(turns)[:, None]
    return HandParameters(
        sample_poses(rng, n),
        sample_shapes(rng, n, HandModel.load().n_shape),
        turns,
        rng.normal((0, 0, 750), (120, 90, 100), (n, 3)),
        tuple(rng.choice(["left", "right"], n).tolist()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hands", type=int, default=1000)
    n = parser.parse_args().hands
    pose_prior()  # made once; not part of what is timed
    hands = draw_hands(n)
    truth, sides = HandModel.load().joints(hands).astype(np.float64), hands.sides
    rng = np.random.default_rng(1)

    def some(missing: int) -> np.ndarray:
        order = np.argsort(rng.random((n, 21)), axis=1)
        return order >= missing

    table = Table(title=f"{n} hands of many people and poses", title_justify="left")
    for name in (
        "labels", "seen joints, mm", "missing joints, mm", "root-relative, mm", "PA, mm",
        "converged", "hands / CPU s",
    ):  # fmt: skip
        table.add_column(name, justify="right" if table.columns else "left")

    def add(name: str, fit: Callable[[], HandFit], seen: np.ndarray) -> None:
        started = time.process_time()
        found = fit()
        seconds = time.process_time() - started
        error = np.linalg.norm(found.joints_mm - truth, axis=-1)
        missing = f"{error[~seen].mean():.2f}" if not seen.all() else ""
        table.add_row(
            name, f"{error[seen].mean():.2f}", missing,
            f"{mpjpe(found.joints_mm, truth).mean():.2f}",
            f"{pa_mpjpe(found.joints_mm, truth).mean():.2f}",
            f"{100 * found.converged.mean():.1f} %", f"{n / seconds:.0f}",
        )  # fmt: skip

    whole = np.ones((n, 21), bool)
    add("3D, exact", lambda: fit_hands(truth, side=sides), whole)
    for missing in (5, 10):
        seen = some(missing)
        add(f"3D, {missing} of 21 missing", lambda s=seen: fit_hands(truth, s, sides), seen)
    for sigma in (2.0, 5.0):
        noisy = truth + rng.normal(0, sigma, truth.shape)
        settings = FitSettings(joint_sigma_mm=sigma)
        add(
            f"3D, sigma {sigma:.0f} mm",
            lambda x=noisy, s=settings: fit_hands(x, side=sides, settings=s),
            whole,
        )
    for sigma in (1.0, 5.0):
        noisy_px = CAMERA.project(truth) + rng.normal(0, sigma, (n, 21, 2))
        add(
            f"2D, sigma {sigma:.0f} px",
            lambda x=noisy_px, s=sigma: fit_hands_2d(x, CAMERA, s, side=sides),
            whole,
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
