"""RHD, the Rendered Hand Pose Dataset (Zimmermann and Brox, ICCV 2017): two rendered hands, 320².

Labels are a pickle of metres in the camera frame, pixels and visibility: both hands of the figure
in every picture, also where they are outside of it. Masks tell the parts of the hands apart.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.camera import Camera
from knuckle.data.json_stream import BrokenDataError, BrokenRecordsError, MissingDataError
from knuckle.data.labelled import (
    DropReport,
    Groups,
    LabelledSet,
    Record,
    check_split,
    described,
    is_finite,
    read_grey,
)
from knuckle.errors import reading
from knuckle.hand import N_JOINTS, Side, in_picture, order_from_names
from knuckle.sample import UNKNOWN, HandLabel

#: RHD's order of one hand: the wrist, then each finger from the tip to the palm.
_THEIR_JOINTS = (
    "wrist",
    *("thumb_tip", "thumb_ip", "thumb_mcp", "thumb_cmc"),
    *("index_tip", "index_dip", "index_pip", "index_mcp"),
    *("middle_tip", "middle_dip", "middle_pip", "middle_mcp"),
    *("ring_tip", "ring_dip", "ring_pip", "ring_mcp"),
    *("little_tip", "little_dip", "little_pip", "little_mcp"),
)
_ORDER = order_from_names(_THEIR_JOINTS)
_JOINTS_OF: dict[Side, np.ndarray] = {"left": _ORDER, "right": _ORDER + N_JOINTS}
#: Values of the mask that show each hand (0 background, 1 the rest of the figure).
_MASK_OF: dict[Side, tuple[int, int]] = {"left": (2, 17), "right": (18, 33)}
_FIRST_OF_HANDS = 2
_FOLDERS = {"train": "training", "test": "evaluation"}
_MM_PER_METRE = 1000.0
_SIZE = (320, 320)
#: Where the numpy that runs here keeps what pickled arrays ask for; older ones kept it elsewhere.
_NUMPY_MODULE = np.zeros(0).__reduce__()[0].__module__


class Rhd(LabelledSet):
    """RHD as it is unpacked.

    Args:
        root: the folder that holds ``training`` and ``evaluation`` (``RHD_published_v2``).
        split: train or test (their "evaluation").
    """

    name = "rhd"
    splits = ("train", "test")
    license = "LicenseRef-RHD-research-only"

    def __init__(self, root: Path, split: str = "train") -> None:
        check_split("RHD", split, _FOLDERS)
        self.split = split
        self.folder = Path(root) / _FOLDERS[split]
        self.labels = _read_labels(self.folder / f"anno_{_FOLDERS[split]}.pickle")
        self.ids = sorted(self.labels)
        self.report = DropReport(total=len(self.ids), kept=len(self.ids))

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether ``root`` looks like RHD."""
        return any((root / f / f"anno_{f}.pickle").exists() for f in _FOLDERS.values())

    def __len__(self) -> int:
        return len(self.ids)

    def record(self, index: int) -> Record:
        """The labels of one picture: the hands of which at least one joint is inside it.

        Raises:
            BrokenDataError: they are none.
        """
        number = self.ids[index]
        path = self.folder / "color" / f"{number:05d}.png"
        with reading(path, "a picture with labels", "leave it out", error=BrokenDataError):
            label = self.labels[number]
            K = label["K"]
            camera = Camera(K[0, 0], K[1, 1], K[0, 2], K[1, 2])
            hands = tuple(
                HandLabel(
                    side=side,
                    joints_px=label["uv_vis"][joints, :2],
                    joints_mm=label["xyz"][joints] * _MM_PER_METRE,
                    visible=label["uv_vis"][joints, 2] > 0,
                )
                for side, joints in _JOINTS_OF.items()
            )
        return Record(
            key=f"{self.split}_{number:05d}",
            path=path,
            hands=tuple(hand for hand in hands if in_picture(hand.joints_px, _SIZE).any()),
            camera=camera,
            group=f"{self.split}/{number}",
        )

    def hand_map(self, index: int) -> np.ndarray | None:
        """Which pixels show which hand."""
        path = self.folder / "mask" / f"{self.ids[index]:05d}.png"
        parts = read_grey(path)
        # Of a hand without a joint in the picture nothing else is told.
        hand_map = np.where(parts >= _FIRST_OF_HANDS, np.uint8(UNKNOWN), np.uint8(0))
        for number, hand in enumerate(self.record(index).hands, start=1):
            first, last = _MASK_OF[hand.side]
            hand_map[(parts >= first) & (parts <= last)] = number
        return hand_map

    def groups(self) -> Groups:
        """The labels do not say which figure acts: every picture is its own."""
        return Groups.of(len(self))


class _ForeignObjectError(pickle.UnpicklingError):
    """A pickle wants more than arrays."""


class _ArraysOnly(pickle.Unpickler):
    """Builds numpy arrays and plain containers; a pickle may otherwise run any program."""

    def find_class(self, module: str, name: str) -> Any:
        """Only what an array needs."""
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}:
            return super().find_class(module, name)
        inside_numpy = module in {"numpy.core.multiarray", "numpy._core.multiarray"}
        if inside_numpy and name in {"_reconstruct", "scalar"}:
            return super().find_class(_NUMPY_MODULE, name)
        raise _ForeignObjectError(f"it asks for {module}.{name}, which no label needs")


def _read_labels(path: Path) -> dict[int, dict[str, np.ndarray]]:
    """Picture number -> {xyz (42, 3), uv_vis (42, 3), K (3, 3)}."""
    try:
        labels = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except FileNotFoundError:
        raise MissingDataError(f"{path} does not exist; unpack RHD again") from None
    except _ForeignObjectError as error:
        raise BrokenDataError(f"{path} cannot be read ({error}); unpack RHD again") from None
    except Exception as error:  # a damaged pickle fails in every way there is
        raise BrokenDataError(f"{path} is damaged; unpack RHD again") from error
    if not isinstance(labels, dict) or not all(
        isinstance(number, int) and isinstance(label, dict) for number, label in labels.items()
    ):
        raise BrokenDataError(f"{path} must hold a label for each picture; unpack RHD again")
    shapes = {"xyz": (42, 3), "uv_vis": (42, 3), "K": (3, 3)}
    broken = [
        f"record {number}: {key} must be {shape} finite numbers, found {described(label.get(key))}"
        for number, label in labels.items()
        for key, shape in shapes.items()
        if not is_finite(label.get(key), shape)
    ]
    if broken:
        raise BrokenRecordsError(path, broken)
    return labels
