"""Rigs: what they refuse, which camera took which video, other sizes and units."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.cli import main
from knuckle.errors import InputError, KnuckleError
from knuckle.rigid import RigidTransform
from knuckle.views.dialects.parts import lens
from knuckle.views.recordings import _names
from knuckle.views.rig import Rig, unit_mm
from rigs import rig as make_rig


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", "..", ".", "", "caf\udce9"])
def test_a_camera_whose_results_would_lie_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    first, second = make_rig(2).cameras
    with pytest.raises(InputError, match="names can be those of folders"):
        Rig((first, replace(second, name=name)))
    make_rig(2).save(tmp_path / "rig.toml")
    text = (tmp_path / "rig.toml").read_text().replace('"cam_1"', json.dumps("../up"))
    (tmp_path / "rig.toml").write_text(text)
    with pytest.raises(InputError, match=r"rig\.toml: expected cameras whose .* got '\.\./up'"):
        Rig.load(tmp_path / "rig.toml")


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["take/left.mp4", "take/right.mp4"], ["left", "right"]),
        (["1/a.mp4", "2/a.mp4"], ["cam_0", "cam_1"]),
        (["caf\udce9 1.mp4", "\U0001f4f7.mp4"], ["caf 1", "\U0001f4f7"]),
        (["\udcff.mp4", "b.mp4"], ["cam_0", "cam_1"]),
        ([".", "../b"], ["cam_0", "cam_1"]),
    ],
)
def test_cameras_are_called_as_their_files_are_in_text(
    sources: list[str], names: list[str], tmp_path: Path
) -> None:
    called = _names(sources)
    assert called == names
    cameras = zip(make_rig(2).cameras, called, strict=True)
    Rig(tuple(replace(each, name=name) for each, name in cameras)).save(tmp_path / "rig.toml")
    assert Rig.load(tmp_path / "rig.toml").names == tuple(names)


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (np.diag([1.0, 1.0, -1.0]), "mirrors .* right-handed"),
        (np.eye(3) * 2, "stretches by 2"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_what_is_no_rotation_is_refused(matrix: np.ndarray, says: str) -> None:
    camera = make_rig(2).cameras[0]
    with pytest.raises(ValueError, match=f"camera cam_0: .*{says}"):
        replace(camera, T_camera_from_world=RigidTransform(matrix, np.zeros(3)))


def test_a_rounded_rotation_becomes_a_true_one() -> None:
    camera = make_rig(2).cameras[0]
    T = camera.T_camera_from_world
    rounded = replace(camera, T_camera_from_world=replace(T, rotation=T.rotation.round(3)))
    R = rounded.T_camera_from_world.rotation
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)


def test_numbers_that_no_rig_can_take_are_told() -> None:
    with pytest.raises(ValueError, match=r"each of the 3 cameras cam_0, cam_1, cam_2 .* got 2"):
        make_rig(3).with_late([0.0, 0.1])
    with pytest.raises(ValueError, match="must be positive, got -1"):
        make_rig(3).scaled(-1.0)


def test_cameras_at_one_place_are_no_rig() -> None:
    cameras = [
        replace(each, T_camera_from_world=RigidTransform(np.eye(3), np.zeros(3)))
        for each in make_rig(3).cameras
    ]
    with pytest.raises(ValueError, match="all 3 cameras stand at one place"):
        Rig(tuple(cameras))


def test_words_for_numbers_are_told_with_the_file(tmp_path: Path) -> None:
    make_rig(2).save(tmp_path / "rig.toml")
    text = (tmp_path / "rig.toml").read_text().replace("rotation = [", "rotation = ['a', ", 1)
    (tmp_path / "rig.toml").write_text(text)
    with pytest.raises(KnuckleError, match=r"rig\.toml is damaged or not a calibration"):
        Rig.load(tmp_path / "rig.toml")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("matrix", [[500, 0, 0], [0, 500, 0], [320, 240, 1]], "got 320 240 1: transpose it"),
        ("matrix", [[500, 0, 320], [0, 500, 240], [0, 0, 2]], "must be 0 0 1, got 0 0 2"),
        ("matrix", [[500, 0, 320], [7, 500, 240], [0, 0, 1]], "must begin with 0, got 7"),
        ("rotation", [0, 90, 0], "are these degrees"),
        ("fisheye", "false", "fisheye must be true or false"),
    ],
)
def test_numbers_in_another_form_are_told(
    key: str, value: object, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "rig.toml"
    make_rig(2).save(path)
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(f"{key} = "))
    lines[first] = f"{key} = {json.dumps(value)}"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=f"rig.toml: camera cam_0: .*{says}"):
        Rig.load(path)


@pytest.mark.parametrize(("skew", "told"), [(0.3, 0), (-4.0, 1)])
def test_a_skew_that_moves_pixels_is_told(skew: float, told: int) -> None:
    """Files of other programs may have one; it was left out in silence."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        lens([[500, skew, 320], [0, 500, 240], [0, 0, 1]], name="left")
    assert [str(each.message)[:26] for each in said] == ["camera left: the skew of i"] * told


