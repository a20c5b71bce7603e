"""Opens ``hands.bvh`` and ``hands.glb`` in Blender and compares them with ``hands.npz``.

For developers, with the Python of an environment that has Blender as a module:

    pip install bpy
    knuckle track src/knuckle/demo/hands.mp4 -o out --format npz,bvh,glb
    python tools/check_in_blender.py out
    python tools/check_in_blender.py out --render out/blender.png --frame 100

Prints the largest distance between a bone's head in Blender and the written joint, in millimetres,
and exits with 1 if constant bone lengths do not explain it.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import bpy
import numpy as np

#: Bone -> the joint that it begins at.
BONES = {
    "Hand": 0,
    "ThumbProximal": 2,
    "IndexProximal": 5,
    "IndexDistal": 7,
    "MiddleIntermediate": 10,
    "LittleDistal": 19,
}
FPS = 30
MOST_MM = 4.0
#: Horizontal field of view of a 4:3 picture with 65° across its diagonal.
VIEW_DEG = 54.0


def expected(record: np.ndarray, joint: int) -> np.ndarray:
    """(3,) metres where Blender, whose z is up, should show a joint."""
    x, y, z = record[joint] / 1000
    return np.array([x, z, -y])


def opened(path: Path, first: int) -> dict[tuple[int, str, int], np.ndarray]:
    """(frame, side, joint) -> where it is in Blender; its frames count from ``first``."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = FPS
    if path.suffix == ".bvh":
        bpy.ops.import_anim.bvh(filepath=str(path))
    else:
        bpy.ops.import_scene.gltf(filepath=str(path))
    armatures = [each for each in bpy.data.objects if each.type == "ARMATURE"]
    with np.load(path.with_name("hands.npz")) as data:
        frames = np.unique(data["frame"])[::10].tolist()
    places = {}
    for frame in frames:
        scene.frame_set(frame + first)
        for armature in armatures:
            for side in ("left", "right"):
                for name, joint in BONES.items():
                    bone = armature.pose.bones.get(f"{side.capitalize()}{name}")
                    if bone is not None:
                        where = (armature.matrix_world @ bone.matrix).translation
                        places[frame, side, joint] = np.array(where)
    return places


def largest_gap_mm(places: dict, folder: Path) -> float:
    """Between Blender and the joints of the hands that are seen."""
    gaps = []
    with np.load(folder / "hands.npz") as data:
        for (frame, side, joint), place in places.items():
            rows = np.flatnonzero((data["frame"] == frame) & (data["side"] == side))
            if len(rows) == 1:
                gap = place - expected(data["joints_mm"][rows[0]], joint)
                gaps.append(1000 * np.linalg.norm(gap))
    return max(gaps)


def render(path: Path, frame: int) -> None:
    """What the camera saw, of what is open."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.rotation_euler, camera.data.angle = (math.pi / 2, 0, 0), math.radians(VIEW_DEG)
    camera.data.clip_start = 0.01
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.rotation_euler, sun.data.energy = (math.radians(60), 0.5, 0), 4
    for each in (camera, sun):
        scene.collection.objects.link(each)
    scene.camera, scene.render.engine, scene.cycles.samples = camera, "CYCLES", 16
    scene.render.resolution_x, scene.render.resolution_y = 640, 480
    scene.world = bpy.data.worlds.new("grey")
    scene.world.color = (0.25, 0.25, 0.3)
    scene.frame_set(frame)
    scene.render.filepath = str(path.resolve())
    bpy.ops.render.render(write_still=True)


def main() -> int:
    """Open, compare, say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--render", type=Path)
    parser.add_argument("--frame", type=int, default=0)
    options = parser.parse_args()
    worst = 0.0
    for name, first in (("hands.bvh", 1), ("hands.glb", 0)):
        places = opened(options.folder / name, first)
        gap = largest_gap_mm(places, options.folder)
        print(f"{name}: {len(places)} places, {gap:.2f} mm off at most")
        worst = max(worst, gap)
    if options.render:
        render(options.render, options.frame)
    return int(worst > MOST_MM)


if __name__ == "__main__":
    sys.exit(main())
