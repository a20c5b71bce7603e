"""How hands look: skin, nails, ink, gloves, and what is worn on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from knuckle.hand import Side
from knuckle.render import skin, textures
from knuckle.render.hand_model import FOREARM_BONE, HandModel, HandParameters
from knuckle.render.props import Band
from knuckle.render.raster import vertex_normals
from knuckle.render.stage import ClothMaterial, Colour, Material, Mesh, SkinMaterial

#: Bones that carry a ring: the proximal phalanges.
_RING_BONES = (2, 4, 7, 10, 13)
_MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)


@dataclass(frozen=True)
class HandLook:
    """Everything about a hand's appearance that stays the same while it moves."""

    skin: SkinMaterial  # of hand and forearm
    glove: ClothMaterial | None = None  # what covers the hand, or None
    glove_mm: float = 1.0  # thickness of the glove
    #: Bands and what they are made of: sleeve, watch, bracelet, rings.
    worn: tuple[tuple[Band, Material], ...] = ()
    seed: int = 0  # of the wrinkles


@dataclass(frozen=True, eq=False)
class PlacedHand:
    """A posed hand somewhere in front of the camera, in the camera frame."""

    side: Side  # left or right
    joints_mm: np.ndarray  # (21, 3)
    vertices_mm: np.ndarray  # (V, 3)
    #: ``rest_vertices_mm``, ``rest_joints_mm``: the flat right hand of this person, hand frame.
    rest_vertices_mm: np.ndarray
    rest_joints_mm: np.ndarray
    bone_transforms: np.ndarray  # (19, 3, 4) see ``HandModel.bone_transforms``
    R_camera_from_hand: np.ndarray  # (3, 3)
    root_mm: np.ndarray  # (3,) wrist

    def moved(self, offset_mm: np.ndarray) -> PlacedHand:
        """The same hand somewhere else."""
        return replace(
            self,
            joints_mm=self.joints_mm + offset_mm,
            vertices_mm=self.vertices_mm + offset_mm.astype(np.float32),
            root_mm=self.root_mm + offset_mm,
        )

    def turned(self, rotation: np.ndarray) -> PlacedHand:
        """The same hand seen by a camera turned about its own centre (new from old frame)."""
        turn = rotation.astype(np.float32)
        return replace(
            self,
            joints_mm=self.joints_mm @ rotation.T,
            vertices_mm=self.vertices_mm @ turn.T,
            R_camera_from_hand=rotation @ self.R_camera_from_hand,
            root_mm=rotation @ self.root_mm,
        )

    def from_hand_frame(self, points_mm: np.ndarray) -> np.ndarray:
        """Points (K, 3) of the right hand's frame, mirrored for a left hand, placed."""
        if self.side == "left":
            points_mm = points_mm * _MIRROR
        return points_mm @ self.R_camera_from_hand.T + self.root_mm


def place(model: HandModel, params: HandParameters) -> list[PlacedHand]:
    """Skin many hands in one go."""
    rest_joints = model.rest_joints(params.shape)
    rest_vertices = model.rest_vertices(params.shape)
    transforms = model.bone_transforms(params)
    vertices, joints = model.vertices(params), model.joints(params)
    return [
        PlacedHand(
            side, joints[i].astype(np.float64), vertices[i],
            rest_vertices[i], rest_joints[i], transforms[i],
            params.R_camera_from_hand[i].astype(np.float64), params.root_mm[i].astype(np.float64),
        )
        for i, side in enumerate(params.sides)
    ]  # fmt: skip


def dress(model: HandModel, hand: PlacedHand, look: HandLook, owner: int) -> list[Mesh]:
    """The meshes of a hand and of what it wears."""
    surface = _surface(hand.side)
    meshes = []
    bare = np.ones(len(surface.faces), bool) if look.glove is None else surface.part == FOREARM_BONE
    meshes.append(
        Mesh(
            hand.vertices_mm,
            surface.faces[bare],
            surface.uv[bare],
            look.skin,
            owner,
            surface.part[bare],
        )
    )
    if look.glove is not None:
        normals = vertex_normals(hand.vertices_mm, surface.faces)
        uv = surface.uv[~bare] / np.array([skin.ATLAS_WIDTH, skin.ATLAS_HEIGHT], np.float32)
        vertices = hand.vertices_mm + np.float32(look.glove_mm) * normals
        meshes.append(
            Mesh(vertices, surface.faces[~bare], uv, look.glove, owner, surface.part[~bare])
        )
    rng = np.random.default_rng(look.seed)
    meshes.extend(_wear(model, hand, band, material, owner, rng) for band, material in look.worn)
    return meshes


