"""The forms in which calibrations are written.

A new form is one file with ``accepts`` and ``read``, and one line in ``DIALECTS``. All turn what
they find into cameras from the world, in millimetres; what a unit is they say or do not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from knuckle.address import at_home
from knuckle.errors import InputError, NotFoundError, reading
from knuckle.views.dialects import (
    aniposelib,
    bodypose3d,
    caliscope,
    easymocap,
    interhand,
    opencv_stereo,
)
from knuckle.views.dialects.parts import Calibration
from knuckle.views.rig import UNITS_MM, Rig


class Dialect(Protocol):
    """What the module of a form offers."""

    def accepts(self, path: Path) -> bool:
        """Whether a file or folder that is there has this form."""

    def read(self, path: Path) -> Calibration:
        """Read it, or raise a ``ValueError`` or ``KeyError``."""


#: Asked in this order; the first that accepts reads.
DIALECTS: dict[str, Dialect] = {
    "caliscope": caliscope,
    "aniposelib": aniposelib,
    "interhand": interhand,
    "opencv_stereo": opencv_stereo,
    "easymocap": easymocap,
    "bodypose3d": bodypose3d,
}

#: What the messages call them.
_FORMS = (
    "a toml of aniposelib, Pose2Sim or caliscope, InterHand2.6M's camera.json, OpenCV's stereo "
    "yml, a folder with EasyMocap's intri.yml and extri.yml or with c0.dat and rot_trans_c0.dat"
)


def is_rig(path: Path) -> bool:
    """Whether a calibration of several cameras is there, in whatever form."""
    path = at_home(path)
    return path.exists() and any(each.accepts(path) for each in DIALECTS.values())


def read_rig(path: Path, unit_mm: float | None) -> Rig:
    """Read a calibration in whatever form; see ``Rig.load``."""
    if not path.exists():
        raise NotFoundError(f"{path} does not exist: expected a calibration, {_FORMS}")
    dialect = next((each for each in DIALECTS.values() if each.accepts(path)), None)
    if dialect is None:
        raise InputError(f"{path} is no calibration that can be read: expected {_FORMS}")
    with reading(path, f"a calibration, {_FORMS}", "write it again with what calibrated"):
        try:
            found = dialect.read(path)
        except KeyError as error:
            raise InputError(f"{path} lacks {error.args[0]!r}: is it complete?") from None
    length = found.unit_mm if unit_mm is None else unit_mm
    if length is None:
        raise InputError(
            f"{path} does not say its unit of length (a camera is {found.longest:.3g} from the "
            f"origin): give unit= (--unit) {', '.join(UNITS_MM)}, the millimetres of one unit, "
            "such as a square of the board, or let hands tell it: knuckle track --unit hands"
        )
    return Rig(found.cameras, str(path), found.up).scaled(length)
