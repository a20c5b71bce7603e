"""A given scene as a picture, with everything that is true about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError
from knuckle.hand import Side
from knuckle.render import textures
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.hand_model import HandModel
from knuckle.render.looks import HandLook, PlacedHand, dress
from knuckle.render.raster import GBuffer, project_vertices
from knuckle.render.shading import SUPERSAMPLING, shade
from knuckle.render.stage import Lights, Mesh, Stage
from knuckle.render.visibility import hand_map, visible_joints
from knuckle.sample import HandLabel, Sample


@dataclass(frozen=True, eq=False)
class World:
    """What all scenes share."""

    backgrounds: Backgrounds  # where backgrounds come from
    textures: np.ndarray  # (T, 128, 128, 3) uint8 rows that materials point into

    @classmethod
    def of(cls, backgrounds: Backgrounds | None = None) -> World:
        """A world with the given backgrounds, or with those that ship."""
        backgrounds = backgrounds or Backgrounds.load()
        return cls(backgrounds, textures.texture_bank(backgrounds.photographs))


def render_scene(
    hands: Sequence[PlacedHand],
    looks: Sequence[HandLook],
    camera: Camera,
    background: np.ndarray,
    lights: Lights,
    world: World,
    *,
    props: Sequence[Mesh] = (),
    key: str,
) -> Sample:
    """Draw given hands and things.

    Args:
        hands: in the camera frame; several cameras see one moment by ``PlacedHand.turned`` and
            ``moved``.
        looks: one per hand.
        camera: without distortion.
        background: (H, W, 3) uint8 RGB; its size is the picture's.
        lights: in the camera frame.
        world: whose textures the looks point into.
        props: things in the camera frame.
        key: see ``Sample``.

    Returns:
        A complete sample: exact 2D and 3D joints, visibility (``visibility.py``), map of hands
        (without forearm; gloves and rings belong to the hand).
    """
    sight = see_scene(hands, looks, camera, background.shape[:2], props)
    return sight.sample(sight.lit(background, lights, world), key)


def see_scene(
    hands: Sequence[PlacedHand],
    looks: Sequence[HandLook],
    camera: Camera,
    shape: tuple[int, int],
    props: Sequence[Mesh] = (),
) -> Sight:
    """What a camera sees of given hands and things in a picture of ``shape`` (H, W)."""
    model = HandModel.load()
    meshes = list(props)
    for owner, (hand, look) in enumerate(zip(hands, looks, strict=True), start=1):
        meshes.extend(dress(model, hand, look, owner))
    return Sight.of(
        Stage.of(meshes), [(hand.side, hand.joints_mm) for hand in hands], camera, shape
    )


@dataclass(frozen=True, eq=False)
class Sight:
    """What a camera sees, before any light falls on it."""

    stage: Stage  # what is before the camera
    camera: Camera  # without distortion
    buffer: GBuffer  # which surface each of the 2 x 2 parts of a pixel sees
    hands: tuple[HandLabel, ...]  # see ``Sample``
    hand_map: np.ndarray  # (H, W) uint8, see ``Sample``

    @classmethod
    def of(
        cls, stage: Stage, hands: Sequence[tuple[Side, np.ndarray]], camera: Camera,
        shape: tuple[int, int],
    ) -> Sight:  # fmt: skip
        """Look at a stage: cameras of a capture share that of a moment.

        Args:
            stage: in the camera frame (``Stage.seen_from``).
            hands: side and (21, 3) joints in the camera frame of the stage's owners 1, 2, …
            camera: without distortion.
            shape: (H, W) of the picture.
        """
        if camera.distortion:
            raise InputError(
                "the renderer draws undistorted pictures; give a camera without distortion"
            )
        buffer = GBuffer.empty(*(n * SUPERSAMPLING for n in shape))
        points = project_vertices(stage.vertices_mm, camera.resized(SUPERSAMPLING, SUPERSAMPLING))
        n = stage.n_closed
        buffer.draw(points, stage.faces[:n], cull=True)
        buffer.draw(points, stage.faces[n:], first=n, cull=False)
        labels = tuple(
            HandLabel(
                side=side,
                joints_px=camera.project(joints_mm),
                joints_mm=joints_mm,
                visible=visible_joints(joints_mm, camera, stage, buffer, owner),
            )
            for owner, (side, joints_mm) in enumerate(hands, start=1)
        )
        return cls(stage, camera, buffer, labels, hand_map(stage, buffer))

    def lit(self, background: np.ndarray, lights: Lights, world: World) -> np.ndarray:
        """The picture, before a background: both (H, W, 3) uint8 RGB.

        Args:
            background: of the size of the picture.
            lights: in the camera frame.
            world: whose textures the stage's materials point into.
        """
        camera = self.camera
        return shade(
            self.stage, self.buffer, lights, background, world.textures, camera.fx,
            (camera.cx, camera.cy),
        )  # fmt: skip

    def sample(self, image: np.ndarray, key: str) -> Sample:
        """A picture of it (``lit``) with its labels."""
        return Sample(
            image=image, hands=self.hands, camera=self.camera, hand_map=self.hand_map, key=key
        )

    def depth_mm(self) -> np.ndarray:
        """(H, W) float32, z of the nearest surface in each pixel; 0 where there is none."""
        depth = self.buffer.depth_mm
        nearest = np.minimum(depth[:, ::2], depth[:, 1::2])
        nearest = np.minimum(nearest[::2], nearest[1::2])
        return np.where(np.isfinite(nearest), nearest, np.float32(0.0))
