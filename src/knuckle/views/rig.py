"""A rig: cameras that stand still and know where they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from knuckle.address import at_home, shown
from knuckle.camera import Camera
from knuckle.errors import InputError, refuse_single, write_text
from knuckle.results import check_time
from knuckle.rigid import RigidTransform
from knuckle.up import AXES, nearest_axis

#: Millimetres of the lengths that ``Rig.load(path, unit=…)`` takes by name.
UNITS_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}
#: A rotation that was written with few digits is off a true one by less than this.
_ROUNDED = 0.01


@dataclass(frozen=True, eq=False)
class RigCamera:
    """One camera of a rig.

    Attributes:
        name: its name in the rig.
        camera: its intrinsics.
        T_camera_from_world: its pose, mm.
        size: (width, height) px at which it was calibrated; None if the file does not say.
        late_s: how many seconds before their time stamps its images were taken, relative to the
            rig's other cameras.
    """

    name: str
    camera: Camera
    T_camera_from_world: RigidTransform
    size: tuple[int, int] | None = None
    late_s: float = 0.0

    def __post_init__(self) -> None:
        try:
            check_time(self.late_s)
        except ValueError:
            raise InputError(
                f"camera {self.name}: late_s must be a finite number of seconds, got {self.late_s}"
            ) from None
        object.__setattr__(self, "T_camera_from_world", _checked(self))

    @property
    def centre_mm(self) -> np.ndarray:
        """(3,) position of the lens in the world, mm."""
        return self.T_camera_from_world.inverse().translation_mm

    def project(self, world_mm: np.ndarray) -> np.ndarray:
        """(..., 3) mm in the world -> (..., 2) px; NaN behind the camera."""
        return self.camera.project(self.T_camera_from_world(world_mm))

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse images whose size (width, height) differs from the calibrated one.

        Raises:
            ValueError: it differs; the message says whether scaling may help.
        """
        if self.size is None or self.size == size:
            self.camera.check_fits(*size)
            return
        (width, height), (w, h) = self.size, size
        if size == self.size[::-1]:
            way = "turn the pictures back, or calibrate them as they are"
        elif abs(width * h - height * w) <= max(width, height):
            way = (
                "if it is the same picture made smaller or larger, use Rig.resized "
                "(knuckle track --rescale); if the sensor was cropped, calibrate anew"
            )
        else:
            way = "calibrate it at this size"
        raise InputError(
            f"camera {self.name} was calibrated at {width} x {height} px, its pictures are "
            f"{w} x {h}: {way}"
        )


def _checked(rig_camera: RigCamera) -> RigidTransform:
    """Its pose with a rotation that is exactly one; ``ValueError`` if it mirrors, or is none."""
    name, T = rig_camera.name, rig_camera.T_camera_from_world
    if not (np.isfinite(T.rotation).all() and np.isfinite(T.translation_mm).all()):
        raise InputError(f"camera {name}: its rotation and translation must be finite numbers")
    left, scale, right = np.linalg.svd(T.rotation)
    if np.abs(scale - 1).max() > _ROUNDED:
        raise InputError(
            f"camera {name}: expected a rotation, got a matrix that stretches by "
            f"{scale.min():.3g} to {scale.max():.3g}: was it read by rows where it stands by "
            "columns, or is it a projection matrix?"
        )
    if np.linalg.det(left @ right) < 0:
        raise InputError(
            f"camera {name}: its rotation mirrors (determinant -1): expected a right-handed world "
            "and x right, y down, z forward in the camera; flip one axis of the world or of the "
            "camera where the file was written"
        )
    return replace(T, rotation=left @ right)


