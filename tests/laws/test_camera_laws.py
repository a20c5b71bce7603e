"""Laws of cameras: points to pixels and back, padding, resizing, rigid transforms."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import turn
from knuckle.camera import Camera
from knuckle.rigid import RigidTransform

seeds = st.integers(0, 2**32 - 1)
focals = st.floats(100, 3000)
centres = st.floats(-200, 2000)
lenses = st.sampled_from(
    [
        (),
        (-0.28, 0.09, 0.001, -0.0005),
        (0.12, -0.2, 0.0, 0.0003, 0.05),
        (0.3, -0.1, 0.001, 0.001, 0.02, 0.35, -0.08, 0.01),
    ]
)
fisheyes = st.sampled_from([(), (0.0, 0.0, 0.0, 0.0), (-0.03, 0.01, -0.008, 0.002)])


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    fisheye = draw(st.booleans())
    distortion = draw(fisheyes if fisheye else lenses)
    four = (draw(focals), draw(focals), draw(centres), draw(centres))
    return Camera(*four, distortion, fisheye=fisheye)


def points_before(seed: int, n: int = 20) -> np.ndarray:
    """(n, 3) mm within 25 degrees of the axis, where lenses are modelled well."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(100, 3000, (n, 1))
    return np.concatenate([rng.uniform(-0.45, 0.45, (n, 2)) * depth, depth], axis=1)


@given(cameras(), seeds)
def test_unproject_undoes_project(camera: Camera, seed: int) -> None:
    points = points_before(seed)
    again = camera.unproject(camera.project(points), points[:, 2])
    np.testing.assert_allclose(again, points, atol=1e-3)


@given(cameras(), seeds)
def test_rays_and_pixels_are_inverse(camera: Camera, seed: int) -> None:
    rays = points_before(seed)[:, :2] / points_before(seed)[:, 2:]
    np.testing.assert_allclose(camera.rays(camera.pixels_from_rays(rays)), rays, atol=1e-6)


@given(cameras(), seeds)
def test_projection_is_that_of_opencv(camera: Camera, seed: int) -> None:
    points = points_before(seed)
    coefficients = np.array(camera.distortion or (0, 0, 0, 0), float)
    if camera.fisheye:
        standing = points[:, None], np.zeros(3), np.zeros(3)
        theirs, _ = cv2.fisheye.projectPoints(*standing, camera.matrix, coefficients)
        theirs = theirs.reshape(-1, 1, 2)
    else:
        theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix, coefficients)
    np.testing.assert_allclose(camera.project(points), theirs[:, 0], rtol=1e-9, atol=1e-6)


@given(cameras(), seeds, st.floats(0, 300), st.floats(0, 300))
def test_padding_moves_pixels(camera: Camera, seed: int, left: float, top: float) -> None:
    points = points_before(seed)
    moved = camera.padded(left, top).project(points)
    np.testing.assert_allclose(moved, camera.project(points) + np.array([left, top]), atol=1e-9)


@given(cameras(), seeds, st.floats(0.1, 4), st.floats(0.1, 4))
def test_resizing_keeps_corners_corners(camera: Camera, seed: int, sx: float, sy: float) -> None:
    points = points_before(seed)
    expected = (camera.project(points) + 0.5) * (sx, sy) - 0.5
    np.testing.assert_allclose(camera.resized(sx, sy).project(points), expected, atol=1e-6)


def test_resized_camera_fits_the_resized_image() -> None:
    camera = Camera(300, 300, 90.5, 70.25)
    image = np.zeros((160, 240), np.float32)
    image[80:88, 100:108] = 1  # its middle is at (103.5, 83.5)
    small = cv2.resize(image, (60, 40), interpolation=cv2.INTER_AREA)
    ys, xs = np.mgrid[:40, :60]
    found = np.array([(small * xs).sum(), (small * ys).sum()]) / small.sum()
    ray = camera.rays(np.array([103.5, 83.5]))
    np.testing.assert_allclose(camera.resized(0.25, 0.25).pixels_from_rays(ray), found, atol=1e-6)


def test_pixels_that_no_lens_can_see_still_have_a_ray() -> None:
    camera = Camera(300, 300, 160, 120, (-0.28, 0.09, 0.001, -0.0005))
    far = np.array([[-4000.0, 120], [160, 9000], [1e6, -1e6]])
    assert np.isfinite(camera.rays(far)).all()


@given(st.floats(-0.45, -0.15), st.floats(0, 2 * np.pi), st.floats(0, 1000), st.floats(0, 1000))
def test_rays_of_a_lens_that_folds_back_never_come_from_elsewhere(
    k1: float, direction: float, near: float, far: float
) -> None:
    """Further out in the picture is never further in, and what goes on does so evenly."""
    camera = Camera(800, 800, 640, 360, (k1, 0, 0, 0))
    along = np.array([np.cos(direction), np.sin(direction)])
    inner, outer = camera.rays((640, 360) + np.sort([near, far])[:, None] * along) @ along
    assert inner <= outer + 1e-6
    fold = (-1 / (3 * k1)) ** 0.5  # 3 k1 r^2 = -1
    assert outer <= fold * max(max(near, far) / 800 / (0.66 * fold), 1.0) + 1e-6