def test_cameras_may_be_called_by_their_serial_numbers(tmp_path: Path) -> None:
    """As a hand writes them into EasyMocap's files: without quotes."""

    def matrix(name: str, columns: int, numbers: list[float]) -> str:
        rows = len(numbers) // columns
        return (
            f"{name}: !!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n"
            f"   data: {numbers}\n"
        )

    intrinsic = extrinsic = "%YAML:1.0\n---\nnames:\n   - 23334091\n   - 23334092\n"
    for number in (23334091, 23334092):
        K = [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
        intrinsic += matrix(f"K_{number}", 3, K)
        extrinsic += matrix(f"R_{number}", 1, [0.0, 0.0, 0.0])
        extrinsic += matrix(f"T_{number}", 1, [number - 23334091.0, 0.0, 1.0])
    (tmp_path / "intri.yml").write_text(intrinsic)
    (tmp_path / "extri.yml").write_text(extrinsic)
    assert Rig.load(tmp_path).names == ("23334091", "23334092")


def test_one_camera_is_no_rig() -> None:
    with pytest.raises(ValueError, match="has 1 camera, expected two or more"):
        Rig(make_rig(2).cameras[:1])
    with pytest.raises(ValueError, match="must differ in name"):
        Rig(make_rig(2).cameras[:1] * 2)


@pytest.mark.parametrize(
    ("videos", "names"),
    [
        (["cam_2.mp4", "cam_0.mp4"], ["cam_2", "cam_0"]),
        (["take3_cam_1.mov", "take3_cam_0.mov"], ["cam_1", "cam_0"]),
        (["02.mp4", "1.mp4"], ["cam_2", "cam_1"]),
        (["2026-11-30_Cam02.mp4", "2026-11-30_cam1.mp4"], ["cam_2", "cam_1"]),
        (["card/cam2/GOPR01.MP4", "card/cam0/GOPR01.MP4"], ["cam_2", "cam_0"]),
        (["left.mp4", "middle.mp4", "right.mp4"], ["cam_0", "cam_1", "cam_2"]),
    ],
)
def test_files_find_their_camera(videos: list[str], names: list[str]) -> None:
    assert list(make_rig(3).for_videos(videos).names) == names


def test_files_of_pose2sim_find_their_camera() -> None:
    cameras = [replace(c, name=f"int_cam{i}_img") for i, c in enumerate(make_rig(3).cameras, 1)]
    found = Rig(tuple(cameras)).for_videos(["cam02_trial1.mp4", "cam01_trial1.mp4"])
    assert found.names == ("int_cam2_img", "int_cam1_img")


def test_files_of_other_cameras_are_refused() -> None:
    rig = make_rig(3)
    with pytest.raises(ValueError, match=r"cameras cam_0, cam_1, cam_2.*a\.mp4 \(none\).*--views"):
        rig.for_videos(["a.mp4", "b.mp4"])
    with pytest.raises(ValueError, match="not clear which"):
        rig.for_videos(["cam_0.mp4", "cam_7.mp4"])
    with pytest.raises(ValueError, match=r"took x1/cam_0\.mp4 \(cam_0\), x2/cam_0\.mp4"):
        rig.for_videos(["x1/cam_0.mp4", "x2/cam_0.mp4"])
    with pytest.raises(TypeError, match="expected a list of names of cameras, got 'cam_0' alone"):
        rig.select("cam_0")
    with pytest.raises(ValueError, match="has no camera cam_9: its cameras are cam_0"):
        rig.select(["cam_0", "cam_9"])


def test_pictures_of_another_size_are_refused_and_can_be_rescaled() -> None:
    rig = make_rig(2)
    camera = rig.cameras[0]
    camera.check_size((640, 480))
    with pytest.raises(
        ValueError, match="calibrated at 640 x 480 px, its pictures are 320 x 240: "
    ):
        camera.check_size((320, 240))
    with pytest.raises(ValueError, match="turn the pictures back"):
        camera.check_size((480, 640))
    with pytest.raises(ValueError, match="calibrate it at this size"):
        camera.check_size((640, 640))
    with pytest.raises(ValueError, match=r"of each of the 2 cameras cam_0, cam_1, got 1$"):
        rig.resized([(320, 240)])
    small = rig.resized([(320, 240), (1280, 960)])
    point = np.array([30.0, 20.0, 10.0])
    expected = (camera.project(point) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(small.cameras[0].project(point), expected, atol=1e-9)
    with pytest.raises(ValueError, match="of another shape"):
        rig.resized([(640, 640), (640, 480)])


def test_units() -> None:
    assert (unit_mm("m"), unit_mm("40.5"), unit_mm(2)) == (1000.0, 40.5, 2.0)
    for wrong in ("feet", "-1", "nan", 0):
        with pytest.raises(ValueError, match="unit is one of mm, cm, m, inch"):
            unit_mm(wrong)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("rig.toml", "not toml [", "is not toml"),
        ("rig.toml", "[metadata]\nerror = 1", "holds no camera: expected tables"),
        ("rig.txt", "hello", "is no calibration that can be read"),
        ("rig.json", '{"a": 1}', "is no calibration that can be read"),
        ("c0.dat", "intrinsic:\n1 2 3", "rot_trans_c0.dat does not exist"),
        (
            "rig.toml",
            "[a]\nmatrix = [[1]]\nrotation = [0, 0, 0]\ntranslation = [0, 0, 0]\n",
            "camera a: expected a 3 x 3 matrix",
        ),
    ],
)
def test_bad_files_are_told(tmp_path: Path, name: str, text: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        Rig.load(path, unit="mm")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml does not exist: expected a calib"):
        Rig.load(tmp_path / "nowhere.toml")


def test_real_calibrations_are_read(shared_data: Path) -> None:
    caliscope = Rig.load(shared_data / "views_two_hands/charuco_calibration/camera_array.toml")
    assert caliscope.names == ("cam_0", "cam_1", "cam_2", "cam_3")
    stereo = Rig.load(shared_data / "stereo_video", unit=40)
    assert stereo.names == ("cam0", "cam1")
    assert stereo.for_videos(["cam1_test.mp4", "cam0_test.mp4"]).names == ("cam1", "cam0")


def test_a_camera_that_is_late_stays_so_in_files_and_subsets(tmp_path: Path) -> None:
    rig = make_rig(3).with_late([0.25, 0.338, 0.25])
    np.testing.assert_allclose(rig.late_s, [0, 0.088, 0])
    rig.save(tmp_path / "rig.toml")
    again = Rig.load(tmp_path / "rig.toml")
    assert [each.late_s for each in again.cameras] == [0.25, 0.338, 0.25]
    np.testing.assert_allclose(again.select(["cam_1", "cam_2"]).scaled(2.0).late_s, [0, -0.088])
    assert not again.in_step().late_s.any()
    again.in_step().save(tmp_path / "rig.toml")
    assert "late_s" not in (tmp_path / "rig.toml").read_text()


def test_a_lateness_that_is_no_number_is_told(tmp_path: Path) -> None:
    make_rig(2).with_late([0.0, 0.5]).save(tmp_path / "rig.toml")
    for wrong in ('"soon"', "true", "nan"):
        text = (tmp_path / "rig.toml").read_text().replace("late_s = 0.5", f"late_s = {wrong}")
        (tmp_path / "wrong.toml").write_text(text)
        with pytest.raises(KnuckleError, match=r"must be a (finite )?number"):
            Rig.load(tmp_path / "wrong.toml")


@pytest.mark.parametrize(
    ("turn", "up"), [((0, 0, 0), "-y"), ((-90, 0, 0), "z"), ((90, 0, 0), "-z"), ((0, 0, 90), "x")]
)
def test_up_is_what_most_cameras_say(turn: tuple[float, ...], up: str) -> None:
    """Even where one of them was put on its side."""
    world = cv2.Rodrigues(np.radians(turn))[0]
    cameras = []
    for number, each in enumerate(make_rig(3).cameras):
        T = each.T_camera_from_world
        on_its_side = cv2.Rodrigues(np.radians([0.0, 0.0, 90.0 * (number == 1)]))[0]
        moved = RigidTransform(on_its_side @ T.rotation @ world.T, on_its_side @ T.translation_mm)
        cameras.append(replace(each, T_camera_from_world=moved))
    assert Rig(tuple(cameras)).up == up


def test_a_rig_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, lens_file = str(tmp_path / "rig.toml"), str(tmp_path / "lens.json")
    rig = make_rig(2).with_late([0.0, 0.088])
    rig.save(file)
    assert main(["camera", "show", file]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2 * len(rig) + 1 and told[-1].startswith("up is -y")
    assert re.match(
        r"cam_1 at -?\d+, -?\d+, -?\d+ mm, 4\d\d mm from cam_0, \+88 ms late, ", told[2]
    )
    rig.cameras[0].camera.save(lens_file)
    assert main(["camera", "show", lens_file]) == 0
    assert capsys.readouterr().out.strip() == told[1].strip()
    Path(file).write_text(Path(file).read_text().replace('unit = "mm"', ""))
    assert main(["camera", "show", file]) == 2
    assert "--unit" in capsys.readouterr().err
    assert main(["camera", "show", file, "--unit", "m"]) == 0


def test_a_delay_that_is_no_time_is_told_of_the_camera() -> None:
    with pytest.raises(InputError, match="camera cam_1: late_s must be a finite number of seconds"):
        make_rig(2).with_late([0.0, float("nan")])


@pytest.mark.parametrize("up", ["z", "-x"])
def test_up_can_be_set_and_is_kept_with_the_rig(
    up: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cameras that all look down, or hang from a ceiling on their sides, said another one."""
    rig = make_rig(3)
    assert rig.up == "-y" and rig.with_up(up).up == up
    assert rig.with_up(up).with_up(None).up == "-y"
    file = tmp_path / "rig.toml"
    rig.with_up(up).save(file)
    again = Rig.load(file)
    assert again.up == again.select(["cam_1", "cam_2"]).scaled(2.0).in_step().up == up
    assert main(["camera", "show", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"up is {up}, as rig.toml says"
    rig.save(file)
    assert "up" not in file.read_text()


def test_an_up_that_is_no_axis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one of x, y, z, -x, -y, -z, got 'Z'"):
        make_rig(2).with_up("Z")
    make_rig(2).with_up("z").save(tmp_path / "rig.toml")
    text = (tmp_path / "rig.toml").read_text().replace('up = "z"', "up = 3")
    (tmp_path / "rig.toml").write_text(text)
    with pytest.raises(InputError, match=r"rig\.toml: expected the axis that points up.* got 3"):
        Rig.load(tmp_path / "rig.toml")
