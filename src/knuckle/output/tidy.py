"""A result as one tidy table: a row for each joint of each hand of each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from knuckle.hand import ARTICULATIONS, JOINT_NAMES, N_JOINTS, SIDES
from knuckle.output.errors import optional

if TYPE_CHECKING:
    from knuckle.output.records import Recording


def tidy_columns(hands: np.ndarray) -> dict[str, np.ndarray]:
    """Column -> (N * 21,) of records (N,) ``HAND``; NaN where there is no value."""
    columns = {
        name: np.repeat(hands[name], N_JOINTS)
        for name in ("frame", "time_s", "track_id", "side", "side_score", "score")
    }
    for place, name in enumerate(("box_x0_px", "box_y0_px", "box_x1_px", "box_y1_px")):
        columns[name] = np.repeat(hands["box_xyxy"][:, place], N_JOINTS)
    columns["joint"] = np.tile(np.array(JOINT_NAMES), len(hands))
    for name, values in (
        ("x_px", hands["joints_px"][..., 0]),
        ("y_px", hands["joints_px"][..., 1]),
        ("x_mm", hands["joints_mm"][..., 0]),
        ("y_mm", hands["joints_mm"][..., 1]),
        ("z_mm", hands["joints_mm"][..., 2]),
        ("joint_score", hands["joint_score"]),
        ("visible", hands["visible"]),
        ("sigma_mm", hands["joint_sigma_mm"]),
        ("bone_mm", _at(np.arange(1, N_JOINTS), hands["bone_lengths_mm"])),
        ("flexion_deg", _at(ARTICULATIONS, hands["joint_angles_deg"][..., 0])),
        ("spread_deg", _at(ARTICULATIONS, hands["joint_angles_deg"][..., 1])),
    ):
        columns[name] = np.ascontiguousarray(values).reshape(-1)
    return columns


def _at(joints: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(N, 21) with values (N, k) at some joints, NaN at the others."""
    table = np.full((len(values), N_JOINTS), np.nan, np.float32)
    table[:, joints] = values
    return table


def to_pandas(recording: Recording) -> Any:
    """The table as a ``pandas.DataFrame``; ``OutputError`` if pandas is missing.

    Sides and joints are categories in their order, the same of every recording: pandas makes text
    of others when it joins tables.
    """
    pandas = optional("pandas", "science", "to_pandas")
    frame = pandas.DataFrame(tidy_columns(recording.hands))
    orders = {"side": SIDES, "joint": JOINT_NAMES}
    return frame.astype({name: pandas.CategoricalDtype(of) for name, of in orders.items()})


def to_arrow(recording: Recording) -> Any:
    """The table as a ``pyarrow.Table``: ``polars.from_arrow`` takes it as it is.

    Raises:
        OutputError: pyarrow is missing.
    """
    pyarrow = optional("pyarrow", "parquet", "to_arrow")
    columns = tidy_columns(recording.hands)
    arrays = {
        name: pyarrow.array(values.tolist(), pyarrow.string()) if values.dtype.kind == "U" else
        pyarrow.array(values) for name, values in columns.items()
    }  # fmt: skip
    return pyarrow.table(arrays, metadata={b"knuckle": recording.info.to_json()})
