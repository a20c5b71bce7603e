"""Where two hands touch, how deep they reach into each other, and how to get them out again.

For speed the flesh of a hand is a set of balls that fill its mesh: the medial balls of the mean
hand (shrinking-ball construction: Ma, Bae and Choi, "3D medial axis point approximation using
nearest neighbors and the normal field", The Visual Computer 28, 2012), as few as cover the skin
(greedy set cover). They follow pose and shape as the skin around them does. Two balls that overlap
say by how much, and in which direction, two hands pass through each other; ``resolve`` moves
fingers, wrists and the second hand until they no longer do, and until what shall touch touches.
``mesh_penetration_mm`` measures the same on the skinned mesh: slow and exact, for reports.
"""

from knuckle.render.contact.gaps import gap_mm, penetration_mm
from knuckle.render.contact.mesh import mesh_penetration_mm
from knuckle.render.contact.resolve import GIVE_MM, resolve

__all__ = ["GIVE_MM", "gap_mm", "mesh_penetration_mm", "penetration_mm", "resolve"]
