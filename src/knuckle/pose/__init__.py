"""One crop: keypoints, mask and side, then 3D joints and their place in the camera."""
