"""The renderer's ingredients, each left out and each alone in full measure.

Most are settings of ``CropSettings``. Looks, light and shapes are drawn by functions without
settings: those are replaced while the renders of an ingredient are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

from choices_sets import CropSet, once
from knuckle.render import hand_model, looks
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.camera_faults import CameraFaults
from knuckle.render.looks import HandLook
from knuckle.render.props import FOREARM_BONE
from knuckle.render.scene import CROPS, CropSettings, World, crops, hands, render_crops
from knuckle.render.scene.light import sample_lights
from knuckle.render.stage import Lights, SkinMaterial
from knuckle.sample import Sample

#: What is replaced: a module's function, by its name.
Replaced = tuple[ModuleType, str, Callable[..., Any]]

EVERYTHING = "everything"


@dataclass(frozen=True)
class Mixture:
    """How pictures are made.

    Attributes:
        settings: of the crops.
        replaced: functions of the renderer that are others.
        photographs: how many of the backgrounds are photographed.
    """

    settings: CropSettings = CROPS
    replaced: tuple[Replaced, ...] = ()
    photographs: float = 0.85

    def render(
        self, rng: np.random.Generator, count: int, backgrounds: Backgrounds
    ) -> Iterator[Sample]:
        """Pictures of this kind."""
        world = World.of(replace(backgrounds, procedural_share=1 - self.photographs))
        with ExitStack() as stack:
            for module, name, function in self.replaced:
                stack.enter_context(patch.object(module, name, function))
            yield from render_crops(rng, count, world, self.settings)


@dataclass(frozen=True)
class Ingredient:
    """What training does without, and pictures in which it counts."""

    without: Mixture
    full: Mixture


def _bare(rng: np.random.Generator, person: SkinMaterial | None = None) -> HandLook:
    """A hand that wears nothing, without ink or polish."""
    skin = replace(person or looks.sample_skin(rng), ink_texture=-1, nail_colour=None)
    return HandLook(skin=skin, seed=int(rng.integers(2**31)))


def _adorned(rng: np.random.Generator, person: SkinMaterial | None = None) -> HandLook:
    """A hand with a glove, a ring or ink."""
    while True:
        look = looks.sample_look(rng, person)
        ringed = any(band.bone != FOREARM_BONE for band, _ in look.worn)
        if look.glove or ringed or look.skin.ink_texture >= 0:
            return look
        person = None  # this one has no ink


def _toned(low: float, high: float) -> Callable[[np.random.Generator], SkinMaterial]:
    """Skin of a part of the Monk scale, 0..9."""
    return lambda rng: _SAMPLE_SKIN(rng, rng.uniform(low, high))


def _one_lamp(*_: object) -> Lights:
    """White light, always the same."""
    return Lights()


def _coloured(rng: np.random.Generator, *where: np.ndarray) -> Lights:
    """Lamps of any colour."""
    lights = sample_lights(rng, *where)
    return replace(lights, colours=lights.colours * rng.uniform(0.1, 1.3, (1, 3)))


def _grown_up(rng: np.random.Generator, n: int, n_shape: int) -> np.ndarray:
    """The mean adult's hand."""
    return np.zeros((n, n_shape), np.float32)


def _children(rng: np.random.Generator, n: int, n_shape: int) -> np.ndarray:
    return hand_model.sample_shapes(rng, n, n_shape, child_share=1.0)


def _looking(sample: Callable) -> tuple[Replaced, ...]:
    """The same way to dress for hands in front and beside."""
    return ((hands, "sample_look", sample), (crops, "sample_look", sample))


def _set(**changes: Any) -> Mixture:
    return Mixture(replace(CROPS, **changes))


_SAMPLE_SKIN = looks.sample_skin

INGREDIENTS: dict[str, Ingredient] = {
    "second hands, contact": Ingredient(
        _set(contact=0.0, second_hand=0.0), _set(contact=0.5, second_hand=1.0)
    ),
    "things held or in the way": Ingredient(_set(occluder=0.0), _set(occluder=1.0)),
    "camera faults": Ingredient(
        _set(faults=CameraFaults(strength=0)), _set(faults=CameraFaults(strength=2))
    ),
    "photographed backgrounds": Ingredient(Mixture(photographs=0.0), Mixture(photographs=1.0)),
    "sleeves, gloves, rings, ink": Ingredient(
        Mixture(replaced=_looking(_bare)), Mixture(replaced=_looking(_adorned))
    ),
    "lenses: fish-eye, any view and distance": Ingredient(
        _set(fisheye=0.0, fov_deg=(60.0, 60.0), distance_m=(0.5, 0.5)), _set(fisheye=1.0)
    ),
    "light of any strength and colour": Ingredient(
        Mixture(replaced=((crops, "sample_lights", _one_lamp),)),
        Mixture(replaced=((crops, "sample_lights", _coloured),)),
    ),
    "faces, arms and bodies": Ingredient(
        _set(distractor=0.0, body=0.0), _set(distractor=1.0, body=1.0)
    ),
    "all skin tones": Ingredient(
        Mixture(replaced=((looks, "sample_skin", _toned(1.0, 2.0)),)),
        Mixture(replaced=((looks, "sample_skin", _toned(7.0, 9.0)),)),
    ),
    "surfaces with shadows": Ingredient(_set(surface=0.0), _set(surface=1.0)),
    "hands of all shapes and ages": Ingredient(
        Mixture(replaced=((hands, "sample_shapes", _grown_up),)),
        Mixture(replaced=((hands, "sample_shapes", _children),)),
    ),
}


def sets() -> dict[str, Mixture]:
    """Every set that the comparison needs, by name, those of the tests first."""
    return (
        {f"test, {EVERYTHING}": Mixture()}
        | {f"test, {name}": ingredient.full for name, ingredient in INGREDIENTS.items()}
        | {f"with {EVERYTHING}": Mixture()}
        | {f"without {name}": ingredient.without for name, ingredient in INGREDIENTS.items()}
    )


def make(name: str, folder: Path, backgrounds: Path, count: int) -> None:
    """Render one of the ``sets``, unless it is there; tests have backgrounds of their own.

    All sets of training begin with the same random numbers, so that they differ in little but the
    ingredient.
    """
    kept = Backgrounds.load(backgrounds)
    is_test = name.startswith("test")
    places = [p for i, p in enumerate(kept.photographs) if (i % 5 == 0) == is_test]
    rng = np.random.default_rng(1 if is_test else 2)
    pictures = sets()[name].render(rng, count, replace(kept, photographs=places))
    once(folder, name, lambda: CropSet.of(pictures, count, CROPS.size_px))
