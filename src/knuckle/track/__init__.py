"""From frame to frame: identity, side and smoothing."""