@given(cameras())
def test_numbers_of_any_array_are_plain_ones(camera: Camera) -> None:
    rough = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32)
    lens = tuple(np.array(camera.distortion, np.float32))
    made = Camera(*rough, lens, fisheye=camera.fisheye)
    assert json.loads(json.dumps(dataclasses.asdict(made)))["fx"] == float(rough[0])


def test_a_fisheye_sees_far_to_the_side() -> None:
    camera = Camera(300, 300, 320, 320, (-0.03, 0.01, -0.008, 0.002), fisheye=True)
    points = np.array([[2000.0, 0, 100], [-300, 1500, 200], [0, 0, 50]])
    again = camera.unproject(camera.project(points), points[:, 2])
    np.testing.assert_allclose(again, points, atol=1e-6)
    assert np.isfinite(camera.rays(np.array([[9000.0, 0], [320, -4000]]))).all()


#: Lenses whose models are good for the picture and turn back, or have a pole, a little beyond it.
TURNING = [
    (Camera(1.0, 1.0, 0.0, 0.0, (0.182, -0.003, 0.003, -0.015), fisheye=True), 80.0),
    (Camera(1.0, 1.0, 0.0, 0.0, (0.12, 0.08, -0.038, -0.012), fisheye=True), 76.0),
    (Camera(1.0, 1.0, 0.0, 0.0, (-0.3, 0.0, 0.0, 0.0), fisheye=True), 58.0),
    (Camera(1, 1, 0, 0, (-0.012, 0.034, 0, 0, -0.0062, -0.036, -0.0025, -0.0046)), 62.0),
    (Camera(1, 1, 0, 0, (0.257, -0.08, -0.001, 0.001, 0.0, -0.013, 0.02, -0.019)), 58.0),
]


@given(st.sampled_from(TURNING), seeds)
def test_rays_are_found_up_to_where_a_lens_turns(lens: tuple[Camera, float], seed: int) -> None:
    camera, widest_deg = lens
    rng = np.random.default_rng(seed)
    ways = rng.uniform(0, 2 * np.pi, 30)
    rays = np.stack([np.cos(ways), np.sin(ways)], axis=1)
    rays *= np.tan(np.radians(rng.uniform(0, widest_deg, (30, 1))))
    np.testing.assert_allclose(camera.rays(camera.pixels_from_rays(rays)), rays, atol=1e-6)


@given(st.sampled_from(TURNING), st.floats(0, 6.3), st.floats(30, 300))
def test_beyond_its_turn_a_lens_goes_on(
    lens: tuple[Camera, float], way: float, away: float
) -> None:
    camera, widest_deg = lens
    out = np.array([np.cos(way), np.sin(way)])
    near, far = camera.rays(away * out[None] * [[1.0], [1.5]])
    assert np.degrees(np.arctan(np.linalg.norm(near))) > widest_deg
    np.testing.assert_allclose(far, 1.5 * near)
    np.testing.assert_allclose(near / np.linalg.norm(near), out, atol=0.05)


def test_a_picture_that_ends_before_a_lens_turns_is_taken() -> None:
    (fisheye, _), _, _, (rational, _), _ = TURNING
    dataclasses.replace(fisheye, fx=380, fy=380, cx=399.5, cy=399.5).check_fits(800, 800)
    dataclasses.replace(rational, fx=500, fy=500, cx=639.5, cy=479.5).check_fits(1280, 960)


def test_the_corners_of_a_calibration_that_never_came_there_are_in_order() -> None:
    """Beyond the turn, which tangential distortion has come earlier on one side."""
    camera = Camera(926, 926, 356, 355, (-0.014, 1.42, -0.0035, -0.0036, -6.4))
    for corner in ((719, 719), (0, 719), (719, 0), (0, 0)):
        way = np.linspace(0, 1.3, 60)[:, None] * (np.array(corner, float) - (356, 355))
        rays = camera.rays(np.add(way, (356, 355)))
        assert (np.diff(np.linalg.norm(rays, axis=1)) > 0).all()
        assert np.linalg.norm(rays, axis=1).max() < 1.1


def test_a_keypoint_that_is_not_known_has_no_ray() -> None:
    for lens in ({}, {"distortion": (-0.28, 0.09, 0.001, -0.0005)}, {"fisheye": True}):
        rays = Camera(500, 500, 320, 240, **lens).rays(np.array([[np.nan, 3.0], [320, 240]]))
        assert np.isnan(rays[0]).any() and (rays[1] == 0).all()
    assert np.isnan(Camera(500, 500, 320, 240, fisheye=True).rays(np.array([np.nan, 3.0]))).all()