@dataclass(frozen=True, eq=False)
class Rig:
    """Calibrated cameras in one world frame.

    Attributes:
        cameras: two or more, with different names.
        source: where it was read from, for messages.
        stated_up: axis of the world that points up, such as "z" or "-y", as the file or ``with_up``
            says; None if neither does.
    """

    cameras: tuple[RigCamera, ...]
    source: str = "the rig"
    stated_up: str | None = None

    def __post_init__(self) -> None:
        if self.stated_up not in (None, *AXES):
            raise InputError(
                f"{self.source}: expected the axis that points up, one of {', '.join(AXES)}, got "
                f"{self.stated_up!r:.40}"
            )
        names = [each.name for each in self.cameras]
        if len(names) < 2:
            raise InputError(
                f"{self.source} has {len(names)} camera{'s' * (not names)}, expected two or more: "
                "for one, use knuckle track --camera"
            )
        if unfit := [name for name in names if not names_a_folder(name)]:
            raise InputError(
                f"{self.source}: expected cameras whose names can be those of folders (UTF-8, "
                f"without / and \\, not . or ..), got {unfit[0]!r:.80}: rename it there"
            )
        if len(set(names)) < len(names):
            raise InputError(f"{self.source}: cameras must differ in name, got {', '.join(names)}")
        centres_mm = [each.centre_mm for each in self.cameras]
        if not np.ptp(centres_mm, axis=0).any():
            raise InputError(
                f"{self.source}: all {len(names)} cameras stand at one place, from which no depth "
                "can be told: expected the translations of a calibration; calibrate them together "
                "(knuckle camera rig)"
            )

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the cameras, in order."""
        return tuple(each.name for each in self.cameras)

    @classmethod
    def load(cls, path: str | Path, unit: str | float | None = None) -> Rig:
        """Read a calibration in any of the formats in ``dialects.DIALECTS``.

        Args:
            path: a file, or a folder if the format has several files.
            unit: unit of the translations: "m", "cm", "mm", "inch", or the millimetres of one unit
                (such as the side of a board's square). Only needed if the file does not say; it
                overrides the usual unit of the format.

        Raises:
            FileNotFoundError: the path does not exist.
            ValueError: it is not a calibration, has fewer than two cameras, or no known unit.
        """
        from knuckle.views.dialects import read_rig  # which know this class

        return read_rig(at_home(path), None if unit is None else unit_mm(unit))

    def save(self, path: str | Path) -> None:
        """Write an aniposelib toml in millimetres, which ``load`` reads back, including the unit.

        Raises:
            OSError: it cannot be written.
        """
        from knuckle.views.dialects.aniposelib import write

        write_text(at_home(path), write(self))

    def select(self, names: Sequence[str]) -> Rig:
        """A rig of the named cameras, in this order.

        Raises:
            ValueError: it has no camera of that name.
        """
        refuse_single(names, "names of cameras")
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise InputError(
                f"{self.source} has no camera {', '.join(unknown)}: its cameras are "
                f"{', '.join(self.names)}"
            )
        cameras = [self.cameras[self.names.index(name)] for name in names]
        return replace(self, cameras=tuple(cameras))

    def for_videos(self, videos: Sequence[str]) -> Rig:
        """A rig of the cameras that took the given videos, in their order.

        A video belongs to the camera whose name is in the file's name, such as ``cam_1`` in
        ``take3_cam_1.mp4``, or spelled like ``Cam01``, also without leading letters and zeros
        (``1``, ``01``). Files of the same name are told apart by their folders. If no file names a
        camera, the videos are in the rig's order.

        Raises:
            ValueError: some files name a camera and others do not, or their numbers differ.
        """
        folders = [Path(video).parent.name for video in videos]
        claims = [_named(folder, self.names) for folder in folders]
        if len({Path(video).name for video in videos}) > 1 or not all(claims):
            claims = [_claims(Path(video).stem, self.names) for video in videos]
        if all(len(claim) == 1 for claim in claims) and len({c[0] for c in claims}) == len(claims):
            return self.select([claim[0] for claim in claims])
        if len(videos) == len(self) and all(len(claim) != 1 for claim in claims):
            return self
        told = [
            f"{name} ({' or '.join(claim) or 'none'})"
            for name, claim in zip(_short(videos), claims, strict=True)
        ]
        raise InputError(
            f"{self.source} has the cameras {', '.join(self.names)}, and it is not clear which of "
            f"them took {', '.join(told)}: name the files after the cameras, or say it with "
            "--views NAME,NAME,… in the order of the files"
        )

    @property
    def up(self) -> str:
        """The axis of the world that points up, such as "z".

        It is ``stated_up``, or else the axis nearest to the mean upward direction of the images.
        """
        upwards = -sum(each.T_camera_from_world.rotation[1] for each in self.cameras)
        return self.stated_up or nearest_axis(upwards)

    def with_up(self, up: str | None) -> Rig:
        """The rig in whose world this axis points up: "x", "y", "z", "-x", "-y" or "-z".

        With None, the cameras' images decide again.

        Raises:
            ValueError: it is no axis.
        """
        return replace(self, stated_up=up)

    @property
    def late_s(self) -> np.ndarray:
        """(V,) how late each camera is relative to the first, s."""
        late_s = np.array([each.late_s for each in self.cameras])
        return late_s - late_s[0]

    def with_late(self, late_s: Sequence[float] | np.ndarray) -> Rig:
        """The rig with this ``late_s`` for each of its cameras.

        Raises:
            ValueError: there are more or fewer numbers than cameras.
        """
        if len(late_s) != len(self):
            raise InputError(
                f"expected how late each of the {len(self)} cameras {', '.join(self.names)} is, s, "
                f"got {len(late_s)} numbers"
            )
        each = zip(self.cameras, late_s, strict=True)
        return replace(self, cameras=tuple(replace(camera, late_s=s) for camera, s in each))

    def in_step(self) -> Rig:
        """The rig for frames with corrected times (``open_sources(…, offsets_s=rig.late_s)``)."""
        return self.with_late([0.0] * len(self))

    def resized(self, sizes: Sequence[tuple[int, int]]) -> Rig:
        """The rig for its images scaled to these sizes (width, height).

        Raises:
            ValueError: a camera's calibrated size is unknown, or has another aspect ratio, or there
                are more or fewer sizes than cameras.
        """
        if len(sizes) != len(self):
            raise InputError(
                f"expected (width, height) of the pictures of each of the {len(self)} cameras "
                f"{', '.join(self.names)}, got {len(sizes)}"
            )
        cameras = []
        for each, (width, height) in zip(self.cameras, sizes, strict=True):
            if each.size is None:
                raise InputError(
                    f"{self.source} does not say at which size {each.name} was calibrated: scale "
                    "its fx, fy, cx, cy yourself, or leave the rescaling out"
                )
            scale = width / each.size[0], height / each.size[1]
            if abs(scale[0] / scale[1] - 1) > _ROUNDED:
                raise InputError(
                    f"camera {each.name} was calibrated at {each.size[0]} x {each.size[1]} px, "
                    f"{width} x {height} is of another shape: calibrate it at this size"
                )
            camera = each.camera.resized(*scale)
            cameras.append(replace(each, camera=camera, size=(width, height)))
        return replace(self, cameras=tuple(cameras))

    def told(self, turn_deg: np.ndarray, shift_mm: np.ndarray) -> list[str]:
        """A line for each camera but the first: where it is, with (V,) errors of its pose."""
        first, *others = self.cameras
        errors = zip(others, turn_deg[1:], shift_mm[1:], strict=True)
        return [
            f"  {each.name}: {np.linalg.norm(each.centre_mm - first.centre_mm):.0f} mm away, "
            f"± {shift:.1f} mm and ± {turn:.2f}° against the others"
            for each, turn, shift in errors
        ]

    def scaled(self, factor: float) -> Rig:
        """The rig with all distances multiplied by a factor.

        Raises:
            ValueError: the factor is not positive.
        """
        if not factor > 0:
            raise InputError(f"a factor of distances must be positive, got {factor}")
        cameras = []
        for each in self.cameras:
            T = each.T_camera_from_world
            moved = replace(T, translation_mm=T.translation_mm * factor)
            cameras.append(replace(each, T_camera_from_world=moved))
        return replace(self, cameras=tuple(cameras))


def names_a_folder(name: str) -> bool:
    """Whether a folder of that name lies in the one that it is made in, on any system."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0") and name == shown(name)


