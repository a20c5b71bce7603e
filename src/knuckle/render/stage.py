"""What is on stage: meshes, what they are made of, and the lights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from knuckle.errors import InputError
from knuckle.render.raster import vertex_normals
from knuckle.rigid import RigidTransform

TEXTURE_SIZE = 128
SKIN, CLOTH = 0, 1

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class SkinMaterial:
    """A skin tone worn by one of the patterns of ``skin.pattern_bank``."""

    pattern: int = 0  # row of the bank
    #: ``melanin``, ``blood``: amounts of pigment, see ``skin.albedo``.
    melanin: float = 0.6
    blood: float = 0.85
    palm_melanin: float = 0.4  # share of the melanin that the palm has
    fold_strength: float = 0.5  # how dark the creases are, 0..1
    oil: float = 0.15  # strength of the highlight, 0..1
    nail_colour: Colour | None = None  # linear RGB of polish, or None for bare nails
    #: Linear RGB of a tattoo or henna, painted where the ink texture says so.
    ink: Colour = (0.02, 0.025, 0.04)
    ink_texture: int = -1  # row of the scene's textures that holds the ink's shape, -1 for none
    relief: float = 0.7  # how high tendons and veins stand and how deep folds go; 1 as painted

    def row(self) -> list[float]:
        """The material as the shader reads it."""
        nail = self.nail_colour or (-1.0, 0.0, 0.0)
        return [
            SKIN, self.pattern, self.melanin, self.blood, self.palm_melanin, self.fold_strength,
            self.oil, *nail, *self.ink, self.ink_texture, self.relief,
        ]  # fmt: skip


@dataclass(frozen=True)
class ClothMaterial:
    """Anything that is not skin: cloth, wood, plastic, metal."""

    colour: Colour = (0.2, 0.2, 0.2)  # linear RGB
    texture: int = -1  # row of the scene's textures that multiplies the colour, -1 for none
    gloss: float = 0.0  # strength of the highlight, 0..1
    sharpness: float = 20.0  # exponent of the highlight
    repeat: float = 1.0  # how often the texture is laid over uv 0..1

    def row(self) -> list[float]:
        """The material as the shader reads it."""
        values = [CLOTH, self.texture, *self.colour, self.gloss, self.sharpness, self.repeat]
        return [*values, *[0.0] * 7]


Material = SkinMaterial | ClothMaterial


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in the camera frame."""

    vertices_mm: np.ndarray  # (V, 3) float32
    faces: np.ndarray  # (F, 3) int32, anticlockwise from outside
    uv: np.ndarray  # (F, 3, 2) float32: texels of the skin's atlas for skin, 0..1 for the rest
    material: Material  # what it is made of
    owner: int  # 0 for a thing, i + 1 for what belongs to hand i or is worn on it
    part: np.ndarray  # (F,) uint8 part of the hand (``hand_model.PART_NAMES``)
    closed: bool = True  # back sides can be left out


@dataclass(frozen=True, eq=False)
class Lights:
    """Where light comes from, in the camera frame."""

    #: (L, 3) unit, towards the light. The first one casts shadows.
    directions: np.ndarray = field(default_factory=lambda: np.array([[0.3, -0.8, -0.5]]))
    #: (L, 3) linear RGB.
    colours: np.ndarray = field(default_factory=lambda: np.array([[0.7, 0.7, 0.7]]))
    #: (4, 3) linear RGB: what comes from everywhere, and how it grows along x, y, z.
    ambient: np.ndarray = field(
        default_factory=lambda: np.array([[0.3] * 3, [0.0] * 3, [-0.1] * 3, [0.0] * 3])
    )
    shadow: float = 0.8  # how dark the first light's shadows are, 0..1
    softness_mm: float = 5.0  # width of a shadow's border
    #: (4,) plane a x + b y + c z = d on which the first light's shadows fall, such as a desk or a
    #: wall in the background's photograph; None for none.
    catcher: np.ndarray | None = None

    def seen_from(self, R_camera_from_here: np.ndarray) -> Lights:
        """The same lights in a turned frame."""
        if self.catcher is not None:
            raise InputError("a plane that catches shadows cannot be turned; set catcher=None")
        gradient = R_camera_from_here @ self.ambient[1:]
        return replace(
            self,
            directions=self.directions @ R_camera_from_here.T,
            ambient=np.concatenate([self.ambient[:1], gradient]),
        )


@dataclass(frozen=True, eq=False)
class Stage:
    """All meshes of a picture in one set of arrays, ready to draw."""

    vertices_mm: np.ndarray  # (V, 3) float32, camera frame
    normals: np.ndarray  # (V, 3) float32, camera frame
    faces: np.ndarray  # (F, 3) int32
    uv: np.ndarray  # (F, 3, 2) float32
    mesh_of_face: np.ndarray  # (F,) int32
    owner_of_mesh: np.ndarray  # (M,) uint8
    part: np.ndarray  # (F,) uint8
    materials: np.ndarray  # (M, P) float32
    n_closed: int  # the first so many faces can be seen from outside only

    def seen_from(self, T_camera_from_here: RigidTransform) -> Stage:
        """The same stage in another frame."""
        turn = T_camera_from_here.rotation.astype(np.float32)
        return replace(
            self,
            vertices_mm=T_camera_from_here(self.vertices_mm).astype(np.float32),
            normals=self.normals @ turn.T,
        )

    @classmethod
    def of(cls, meshes: list[Mesh]) -> Stage:
        """Put meshes together; closed ones first."""
        meshes = sorted(meshes, key=lambda mesh: not mesh.closed)
        if not meshes:
            return _EMPTY_STAGE
        offsets = np.cumsum([0] + [len(mesh.vertices_mm) for mesh in meshes])
        vertices = np.concatenate([mesh.vertices_mm for mesh in meshes]).astype(np.float32)
        faces = np.concatenate(
            [mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=False)]
        ).astype(np.int32, order="C")  # one layout to compile for
        sizes = [len(mesh.faces) for mesh in meshes]
        return cls(
            vertices_mm=vertices,
            normals=vertex_normals(vertices, faces),
            faces=faces,
            uv=np.ascontiguousarray(np.concatenate([mesh.uv for mesh in meshes])),
            mesh_of_face=np.repeat(np.arange(len(meshes), dtype=np.int32), sizes),
            owner_of_mesh=np.array([mesh.owner for mesh in meshes], np.uint8),
            part=np.concatenate([mesh.part for mesh in meshes]),
            materials=np.array([mesh.material.row() for mesh in meshes], np.float32),
            n_closed=sum(len(mesh.faces) for mesh in meshes if mesh.closed),
        )


_EMPTY_STAGE = Stage(
    np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32),
    np.zeros((0, 3, 2), np.float32), np.zeros(0, np.int32), np.zeros(0, np.uint8),
    np.zeros(0, np.uint8), np.zeros((0, 15), np.float32), 0,
)  # fmt: skip