def test_points_behind_the_camera_have_no_image() -> None:
    pixels = Camera(100, 100, 50, 50).project(np.array([[1, 1, 0], [1, 1, -5], [1, 1, 1.0]]))
    assert np.isnan(pixels[:2]).all() and np.isfinite(pixels[2]).all()


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(10, 120))
def test_field_of_view_spans_the_diagonal(width: int, height: int, degrees: float) -> None:
    camera = Camera.from_fov(width, height, degrees)
    corners = np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])
    a, b = np.concatenate([camera.rays(corners), np.ones((2, 1))], axis=1)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(degrees, abs=1e-3)
    assert not camera.assumed and Camera.assume(width, height).assumed


@given(cameras())
def test_saved_cameras_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, camera: Camera
) -> None:
    path = tmp_path_factory.mktemp("camera") / "camera.json"
    camera.save(path)
    assert Camera.load(path) == camera


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json", "is not JSON"),
        ("[1, 2]", r"got \[1, 2\]"),
        ('{"fx": 1, "fy": 1, "cx": 0}', "it lacks cy$"),
        ('{"camera_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}', r"lacks .*they are \[0\]\[0\]"),
        ('{"fx": 1, "fy": 1, "cx": 0, "cy": 0, "f": 2}', "f means nothing there$"),
        ('{"fx": -1, "fy": 1, "cx": 0, "cy": 0}', "must be positive"),
        ('{"fx": 1, "fy": 1, "cx": 0, "cy": 0, "distortion": [1]}', "distortion coefficients"),
        (
            '{"fx": 1, "fy": 1, "cx": 0, "cy": 0, "distortion": [1,2,3,4,5], "fisheye": true}',
            "0 or 4",
        ),
        ('{"fx": 1, "fy": 1, "cx": 0, "cy": 0, "fisheye": "false"}', "not a camera file"),
        ('{"fx": NaN, "fy": 1, "cx": 0, "cy": 0}', "finite"),
        ('{"fx": "wide", "fy": 1, "cx": 0, "cy": 0}', "must hold"),
        ('{"fx": 1, "fy": 1, "cx": 0, "cy": 0, "distortion": null}', "must hold"),
    ],
)
def test_bad_camera_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        Camera.load(path)


@pytest.mark.parametrize(
    ("focal", "says"),
    [
        (0.0, "must be positive, got fx=0.0.*in pixels"),
        (-500.0, "must be positive"),
        (float("nan"), "must be finite"),
        (float("inf"), "must be finite"),
    ],
)
def test_focal_lengths_that_are_none_are_refused(focal: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Camera(focal, focal, 319.5, 239.5)


@pytest.mark.parametrize("focal", [1e9, 4.2, 26.0])  # the last two are a telephone's, in mm
def test_focal_lengths_that_fit_no_lens_are_refused(focal: float) -> None:
    with pytest.raises(ValueError, match=r"with fx=.* px, 640 px would span .* in pixels"):
        Camera.given_or_assumed(Camera(focal, focal, 319.5, 239.5), 640, 480)
    with pytest.raises(ValueError, match=r"with fy=.* px, 480 px would span"):
        Camera(500.0, focal, 319.5, 239.5).check_fits(640, 480)


@pytest.mark.parametrize("wrong", ["500", None, [500.0]])
def test_intrinsics_are_numbers(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"must be numbers, got .*: convert it with float"):
        Camera(wrong, 500.0, 319.5, 239.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be numbers"):
        Camera(500.0, 500.0, 319.5, 239.5, (wrong, 0.0, 0.0, 0.0))  # type: ignore[arg-type]


def test_missing_camera_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json does not exist"):
        Camera.load(tmp_path / "nowhere.json")


@given(seeds)
def test_rigid_transforms_compose_and_invert(seed: int) -> None:
    rng = np.random.default_rng(seed)
    T_a_from_b, T_b_from_c = (
        RigidTransform(turn(*rng.uniform(-180, 180, 3)), rng.normal(0, 100, 3)) for _ in range(2)
    )
    points = rng.normal(0, 100, (5, 3))
    np.testing.assert_allclose((T_a_from_b @ T_b_from_c)(points), T_a_from_b(T_b_from_c(points)))
    np.testing.assert_allclose(T_a_from_b.inverse()(T_a_from_b(points)), points, atol=1e-9)
    centre = rng.normal(0, 100, 3)
    T_camera_from_world = RigidTransform.from_centre(T_a_from_b.rotation, centre)
    np.testing.assert_allclose(T_camera_from_world(centre), 0, atol=1e-9)
    # As frames and hands, which hold arrays, too.
    assert T_a_from_b != T_b_from_c and T_a_from_b in {T_a_from_b: "may be a key"}
