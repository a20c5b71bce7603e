import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.camera import Camera
from knuckle.render.raster import NEAR_MM, GBuffer, project_vertices, vertex_normals

CAMERA = Camera(200.0, 210.0, 31.0, 25.5)


def draw(
    vertices: np.ndarray, faces: list, *, camera: Camera = CAMERA, size=(48, 64), cull=False
) -> GBuffer:
    buffer = GBuffer.empty(*size)
    points = project_vertices(vertices.astype(np.float32), camera)
    buffer.draw(points, np.array(faces, np.int32), cull=cull)
    return buffer


@given(x=st.integers(2, 61), y=st.integers(2, 45), depth=st.floats(50, 3000))
@settings(deadline=None)
def test_a_tiny_triangle_lands_on_the_pixel_that_the_camera_projects_to(x, y, depth):
    centre = CAMERA.unproject(np.array([x, y], float), np.array(depth))
    reach = 0.3 * depth / CAMERA.fx  # three tenths of a pixel
    corners = centre + reach * np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    buffer = draw(corners, [[0, 1, 2]])
    assert np.argwhere(buffer.triangle >= 0).tolist() == [[y, x]]
    np.testing.assert_allclose(buffer.depth_mm[y, x], depth, rtol=1e-4)


def test_supersampling_is_the_resized_camera():
    # A square from pixel edge to pixel edge covers whole blocks of samples.
    edges = np.array([[9.5, 9.5], [19.5, 9.5], [19.5, 19.5], [9.5, 19.5]])
    corners = CAMERA.unproject(edges, np.full(4, 500.0))
    buffer = draw(corners, [[0, 1, 2], [0, 2, 3]], camera=CAMERA.resized(2, 2), size=(96, 128))
    blocks = (buffer.triangle >= 0).reshape(48, 2, 64, 2).sum(axis=(1, 3))
    assert (blocks[10:20, 10:20] == 4).all()
    assert blocks.sum() == 400


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=50)
def test_barycentrics_rebuild_the_point_that_the_pixel_sees(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, 1, (3, 2)) * (64, 48)
    corners = CAMERA.unproject(pixels, rng.uniform(100, 900, 3))
    buffer = draw(corners, [[0, 1, 2]])
    ys, xs = np.nonzero(buffer.triangle >= 0)
    b, c = buffer.bary[ys, xs].T
    points = np.stack([1 - b - c, b, c], axis=1) @ corners
    np.testing.assert_allclose(points[:, 2], buffer.depth_mm[ys, xs], rtol=1e-3)
    if len(xs):
        np.testing.assert_allclose(CAMERA.project(points), np.stack([xs, ys], 1), atol=0.02)


def test_the_nearer_triangle_wins_in_either_order():
    near = CAMERA.unproject(np.array([[5.0, 5], [40, 5], [5, 40]]), np.full(3, 300.0))
    far = CAMERA.unproject(np.array([[5.0, 5], [40, 5], [5, 40]]), np.full(3, 600.0))
    for vertices, nearest in ((np.vstack([near, far]), 0), (np.vstack([far, near]), 1)):
        buffer = draw(vertices, [[0, 1, 2], [3, 4, 5]])
        assert set(np.unique(buffer.triangle)) == {-1, nearest}


def test_triangles_that_reach_behind_the_camera_are_left_out():
    vertices = np.array([[0.0, 0, 400], [50, 0, 400], [0, 50, NEAR_MM - 1]])
    assert (draw(vertices, [[0, 1, 2]]).triangle == -1).all()


def test_culling_keeps_what_faces_the_camera():
    vertices = CAMERA.unproject(np.array([[5.0, 5], [40, 5], [5, 40]]), np.full(3, 300.0))
    normal = np.cross(vertices[1] - vertices[0], vertices[2] - vertices[0])
    towards = [[0, 1, 2]] if normal[2] < 0 else [[0, 2, 1]]
    away = [towards[0][::-1]]
    assert (draw(vertices, towards, cull=True).triangle >= 0).any()
    assert (draw(vertices, away, cull=True).triangle == -1).all()


def test_normals_of_a_tetrahedron_point_outwards():
    vertices = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], np.int32)
    normals = vertex_normals(vertices, faces)
    np.testing.assert_allclose(normals, vertices / np.sqrt(3), atol=1e-6)
