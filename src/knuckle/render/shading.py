"""From what each pixel sees to its colour: light, shadows, and the picture.

Everything is computed in linear light and float32, then encoded to sRGB once. The G-buffer is
supersampled 2 x 2; a pixel is shaded once for each surface that its four samples see, not four
times (multisampling), so that edges are smooth and the inside costs no more than one sample.
"""

from __future__ import annotations

import numba
import numpy as np

from knuckle.render import skin
from knuckle.render.raster import GBuffer
from knuckle.render.shadows import ShadowMap, catch_shadow, lit_share
from knuckle.render.stage import SKIN, TEXTURE_SIZE, Lights, Stage

SUPERSAMPLING = 2


def shade(
    stage: Stage,
    buffer: GBuffer,
    lights: Lights,
    background: np.ndarray,
    textures: np.ndarray,
    focal_px: float,
    principal_px: tuple[float, float],
) -> np.ndarray:
    """The picture.

    Args:
        stage: what was drawn.
        buffer: at twice the picture's width and height.
        lights: see ``Lights``.
        background: (H, W, 3) uint8 sRGB.
        textures: (T, 128, 128, 3) uint8 sRGB; T may be 0.
        focal_px: the picture's focal length.
        principal_px: the picture's principal point.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    image = background.copy()
    if not len(stage.faces):
        return image
    shadow = ShadowMap.cast(stage, lights)
    directions = lights.directions / np.linalg.norm(lights.directions, axis=1, keepdims=True)
    camera = np.array([focal_px, *principal_px], np.float32)
    if lights.catcher is not None:
        # What the lamp does not reach keeps the light from all around.
        lamp, around = lights.colours[0].mean(), lights.ambient[0].mean()
        dark = np.float32(lights.shadow * lamp / (lamp + around + 1e-6))
        catch_shadow(
            buffer.triangle,
            lights.catcher.astype(np.float32),
            shadow.depth_mm,
            shadow.cells_from_camera,
            np.float32(shadow.radius),
            camera,
            dark,
            image,
        )
    _shade(
        buffer.triangle, buffer.bary, buffer.depth_mm,
        stage.vertices_mm, stage.normals, stage.faces, stage.uv, stage.mesh_of_face,
        stage.materials, skin.pattern_bank(), textures if len(textures) else _NO_TEXTURE,
        directions.astype(np.float32), lights.colours.astype(np.float32),
        lights.ambient.astype(np.float32), np.float32(lights.shadow),
        shadow.depth_mm, shadow.cells_from_camera, np.float32(shadow.radius),
        np.float32(shadow.offset_mm), camera, _LINEAR_FROM_SRGB, _SRGB_FROM_LINEAR, image,
    )  # fmt: skip
    return image


def linear_from_srgb(values: np.ndarray) -> np.ndarray:
    """uint8 sRGB to linear light 0..1."""
    return _LINEAR_FROM_SRGB[values]


def _srgb_to_linear(v: np.ndarray) -> np.ndarray:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def _linear_to_srgb(v: np.ndarray) -> np.ndarray:
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.maximum(v, 1e-9) ** (1 / 2.4) - 0.055)


_LINEAR_FROM_SRGB = _srgb_to_linear(np.arange(256) / 255.0).astype(np.float32)
_TABLE_SIZE = 4096
#: Indexed by the square root of the linear value, which spends its entries on the shadows.
_SRGB_FROM_LINEAR = np.round(255 * _linear_to_srgb(np.linspace(0, 1, _TABLE_SIZE) ** 2)).astype(
    np.uint8
)
_NO_TEXTURE = np.full((1, TEXTURE_SIZE, TEXTURE_SIZE, 3), 255, np.uint8)

_DERMIS = skin.DERMIS.astype(np.float32)
_MELANIN = skin.MELANIN_ABSORPTION.astype(np.float32)
_BLOOD = skin.BLOOD_ABSORPTION.astype(np.float32)
_FLOOR = skin.FLOOR.astype(np.float32)
_RELIEF, _RELIEF_STEP_MM = skin.RELIEF, np.float32(skin.RELIEF_STEP_MM)
_FLAT = 4  # steps over two texels: a slope of a degree or two
#: How far light creeps round the terminator, per channel: red travels furthest in skin.
_SKIN_WRAP = np.array([0.35, 0.18, 0.12], np.float32)
#: Directions on the screen in which occluders are looked for, in radii.
_PROBES = np.array(
    [[1.0, 0.0], [-0.35, 0.6], [-0.7, -0.7], [0.25, -0.5], [0.1, 1.0], [-0.45, 0.05]], np.float32
)
_AO_RADIUS_MM = 16.0


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _sample(texture: np.ndarray, x: np.float32, y: np.float32, out: np.ndarray) -> None:
    """Bilinear lookup of an (H, W, C) uint8 texture at texels, values 0..255."""
    height, width, channels = texture.shape
    x = min(max(x, np.float32(0.0)), np.float32(width - 1.001))
    y = min(max(y, np.float32(0.0)), np.float32(height - 1.001))
    i, j = int(x), int(y)
    u, v = x - i, y - j
    for c in range(channels):
        top = texture[j, i, c] * (1 - u) + texture[j, i + 1, c] * u
        bottom = texture[j + 1, i, c] * (1 - u) + texture[j + 1, i + 1, c] * u
        out[c] = top * (1 - v) + bottom * v


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _raise(
    n: np.ndarray, vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, t: int,
    patterns: np.ndarray, row: int, x: np.float32, y: np.float32, step_mm: np.float32,
) -> None:  # fmt: skip
    """Bend a normal as the skin's relief bends it (Blinn 1978). In place.

    (x, y) is the texel, ``t`` the triangle, ``row`` that of the patterns. Whole arrays are given,
    because cutting them costs more than all the rest.
    """
    i = min(max(int(x + np.float32(0.5)), 1), patterns.shape[2] - 2)
    j = min(max(int(y + np.float32(0.5)), 1), patterns.shape[1] - 2)
    right = np.int32(patterns[row, j, i + 1, _RELIEF]) - np.int32(patterns[row, j, i - 1, _RELIEF])
    down = np.int32(patterns[row, j + 1, i, _RELIEF]) - np.int32(patterns[row, j - 1, i, _RELIEF])
    if abs(right) + abs(down) < _FLAT:  # most of the skin
        return
    by_x, by_y = np.float32(0.5) * step_mm * right, np.float32(0.5) * step_mm * down
    ia, ib, ic = faces[t, 0], faces[t, 1], faces[t, 2]
    bx, by = uv[t, 1, 0] - uv[t, 0, 0], uv[t, 1, 1] - uv[t, 0, 1]
    cx, cy = uv[t, 2, 0] - uv[t, 0, 0], uv[t, 2, 1] - uv[t, 0, 1]
    abx, aby = vertices[ib, 0] - vertices[ia, 0], vertices[ib, 1] - vertices[ia, 1]
    acx, acy = vertices[ic, 0] - vertices[ia, 0], vertices[ic, 1] - vertices[ia, 1]
    abz, acz = vertices[ib, 2] - vertices[ia, 2], vertices[ic, 2] - vertices[ia, 2]
    # How the place on the skin (mm) changes along x and along y, times the triangle's area.
    ux, uy, uz = abx * cy - acx * by, aby * cy - acy * by, abz * cy - acz * by
    vx, vy, vz = acx * bx - abx * cx, acy * bx - aby * cx, acz * bx - abz * cx
    area = n[0] * (uy * vz - uz * vy) + n[1] * (uz * vx - ux * vz) + n[2] * (ux * vy - uy * vx)
    if area == 0:
        return
    scale = (bx * cy - cx * by) / area
    p, q = by_x * scale, by_y * scale
    gx = p * (vy * n[2] - vz * n[1]) + q * (n[1] * uz - n[2] * uy)
    gy = p * (vz * n[0] - vx * n[2]) + q * (n[2] * ux - n[0] * uz)
    gz = p * (vx * n[1] - vy * n[0]) + q * (n[0] * uy - n[1] * ux)
    steep = np.sqrt(gx * gx + gy * gy + gz * gz)
    if steep > 1:  # torn triangles: no steeper than 45 degrees
        gx, gy, gz = gx / steep, gy / steep, gz / steep
    mx, my, mz = n[0] - gx, n[1] - gy, n[2] - gz
    length = np.sqrt(mx * mx + my * my + mz * mz)
    n[0], n[1], n[2] = mx / length, my / length, mz / length


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _openness(
    depth: np.ndarray, camera: np.ndarray, sx: int, sy: int, p: np.ndarray, n: np.ndarray, turn: int
) -> np.float32:
    """Screen-space ambient occlusion: 1 in the open, towards 0 in narrow places."""
    height, width = depth.shape
    reach = min(max(2.0 * camera[0] * _AO_RADIUS_MM / p[2], 3.0), 40.0)
    hidden = np.float32(0.0)
    swap = turn & 1
    flip = np.float32(1.0) if turn & 2 else np.float32(-1.0)
    for k in range(_PROBES.shape[0]):
        ox, oy = _PROBES[k, swap], _PROBES[k, 1 - swap] * flip
        x, y = sx + int(ox * reach), sy + int(oy * reach)
        if x < 0 or y < 0 or x >= width or y >= height:
            continue
        z = depth[y, x]
        if z > p[2] + 100.0:
            continue
        qx = (np.float32(0.5) * (x - np.float32(0.5)) - camera[1]) / camera[0] * z - p[0]
        qy = (np.float32(0.5) * (y - np.float32(0.5)) - camera[2]) / camera[0] * z - p[1]
        qz = z - p[2]
        d2 = qx * qx + qy * qy + qz * qz + np.float32(1e-3)
        d = np.sqrt(d2)
        rise = (qx * n[0] + qy * n[1] + qz * n[2]) / d - np.float32(0.08)
        if rise > 0:
            hidden += rise / (1 + d2 / np.float32(3 * _AO_RADIUS_MM * _AO_RADIUS_MM))
    return 1 - min(hidden * np.float32(2.0 / _PROBES.shape[0]), np.float32(0.85))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _shade(
    triangle: np.ndarray, bary: np.ndarray, depth: np.ndarray,
    vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray, uv: np.ndarray,
    mesh_of_face: np.ndarray, materials: np.ndarray, patterns: np.ndarray, textures: np.ndarray,
    directions: np.ndarray, colours: np.ndarray, ambient: np.ndarray, shadow_strength: np.float32,
    shadow_depth: np.ndarray, shadow_matrix: np.ndarray, shadow_radius: np.float32,
    shadow_offset: np.float32, camera: np.ndarray, to_linear: np.ndarray, to_srgb: np.ndarray,
    image: np.ndarray,
) -> None:  # fmt: skip
    """Shade every pixel; see ``shade``.

    One function on purpose: cut into functions for place, material and light, inlined or not, it
    gave the same picture and took 1.6 to 2.6 times as long.
    """
    height, width = image.shape[:2]
    p, n = np.empty(3, np.float32), np.empty(3, np.float32)
    base, texel = np.empty(3, np.float32), np.empty(6, np.float32)
    wrap, total = np.empty(3, np.float32), np.empty(3, np.float32)
    shaded = np.empty((4, 3), np.float32)
    openness = np.float32(1.0)
    for y in range(height):
        last_x, last_mesh = -2, -1
        for x in range(width):
            covered = 0
            for k in range(4):
                if triangle[2 * y + (k >> 1), 2 * x + (k & 1)] >= 0:
                    covered += 1
            if covered == 0:
                continue
            total[:] = 0
            for k in range(4):
                sy, sx = 2 * y + (k >> 1), 2 * x + (k & 1)
                t = triangle[sy, sx]
                if t < 0:
                    continue
                mesh = mesh_of_face[t]
                same = -1
                for earlier in range(k):
                    ey, ex = 2 * y + (earlier >> 1), 2 * x + (earlier & 1)
                    e = triangle[ey, ex]
                    near = abs(depth[ey, ex] - depth[sy, sx]) < 3.0
                    if e >= 0 and mesh_of_face[e] == mesh and near:
                        same = earlier
                        break
                if same >= 0:
                    for c in range(3):
                        shaded[k, c] = shaded[same, c]
                        total[c] += shaded[k, c]
                    continue

                # Where the sample lies on its triangle.
                wb, wc = bary[sy, sx, 0], bary[sy, sx, 1]
                wa = 1 - wb - wc
                ia, ib, ic = faces[t, 0], faces[t, 1], faces[t, 2]
                for c in range(3):
                    p[c] = wa * vertices[ia, c] + wb * vertices[ib, c] + wc * vertices[ic, c]
                    n[c] = wa * normals[ia, c] + wb * normals[ib, c] + wc * normals[ic, c]
                tx = wa * uv[t, 0, 0] + wb * uv[t, 1, 0] + wc * uv[t, 2, 0]
                ty = wa * uv[t, 0, 1] + wb * uv[t, 1, 1] + wc * uv[t, 2, 1]
                length = np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) + np.float32(1e-9)
                away = np.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
                facing = -(n[0] * p[0] + n[1] * p[1] + n[2] * p[2]) / (length * away)
                turn = np.float32(1.0)
                if facing < 0:  # the inside of an open mesh, or a normal bent past the edge
                    turn = np.float32(-1.0) if facing < np.float32(-0.35) else np.float32(1.0)
                    facing = max(facing * turn, np.float32(0.0))
                for c in range(3):
                    n[c] *= turn / length

                # What it is made of.
                m = materials[mesh]
                gloss, sharpness = m[6], np.float32(14.0)
                if m[0] == SKIN:
                    _sample(patterns[int(m[1])], tx, ty, texel)
                    palm = 1 - (1 - m[4]) * texel[4] * np.float32(1 / 255.0)
                    blood = m[3] * texel[1] * np.float32(0.01)
                    fold = texel[2] * m[5] * np.float32(1 / 255.0)
                    nail = texel[3] * np.float32(1 / 255.0)
                    melanin = m[2] * palm * texel[0] * np.float32(1 / 128.0)
                    blood += fold * np.float32(0.5)
                    melanin += fold * np.float32(0.12)
                    dark = 1 - np.float32(0.55) * fold
                    for c in range(3):
                        through = np.exp(-melanin * _MELANIN[c] - blood * _BLOOD[c])
                        base[c] = (_FLOOR[c] + (_DERMIS[c] - _FLOOR[c]) * through) * dark
                        wrap[c] = _SKIN_WRAP[c]
                    if m[14] > 0:
                        _raise(n, vertices, faces, uv, t, patterns, int(m[1]), tx, ty,
                               m[14] * _RELIEF_STEP_MM)  # fmt: skip
                    if m[13] >= 0:
                        ink_texture = textures[int(m[13])]
                        _sample(ink_texture, (tx * 1.5) % 127, (ty * 1.5) % 127, texel)
                        ink = (255 - texel[0]) * np.float32(0.8 / 255.0) * (1 - nail)
                        for c in range(3):
                            base[c] += (m[10 + c] * base[c] * 2 - base[c]) * ink
                    if nail > 0:
                        gloss += nail * np.float32(0.25)
                        sharpness += nail * 40
                        for c in range(3):
                            bare = base[c] * np.float32(0.75) + np.float32(0.12)
                            bare *= np.float32(1.0) if c == 0 else np.float32(0.92)
                            colour = bare if m[7] < 0 else m[7 + c]
                            base[c] += (colour - base[c]) * nail
                else:
                    gloss, sharpness = m[5], m[6]
                    for c in range(3):
                        base[c] = m[2 + c]
                        wrap[c] = np.float32(0.1)
                    if m[1] >= 0:
                        size = np.float32(textures.shape[1] - 1)
                        rx, ry = tx * m[7], ty * m[7]
                        _sample(
                            textures[int(m[1])],
                            (rx - np.floor(rx)) * size, (ry - np.floor(ry)) * size, texel,
                        )  # fmt: skip
                        for c in range(3):
                            base[c] *= to_linear[int(texel[c])] + np.float32(0.02)

                # What light reaches it, and what of it comes back.
                # Occlusion is smooth: every other pixel takes its neighbour's.
                if not (x & 1 and k == 0 and x == last_x + 1 and mesh == last_mesh):
                    openness = _openness(depth, camera, sx, sy, p, n, (x >> 1 & 1) + 2 * (y & 1))
                last_x, last_mesh = x, mesh
                free = np.float32(1.0)
                if shadow_strength > 0:
                    free = lit_share(
                        shadow_depth, shadow_matrix, shadow_radius, shadow_offset, p, n
                    )
                    free = 1 - shadow_strength * (1 - free)
                fresnel = np.float32(1.0) - facing
                fresnel = fresnel * fresnel
                fresnel = fresnel * fresnel
                for c in range(3):
                    around = (
                        ambient[0, c] + ambient[1, c] * n[0] + ambient[2, c] * n[1]
                        + ambient[3, c] * n[2]
                    )  # fmt: skip
                    around = max(around, np.float32(0.0)) * openness
                    # Light that bounces between skin and skin in a cavity takes its colour on.
                    shaded[k, c] = base[c] * around * (1 + (1 - openness) * base[c])
                    shaded[k, c] += np.float32(0.10) * fresnel * around
                for light in range(directions.shape[0]):
                    lx, ly, lz = directions[light, 0], directions[light, 1], directions[light, 2]
                    incidence = n[0] * lx + n[1] * ly + n[2] * lz
                    reach = free if light == 0 else openness
                    shine = np.float32(0.0)
                    if incidence > 0 and gloss > 0:
                        hx, hy, hz = lx - p[0] / away, ly - p[1] / away, lz - p[2] / away
                        half = np.sqrt(hx * hx + hy * hy + hz * hz) + np.float32(1e-6)
                        # Gaussian in place of Blinn and Phong's power: h**s = exp(-s (1 - h)).
                        off = sharpness * (1 - (n[0] * hx + n[1] * hy + n[2] * hz) / half)
                        if off < 6:
                            shine = gloss * reach * np.exp(-off) * incidence
                    for c in range(3):
                        soft = (incidence + wrap[c]) / (1 + wrap[c])
                        if soft > 0:
                            # Shadows on skin have red borders: red light enters beside them.
                            here = reach if c > 0 else reach + wrap[0] * reach * (1 - reach)
                            shaded[k, c] += base[c] * soft * here * colours[light, c]
                        shaded[k, c] += shine * colours[light, c]
                for c in range(3):  # a camera's shoulder: nothing burns out abruptly
                    over = (shaded[k, c] - np.float32(0.6)) * np.float32(2.5)
                    if over > 0:
                        shaded[k, c] = np.float32(0.6) + np.float32(0.4) * over / (1 + over)
                    total[c] += shaded[k, c]

            for c in range(3):
                behind = to_linear[image[y, x, c]]
                value = (total[c] + (4 - covered) * behind) * np.float32(0.25)
                image[y, x, c] = to_srgb[int(np.sqrt(min(value, np.float32(1.0))) * 4095.0)]
