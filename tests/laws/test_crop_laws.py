"""Laws of crops and letterboxes: image and coordinates move together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dot_world import turn
from knuckle.camera import Camera
from knuckle.crop import Crop, CropView
from knuckle.letterbox import Letterbox

FRAME = (240, 320)
sizes = st.floats(20, 600)
angles = st.floats(-np.pi, np.pi)
places = st.tuples(st.floats(60, 260), st.floats(50, 190))


@st.composite
def crops(draw: st.DrawFn, out_sizes: tuple[int, ...] = (64, 128, 129)) -> Crop:
    return Crop(
        draw(places),
        draw(sizes),
        draw(angles),
        draw(st.booleans()),
        draw(st.sampled_from(out_sizes)),
    )


def blob(place: tuple[float, float], sigma: float, shape: tuple[int, int] = FRAME) -> np.ndarray:
    """(H, W) float32 picture of a soft dot."""
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    gap2 = (xs - place[0]) ** 2 + (ys - place[1]) ** 2
    return np.exp(-gap2 / (2 * sigma**2)).astype(np.float32)


def middle_of(picture: np.ndarray) -> np.ndarray:
    """(2,) centroid."""
    ys, xs = np.mgrid[: picture.shape[0], : picture.shape[1]]
    return np.array([(picture * xs).sum(), (picture * ys).sum()]) / picture.sum()


@given(crops(), st.tuples(*[st.sampled_from([0.0, 0.1, 0.35])] * 3))
def test_a_grown_crop_holds_the_old_one_and_what_lies_beyond(
    crop: Crop, by: tuple[float, float, float]
) -> None:
    """As far as was asked at each border, in either sense of the crop, and no larger than that."""
    left, top, right = by
    grown, size = crop.grown(*by), crop.out_size
    low, high = np.array([-left, -top]) * size - 0.5, np.array([1 + right, 1.0]) * size - 0.5
    corners = np.array([low, high, (low[0], high[1]), (high[0], low[1])])
    there = grown.to_crop(crop.to_frame(corners))
    assert (there > -0.5 - 1e-6).all() and (there < size - 0.5 + 1e-6).all()
    assert grown.size_px == pytest.approx(max(1 + left + right, 1 + top) * crop.size_px)
    assert (grown.angle, grown.mirror, size) == (crop.angle, crop.mirror, grown.out_size)


@given(crops(), st.integers(0, 1000))
def test_a_place_is_below_the_upper_border_by_its_row(crop: Crop, seed: int) -> None:
    place = np.random.default_rng(seed).uniform(-100, 400, 2)
    assert crop.below_top(place.tolist()) == pytest.approx(crop.to_crop(place)[1] / crop.out_size)


@given(crops(), st.integers(0, 1000))
def test_points_come_back(crop: Crop, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-100, 400, (7, 2))
    np.testing.assert_allclose(crop.to_crop(crop.to_frame(points)), points, atol=1e-6)
    np.testing.assert_allclose(crop.to_frame(crop.to_crop(points)), points, atol=1e-6)


@given(crops())
def test_up_is_up_and_the_middle_is_the_middle(crop: Crop) -> None:
    middle = np.full(2, (crop.out_size - 1) / 2)
    np.testing.assert_allclose(crop.to_frame(middle), crop.centre_px, atol=1e-9)
    up = crop.to_frame(middle - (0, 1)) - crop.to_frame(middle)
    scale = crop.size_px / crop.out_size
    np.testing.assert_allclose(
        up, (np.sin(crop.angle) * scale, -np.cos(crop.angle) * scale), atol=1e-9
    )


@given(crops(), st.floats(40, 600), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_a_dot_is_cut_where_its_point_goes(crop: Crop, size: float, x: float, y: float) -> None:
    crop = replace(crop, centre_px=(crop.centre_px[0] + 460, crop.centre_px[1] + 430), size_px=size)
    place = np.array(crop.centre_px) + np.array([x, y]) * size
    sigma = max(1.3, 2.5 * size / crop.out_size)
    cut = crop.cut(blob(tuple(place), sigma, shape=(1080, 1280)))
    np.testing.assert_allclose(middle_of(cut), crop.to_crop(place), atol=0.02)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("size", [256.0, 300.0, 512.0, 700.0, 1100.0, 1900.0])
def test_strong_shrink_keeps_the_place(size: float, mirror: bool) -> None:
    shape = (1080, 1920)
    crop = Crop((961.3, 538.7), size, 0.4, mirror, 128)
    scale = crop.size_px / crop.out_size
    for offset in ((0.0, 0.0), (0.11, -0.17), (-0.2, 0.05)):
        place = np.array(crop.centre_px) + np.array(offset) * size / 2
        cut = crop.cut(blob(tuple(place), sigma=3 * scale, shape=shape))
        np.testing.assert_allclose(middle_of(cut), crop.to_crop(place), atol=0.02)


def test_shrinking_averages() -> None:
    """A fine chequerboard becomes even grey, not a moiré."""
    image = (np.indices((800, 800)).sum(axis=0) % 2 * 255).astype(np.uint8)
    cut = Crop((400, 400), 700, 0.0, False, 128).cut(image)
    assert abs(cut.mean() - 127.5) < 1 and cut.std() < 3


@given(crops())
def test_mirroring_a_crop_mirrors_its_picture(crop: Crop) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (60, 80, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    other = replace(crop, mirror=not crop.mirror)
    difference = crop.cut(image).astype(int) - other.cut(image)[:, ::-1].astype(int)
    assert np.abs(difference).mean() < 1.5
    points = rng.uniform(0, 300, (5, 2))
    reflected = other.to_crop(points) * (-1, 1) + (crop.out_size - 1, 0)
    np.testing.assert_allclose(crop.to_crop(points), reflected, atol=1e-6)


@given(st.floats(40, 100), angles, st.booleans())
def test_paste_undoes_cut(size: float, angle: float, mirror: bool) -> None:
    crop = Crop((150.3, 121.8), size, angle, mirror, 128)
    picture = blob((155, 118), sigma=8)
    pasted = crop.paste(crop.cut(picture), FRAME)
    inner = replace(crop, size_px=crop.size_px * 0.9).paste(np.ones((128, 128)), FRAME) > 0.99
    assert np.abs(pasted - picture)[inner].max() < 0.03
    outer = replace(crop, size_px=crop.size_px * 1.1).paste(np.ones((128, 128)), FRAME) > 0
    assert pasted[~outer].max() == 0


def test_paste_takes_maps_of_any_size() -> None:
    crop = Crop((160, 120), 100, 0.3, True, 128)
    full = crop.paste(np.ones((128, 128)), FRAME) > 0.5
    coarse = crop.paste(np.ones((32, 32)), FRAME) > 0.5
    assert full.sum() == pytest.approx(100**2, rel=0.03)
    assert (full != coarse).sum() < 0.05 * full.sum()


@given(st.integers(0, 10_000), st.sampled_from(["left", "right"]), angles)
def test_crop_from_joints_holds_them_upright(seed: int, side: str, angle: float) -> None:
    rng = np.random.default_rng(seed)
    joints = rng.uniform(50, 190, (21, 2))
    crop = Crop.from_joints(joints, side)
    inside = crop.to_crop(joints)
    assert inside.min() > 0 and inside.max() < crop.out_size
    knuckles = inside[[5, 9, 13, 17]].mean(axis=0) - inside[0]
    assert abs(knuckles[0]) < 1e-6 and knuckles[1] < 0
    assert crop.mirror == (side == "left")
    # The crop turns with the hand.
    turned = joints @ turn(np.degrees(angle))[:2, :2].T
    again = Crop.from_joints(turned, side)
    assert again.size_px == pytest.approx(crop.size_px)
    np.testing.assert_allclose(again.to_crop(turned), inside, atol=1e-6)


def test_a_crop_of_one_point_is_still_a_crop() -> None:
    assert Crop.from_joints(np.zeros((21, 2)), "right").size_px > 0


@pytest.mark.parametrize(
    "bad", [{"size_px": 0.0}, {"size_px": np.nan}, {"angle": np.inf}, {"out_size": 0}]
)
def test_impossible_crops_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match="finite numbers and a positive size"):
        Crop(**{"centre_px": (0.0, 0.0), "size_px": 10.0} | bad)


@given(crops(), st.integers(0, 10_000))
def test_view_sees_points_where_the_crop_shows_them(crop: Crop, seed: int) -> None:
    camera = Camera(400, 430, 165, 118)
    rng = np.random.default_rng(seed)
    inside = rng.uniform(0, crop.out_size - 1, (9, 2))
    depth = rng.uniform(300, 900, 9)
    points_mm = camera.unproject(crop.to_frame(inside), depth)
    view = CropView.of(crop, camera)
    seen = view.to_view(points_mm)
    np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], view.rays(inside), atol=1e-9)
    np.testing.assert_allclose(view.to_camera(seen), points_mm, atol=1e-6)


@given(crops())
def test_view_looks_straight_at_an_upright_crop(crop: Crop) -> None:
    camera = Camera(400, 400, 165, 118)
    view = CropView.of(crop, camera)
    middle = (crop.out_size - 1) / 2
    np.testing.assert_allclose(view.rays(np.full(2, middle)), 0, atol=1e-9)
    below = view.rays(np.array([middle, middle + 1]))
    assert abs(below[0]) < 1e-9 and below[1] > 0
    right = view.rays(np.array([middle + 1, middle]))
    assert right[0] > 0
    np.testing.assert_allclose(
        view.camera_from_view @ view.camera_from_view.T, np.eye(3), atol=1e-9
    )
    assert np.linalg.det(view.camera_from_view) == pytest.approx(-1 if crop.mirror else 1)
    above, left = (view.rays(middle - np.eye(2)[axis]) for axis in (1, 0))
    wide, high = np.linalg.norm(right - left) / 2, np.linalg.norm(below - above) / 2
    assert view.rays_per_px == pytest.approx(np.sqrt(wide * high), rel=1e-3)


def test_view_does_not_know_where_the_hand_stands() -> None:
    """The same hand, carried around the camera, gives the same rays."""
    camera = Camera(500, 500, 320, 240)
    rng = np.random.default_rng(3)
    points = rng.normal(0, 40, (21, 3)) + np.array([0, 0, 500.0])
    for pan in (0.0, 20.0):
        seen = points @ turn(0, 0, pan).T
        # The crop is centred on the ray of the hand's middle, its up that of the projected y axis.
        middle, above = camera.project(np.array([[0, 0, 500], [0, -1, 500.0]]) @ turn(0, 0, pan).T)
        up = above - middle
        crop = Crop(tuple(middle), 200, float(np.arctan2(up[0], -up[1])))
        rays = CropView.of(crop, camera).rays(crop.to_crop(camera.project(seen)))
        np.testing.assert_allclose(rays, points[:, :2] / points[:, 2:], atol=1e-9)


def test_view_follows_the_lens_in_the_middle_of_the_crop() -> None:
    camera = Camera(500, 500, 320, 240, (-0.2, 0.05, 0.001, 0.001))
    crop = Crop((420, 300), 60, 0.5, False, 128)
    view = CropView.of(crop, camera)
    inside = np.random.default_rng(0).uniform(40, 88, (9, 2))
    points = view.to_view(camera.unproject(crop.to_frame(inside), np.full(9, 500.0)))
    np.testing.assert_allclose(points[:, :2] / points[:, 2:], view.rays(inside), atol=3e-4)


sides_px = st.integers(1, 3000)


@given(
    sides_px,
    sides_px,
    st.sampled_from([64, 256, 320]),
    st.sampled_from([None, 32]),
    st.integers(0, 1000),
)
def test_letterbox_points_come_back(
    width: int, height: int, size: int, step: int | None, seed: int
) -> None:
    letterbox = Letterbox((width, height), size, step)
    points = np.random.default_rng(seed).uniform(-10, 3000, (6, 2))
    np.testing.assert_allclose(letterbox.to_frame(letterbox.to_box(points)), points, atol=1e-6)
    corners = letterbox.to_box(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])) + 0.5
    np.testing.assert_allclose(corners[0], letterbox.offset, atol=1e-9)
    np.testing.assert_allclose(corners[1] - corners[0], letterbox.content_size, atol=1e-9)
    assert max(letterbox.content_size) == max(letterbox.box_size) == size
    bars = np.subtract(letterbox.box_size, letterbox.content_size)
    assert (bars >= 0).all() and (step is None or bars.max() < step)


@pytest.mark.parametrize(
    "shape", [(720, 1280), (1280, 720), (719, 1281), (97, 83), (480, 640), (256, 256)]
)
@pytest.mark.parametrize("step", [None, 32])
def test_letterbox_shows_a_dot_where_its_point_goes(
    shape: tuple[int, int], step: int | None
) -> None:
    height, width = shape
    letterbox = Letterbox((width, height), 256, step)
    place = np.array([0.37 * width, 0.61 * height])
    sigma = 4 / float(letterbox.scale.mean())
    grey = blob(tuple(place), sigma, shape)[..., None].repeat(3, axis=2)
    shown = letterbox.cut((grey * 255).round().astype(np.uint8)).astype(float)[..., 0]
    (left, top), (w, h) = letterbox.offset, letterbox.content_size
    content = shown[top : top + h, left : left + w]
    found = middle_of(content) + letterbox.offset
    np.testing.assert_allclose(found, letterbox.to_box(place), atol=0.05)
    bars = np.ones_like(shown, bool)
    bars[top : top + h, left : left + w] = False
    assert (shown[bars] == Letterbox.FILL).all()


def test_letterbox_of_one_pixel() -> None:
    square = Letterbox.of(np.full((1, 1, 3), 7, np.uint8), 256).cut(np.full((1, 1, 3), 7, np.uint8))
    assert square.shape == (256, 256, 3) and (square == 7).all()
    thin = np.full((1, 5000, 3), 7, np.uint8)
    assert (Letterbox.of(thin, 256).cut(thin) == 7).sum() == 256 * 3
    with pytest.raises(ValueError, match="positive sizes"):
        Letterbox((0, 5))


def test_a_crop_beyond_all_rays_of_a_lens_has_a_view() -> None:
    """In the corners of a fisheye that sees more than a half-space, whichever way is up."""
    lens = (-0.0081, 0.0451, -0.0424, 0.0083)
    camera = Camera(286, 286, 423.5, 399.5, lens, fisheye=True)
    for x, y in ((5.0, 5.0), (20.0, 30.0), (2.0, 399.5), (-100.0, -90.0)):
        away = np.arctan2(x - camera.cx, camera.cy - y)
        for angle in (0.0, away, away + np.pi):
            view = CropView.of(Crop((x, y), 80.0, float(angle)), camera)
            assert view.rays_per_px > 1e-5
            np.testing.assert_allclose(view.rays(np.array([63.5, 63.5])), 0, atol=1e-9)