@dataclass(frozen=True, eq=False)
class _Surface:
    faces: np.ndarray
    uv: np.ndarray
    part: np.ndarray


@cache
def _surface(side: Side) -> _Surface:
    """Triangles of a side with their place in the skin's atlas."""
    model = HandModel.load()
    uv = skin.atlas().uv if side == "right" else skin.atlas().uv[:, ::-1]
    return _Surface(np.ascontiguousarray(model.faces_of(side)), np.ascontiguousarray(uv),
                    skin.face_parts())  # fmt: skip


def _wear(
    model: HandModel, hand: PlacedHand, band: Band, material: Material, owner: int,
    rng: np.random.Generator,
) -> Mesh:  # fmt: skip
    """A band on a posed hand."""
    solid = band.solid(model, hand.rest_vertices_mm, hand.rest_joints_mm, rng)
    pivot = hand.rest_joints_mm[model.bone_pivot[band.bone]]
    rest = solid.vertices_mm @ model.R_hand_from_bone[band.bone].T + pivot
    transform = hand.bone_transforms[band.bone]
    vertices = hand.from_hand_frame(rest @ transform[:, :3].T + transform[:, 3])
    left = hand.side == "left"
    return Mesh(
        vertices.astype(np.float32),
        solid.faces[:, ::-1] if left else solid.faces,
        solid.uv[:, ::-1] if left else solid.uv,
        material,
        owner,
        np.full(len(solid.faces), band.bone, np.uint8),
        closed=False,
    )


# --- random looks --------------------------------------------------------------------------------


def sample_skin(rng: np.random.Generator, tone: float | None = None) -> SkinMaterial:
    """A person's skin; tones are even over the Monk scale unless one (0..9) is given."""
    tone = rng.uniform(0.0, 9.0) if tone is None else tone
    polish = _vivid(rng) if rng.random() < 0.12 else None
    inked = rng.random() < 0.06
    henna = (0.16, 0.05, 0.02) if tone < 6 else (0.05, 0.01, 0.005)
    return SkinMaterial(
        pattern=int(rng.integers(skin.N_PATTERNS)),
        melanin=skin.melanin_of_tone(tone),
        blood=float(np.clip(rng.normal(0.95, 0.28), 0.3, 1.9)),
        palm_melanin=float(rng.uniform(0.2, 0.55) if tone > 4 else rng.uniform(0.5, 0.95)),
        fold_strength=float(rng.uniform(0.35, 1.0)),
        oil=float(np.clip(rng.exponential(0.09), 0.0, 0.5)),
        nail_colour=polish,
        ink=henna if rng.random() < 0.5 else (0.02, 0.025, 0.04),
        ink_texture=int(rng.choice(textures.INK)) if inked else -1,
        relief=float(max(rng.uniform(-0.5, 1.2), 0.0)),  # many hands are smooth
    )


def sample_look(rng: np.random.Generator, person: SkinMaterial | None = None) -> HandLook:
    """A hand as one meets it: mostly bare, often with a sleeve, sometimes with jewellery."""
    worn: list[tuple[Band, Material]] = []
    glove, thickness = None, 1.0
    kind = rng.choice(["bare", "sleeve", "glove"], p=[0.42, 0.53, 0.05])
    if kind == "sleeve":
        worn.append(_sleeve(rng))
    if kind == "glove":
        glove, thickness = _glove(rng)
        cuff = Band(FOREARM_BONE, -rng.uniform(15, 60), 6.0, thickness, thickness, 1.0, 4)
        worn.append((cuff, glove))
    elif rng.random() < 0.14:
        worn += _watch_or_bracelet(rng)
    if glove is None and rng.random() < 0.12:
        worn += [
            _ring(rng, int(bone))
            for bone in rng.choice(_RING_BONES, int(rng.integers(1, 3)), False)
        ]
    return HandLook(
        skin=person or sample_skin(rng), glove=glove, glove_mm=thickness, worn=tuple(worn),
        seed=int(rng.integers(2**31)),
    )  # fmt: skip


