"""What holds for every form of a calibration in ``DIALECTS``."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.views.dialects import DIALECTS
from knuckle.views.rig import Rig
from rigs import LENSES, SIZE
from rigs import rig as make_rig

ORDINARY = (LENSES[0], LENSES[1], LENSES[3])


def _storage(path: Path, values: dict[str, np.ndarray | list[str]]) -> None:
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in values.items():
        file.write(name, value)
    file.release()


def write_aniposelib(rig: Rig, folder: Path) -> Path:
    rig.save(folder / "calibration.toml")
    text = (folder / "calibration.toml").read_text().replace('unit = "mm"', "adjusted = false")
    (folder / "calibration.toml").write_text(text)
    return folder / "calibration.toml"


def write_caliscope(rig: Rig, folder: Path) -> Path:
    parts = []
    for number, each in enumerate(rig.cameras):
        T, camera = each.T_camera_from_world, each.camera
        distortions = (*camera.distortion, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
        parts.append(
            f"[cameras.{number}]\ncam_id = {number}\nsize = {list(SIZE)}\n"
            f"matrix = {camera.matrix.tolist()}\ndistortions = {list(distortions)}\n"
            f"translation = {(T.translation_mm / 1000).tolist()}\n"
            f"rotation = {T.rotation.tolist()}\n"
        )
    (folder / "camera_array.toml").write_text("\n".join(parts))
    return folder / "camera_array.toml"


def write_interhand(rig: Rig, folder: Path) -> Path:
    capture: dict[str, dict] = {"campos": {}, "camrot": {}, "focal": {}, "princpt": {}}
    for each in rig.cameras:
        camera = each.camera
        capture["campos"][each.name] = each.centre_mm.tolist()
        capture["camrot"][each.name] = each.T_camera_from_world.rotation.tolist()
        capture["focal"][each.name] = [camera.fx, camera.fy]
        capture["princpt"][each.name] = [camera.cx, camera.cy]
    (folder / "InterHand2.6M_test_camera.json").write_text(json.dumps({"3": capture}))
    return folder / "InterHand2.6M_test_camera.json"


def write_opencv_stereo(rig: Rig, folder: Path) -> Path:
    first, second = rig.cameras
    between = second.T_camera_from_world @ first.T_camera_from_world.inverse()
    values = {
        "M1": first.camera.matrix, "D1": np.array([first.camera.distortion or [0.0] * 5]),
        "M2": second.camera.matrix, "D2": np.array([second.camera.distortion or [0.0] * 5]),
        "R": between.rotation, "T": between.translation_mm[:, None],
    }  # fmt: skip
    _storage(folder / "stereo.yml", values)
    return folder / "stereo.yml"


def write_easymocap(rig: Rig, folder: Path) -> Path:
    intrinsic: dict = {"names": list(rig.names)}
    extrinsic: dict = {"names": list(rig.names)}
    for each in rig.cameras:
        T = each.T_camera_from_world
        intrinsic[f"K_{each.name}"] = each.camera.matrix
        intrinsic[f"dist_{each.name}"] = np.array([each.camera.distortion or [0.0] * 5])
        extrinsic[f"R_{each.name}"] = cv2.Rodrigues(T.rotation)[0]
        extrinsic[f"Rot_{each.name}"] = T.rotation
        extrinsic[f"T_{each.name}"] = T.translation_mm[:, None] / 1000
    _storage(folder / "intri.yml", intrinsic)
    _storage(folder / "extri.yml", extrinsic)
    return folder


def write_bodypose3d(rig: Rig, folder: Path) -> Path:
    def rows(array: np.ndarray) -> str:
        return "\n".join(" ".join(map(repr, row)) for row in np.atleast_2d(array).tolist())

    for number, each in enumerate(rig.cameras):
        distortion = np.array((*each.camera.distortion, 0.0, 0.0, 0.0, 0.0, 0.0)[:5])
        T = each.T_camera_from_world
        (folder / f"c{number}.dat").write_text(
            f"intrinsic:\n{rows(each.camera.matrix)}\ndistortion:\n{rows(distortion)}\n"
        )
        (folder / f"rot_trans_c{number}.dat").write_text(
            f"R:\n{rows(T.rotation)}\nT:\n{rows(T.translation_mm[:, None])}\n#below: notes\n1 2\n"
        )
    return folder


#: How each form is written, and whether it says its unit.
WRITERS: dict[str, tuple[Callable[[Rig, Path], Path], bool]] = {
    "aniposelib": (write_aniposelib, False),
    "caliscope": (write_caliscope, True),
    "interhand": (write_interhand, True),
    "opencv_stereo": (write_opencv_stereo, False),
    "easymocap": (write_easymocap, True),
    "bodypose3d": (write_bodypose3d, False),
}


def written(name: str) -> Rig:
    """A rig that the form can hold."""
    if name == "interhand":
        return make_rig(3, lenses=(LENSES[1], Camera(500.0, 505.0, 300.0, 250.0)))
    if name == "aniposelib":
        return make_rig(4)
    return make_rig(2 if name == "opencv_stereo" else 3, lenses=ORDINARY)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_the_file_says_is_read(name: str, tmp_path: Path) -> None:
    write, says_unit = WRITERS[name]
    rig = written(name)
    path = write(rig, tmp_path)
    if not says_unit:
        with pytest.raises(ValueError, match=r"does not say its unit .* --unit hands"):
            Rig.load(path)
    found = Rig.load(path, unit=None if says_unit else "mm")
    assert len(found) == len(rig)
    first = rig.cameras[0].T_camera_from_world if name == "opencv_stereo" else None
    points = np.random.default_rng(0).normal(0, 80, (30, 3))
    for theirs, ours in zip(found.cameras, rig.cameras, strict=True):
        seen = points if first is None else first(points)  # there, the world is the first camera
        np.testing.assert_allclose(theirs.project(seen), ours.project(points), atol=1e-4)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_unit_that_is_given_overrules(name: str, tmp_path: Path) -> None:
    path = WRITERS[name][0](written(name), tmp_path)
    in_mm, in_cm = Rig.load(path, unit="mm"), Rig.load(path, unit="cm")
    for small, large in zip(in_mm.cameras, in_cm.cameras, strict=True):
        np.testing.assert_allclose(large.centre_mm, 10 * small.centre_mm, atol=1e-6)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_form_becomes_aniposelib_and_comes_back(name: str, tmp_path: Path) -> None:
    rig = Rig.load(WRITERS[name][0](written(name), tmp_path), unit="mm")
    rig.save(tmp_path / "again.toml")
    again = Rig.load(tmp_path / "again.toml")
    assert again.names == rig.names
    for one, other in zip(again.cameras, rig.cameras, strict=True):
        assert one.camera == other.camera and one.size == other.size
        T, S = one.T_camera_from_world, other.T_camera_from_world
        np.testing.assert_allclose(T.rotation, S.rotation, atol=1e-9)
        np.testing.assert_allclose(T.translation_mm, S.translation_mm, atol=1e-9)


@pytest.mark.parametrize("name", DIALECTS)
def test_only_its_own_reader_takes_it(name: str, tmp_path: Path) -> None:
    path = WRITERS[name][0](written(name), tmp_path)
    first = next(key for key, dialect in DIALECTS.items() if dialect.accepts(path))
    assert first == name


@pytest.mark.parametrize("name", DIALECTS)
def test_what_editors_do_to_text_is_read(name: str, tmp_path: Path) -> None:
    """A mark before it, and carriage returns."""
    path = WRITERS[name][0](written(name), tmp_path)
    before = Rig.load(path, unit="mm")
    for each in [path] if path.is_file() else list(path.iterdir()):
        each.write_bytes(codecs.BOM_UTF8 + each.read_bytes().replace(b"\n", b"\r\n"))
    for one, other in zip(Rig.load(path, unit="mm").cameras, before.cameras, strict=True):
        assert one.camera == other.camera
        np.testing.assert_array_equal(one.centre_mm, other.centre_mm)