def unit_mm(unit: str | float) -> float:
    """Millimetres of a unit, by its name or already a number; ``ValueError`` if it is neither."""
    if isinstance(unit, str) and unit in UNITS_MM:
        return UNITS_MM[unit]
    try:
        length = float(unit)
    except ValueError:
        length = float("nan")
    if not 0 < length < float("inf"):
        raise InputError(
            f"a rig's unit is one of {', '.join(UNITS_MM)} or the millimetres of one unit, "
            f"got {unit!r}"
        )
    return length


def _claims(stem: str, names: Sequence[str]) -> list[str]:
    """The cameras that a file's name may mean."""
    number = _number(stem)
    return _named(stem, names) or [
        name for name in names if number is not None and _number(name) == number
    ]


def _named(stem: str, names: Sequence[str]) -> list[str]:
    """The cameras that a name names."""
    exact = [name for name in names if name == stem]
    if exact:
        return exact
    within = [
        n for n in names if re.search(rf"(?<![a-z0-9]){re.escape(n)}(?![a-z0-9])", stem, re.I)
    ]
    if within:
        return within
    return [name for name in names if re.search(_spelt(name), stem, re.I)]


def _short(videos: Sequence[str]) -> list[str]:
    """Files by their names, or with their folders where these tell them apart."""
    names = [Path(video).name for video in videos]
    return (
        names if len(set(names)) == len(names) else ["/".join(Path(v).parts[-2:]) for v in videos]
    )


def _spelt(name: str) -> str:
    """A pattern of what means cam_1, or Pose2Sim's int_cam1_img, as well: cam1, Cam-01."""
    parts = re.search(r"([a-z]+)[\W_]*0*(\d+)", name, re.I)
    if parts is None or _number(name) is None:
        return r"(?!)"  # which nothing is like
    return rf"(?<![a-z]){parts[1]}[\W_]*0*{parts[2]}(?!\d)"


def _number(name: str) -> int | None:
    """The only number in a name such as cam_01."""
    numbers = re.findall(r"\d+", name)
    return int(numbers[0]) if len(numbers) == 1 else None
