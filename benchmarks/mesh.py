"""How long computing the skin over a hand takes, and how far it lies from the full fit.

    python benchmarks/mesh.py

Over the true joints of the shipped clip; one hand at a time, as in a video.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from knuckle.mesh import hand_mesh
from knuckle.render.fitting import fit_hands
from knuckle.render.hand_model import HandModel

TRUTH = Path(__file__).parents[1] / "src/knuckle/demo/hands_truth.npz"
FOREARM = 16


def main() -> None:
    """Measure and print."""
    with np.load(TRUTH) as truth:
        sides = truth["side"].tolist()
        hands = [
            (joints.astype(float), side)
            for of_frame in truth["joints_mm"][::4]
            for joints, side in zip(of_frame, sides, strict=True)
        ]
    model = HandModel.load()
    kept = np.unique(model.faces[(model.part[model.faces] != FOREARM).all(axis=1)])
    hand_mesh(*hands[0])
    fit_hands(hands[0][0][None], side=hands[0][1])
    mesh_ms, fit_ms, apart_mm = [], [], []
    for joints, side in hands:
        started = time.perf_counter()
        mesh = hand_mesh(joints, side)
        meshed = time.perf_counter()
        fit = fit_hands(joints[None], side=side)
        vertices = model.vertices(fit.parameters)[0, kept]
        fit_ms.append(1000 * (time.perf_counter() - meshed))
        mesh_ms.append(1000 * (meshed - started))
        apart_mm.append(np.linalg.norm(mesh.vertices_mm - vertices, axis=1))
    print(f"{len(hands)} hands, {len(kept)} vertices")
    print(f"HandPose.mesh: {np.median(mesh_ms):.2f} ms (best {min(mesh_ms):.2f})")
    print(f"fit and skin:  {np.median(fit_ms):.2f} ms (best {min(fit_ms):.2f})")
    print(f"apart: {np.mean(apart_mm):.2f} mm, 95 % within {np.percentile(apart_mm, 95):.2f} mm")


if __name__ == "__main__":
    main()
