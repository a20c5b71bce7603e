"""How a hand looks in a notebook: a small drawing, which needs no library and no picture file."""

from __future__ import annotations

import numpy as np

from knuckle.hand import BONES

#: Side of the drawing, and its margin, px.
_SIDE_PX, _MARGIN_PX = 96, 8


def drawing_of(joints_px: np.ndarray, title: str) -> str:
    """An SVG of a hand's bones with a line of text beneath; ``joints_px`` is (21, 2).

    Bones are left out whose ends are not known, as behind a camera of a rig.
    """
    known = np.isfinite(joints_px).all(axis=1)
    seen = joints_px[known] if known.any() else np.zeros((1, 2))
    low, extent = seen.min(axis=0), max(float(np.ptp(seen, axis=0).max()), 1e-9)
    scale = (_SIDE_PX - 2 * _MARGIN_PX) / extent
    points = np.where(known[:, None], joints_px - low, 0.0) * scale + _MARGIN_PX
    lines = "".join(
        f'<line x1="{points[a][0]:.1f}" y1="{points[a][1]:.1f}" x2="{points[b][0]:.1f}" '
        f'y2="{points[b][1]:.1f}" stroke="hsl({72 * (bone // 4)}, 70%, 45%)"/>'
        for bone, (a, b) in enumerate(BONES)
        if known[a] and known[b]
    )
    return (
        f'<div style="display:inline-block"><svg width="{_SIDE_PX}" height="{_SIDE_PX}" '
        f'stroke-width="3" stroke-linecap="round">{lines}</svg><br><small>{title}</small></div>'
    )