def sample_cloth(rng: np.random.Generator, pictures: float = 0.15) -> ClothMaterial:
    """Cloth of any colour, plain, patterned or (share ``pictures``) printed."""
    kind = rng.random()
    rows = textures.PICTURE if kind < pictures else textures.FABRIC
    colour = (0.9, 0.9, 0.9) if kind < pictures else _dye(rng)
    return ClothMaterial(colour, int(rng.choice(rows)), repeat=float(rng.uniform(1.0, 3.0)))


def sample_stuff(rng: np.random.Generator) -> ClothMaterial:
    """What objects are made of: plastic, wood, paper, metal, printed things."""
    printed = rng.random() < 0.5
    return ClothMaterial(
        colour=(0.95, 0.95, 0.95) if printed else _dye(rng),
        texture=int(rng.choice(textures.PICTURE)) if printed else -1,
        gloss=float(rng.choice([0.0, rng.uniform(0.1, 0.9)])),
        sharpness=float(rng.uniform(10, 80)),
    )


def _dye(rng: np.random.Generator) -> Colour:
    """Linear RGB: black, white, grey, denim and everything else."""
    grey = float(np.clip(rng.beta(0.8, 1.5), 0.01, 0.9))
    if rng.random() < 0.5:
        return (grey, grey, grey * float(rng.uniform(0.9, 1.15)))
    return _vivid(rng)


def _vivid(rng: np.random.Generator) -> Colour:
    colour = rng.beta(0.7, 1.3, 3) * 0.85 + 0.01
    return (float(colour[0]), float(colour[1]), float(colour[2]))


def _sleeve(rng: np.random.Generator) -> tuple[Band, Material]:
    """A sleeve that ends anywhere between the knuckles' side of the wrist and the elbow."""
    end = float(rng.choice([rng.uniform(-25, 8), rng.uniform(-200, -25)], p=[0.6, 0.4]))
    loose = float(rng.choice([rng.uniform(1, 4), rng.uniform(4, 14)], p=[0.6, 0.4]))
    band = Band(
        FOREARM_BONE, -262.0, end, loose, float(rng.uniform(1.0, 3.5)),
        wrinkles_mm=float(rng.uniform(0.3, 1.5 + 0.25 * loose)), rings=9,
    )  # fmt: skip
    return band, sample_cloth(rng)


def _glove(rng: np.random.Generator) -> tuple[ClothMaterial, float]:
    """Thin latex or nitrile, or thick wool and leather."""
    if rng.random() < 0.5:
        latex = [
            (0.15, 0.3, 0.65),
            (0.85, 0.85, 0.82),
            (0.02, 0.02, 0.025),
            (0.1, 0.4, 0.35),
            (0.7, 0.5, 0.05),
        ]
        colour = latex[int(rng.integers(len(latex)))]
        return ClothMaterial(colour, gloss=float(rng.uniform(0.1, 0.4)), sharpness=25.0), 0.6
    return replace(sample_cloth(rng), repeat=float(rng.uniform(2, 6))), float(rng.uniform(1.0, 2.0))


def _watch_or_bracelet(rng: np.random.Generator) -> list[tuple[Band, Material]]:
    end = -float(rng.uniform(12, 40))
    width = float(rng.choice([rng.uniform(2, 6), rng.uniform(14, 28)]))
    thick = float(rng.uniform(1.5, 4.5))
    shiny = ClothMaterial(
        _metal(rng) if rng.random() < 0.5 else _dye(rng),
        gloss=float(rng.uniform(0, 1)),
        sharpness=40.0,
    )
    return [(Band(FOREARM_BONE, end - width, end, 0.4, thick), shiny)]


def _ring(rng: np.random.Generator, bone: int) -> tuple[Band, Material]:
    start = float(rng.uniform(14, 22))
    band = Band(
        bone, start, start + float(rng.uniform(1.5, 5.0)), 0.2, float(rng.uniform(0.8, 1.6))
    )
    return band, ClothMaterial(_metal(rng), gloss=float(rng.uniform(0.4, 1.2)), sharpness=50.0)


def _metal(rng: np.random.Generator) -> Colour:
    metals = [(0.75, 0.55, 0.22), (0.6, 0.6, 0.62), (0.8, 0.8, 0.8), (0.05, 0.05, 0.055)]
    return metals[int(rng.integers(len(metals)))]
