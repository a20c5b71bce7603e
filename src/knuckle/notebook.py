"""How a hand looks in a notebook: a small drawing, which needs no library and no picture file."""

from __future__ import annotations

import numpy as np

from knuckle.hand import BONES

#: Side of the drawing, and its margin, px.
_SIDE_PX, _MARGIN_PX = 96, 8


def drawing_of(joints_px: np.ndarray, title: str) -> str:
    """An SVG of a hand's bones with a line of text beneath; ``joints_px`` is (21, 2)."""
    low = np.nanmin(joints_px, axis=0)
    extent = max(float(np.nanmax(joints_px - low)), 1e-9)
    scale = (_SIDE_PX - 2 * _MARGIN_PX) / extent
    points = np.nan_to_num((joints_px - low) * scale + _MARGIN_PX)
    lines = "".join(
        f'<line x1="{points[a][0]:.1f}" y1="{points[a][1]:.1f}" x2="{points[b][0]:.1f}" '
        f'y2="{points[b][1]:.1f}" stroke="hsl({72 * (bone // 4)}, 70%, 45%)"/>'
        for bone, (a, b) in enumerate(BONES)
    )
    return (
        f'<div style="display:inline-block"><svg width="{_SIDE_PX}" height="{_SIDE_PX}" '
        f'stroke-width="3" stroke-linecap="round">{lines}</svg><br><small>{title}</small></div>'
    )
