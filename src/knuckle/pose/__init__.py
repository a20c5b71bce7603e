"""From a hand's crop to its joints: 2D keypoints, 3D joints, their place in the camera."""

from knuckle.pose.keypoints import Keypoints

__all__ = ["Keypoints"]
