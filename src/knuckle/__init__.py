"""Knuckle: hands in ordinary video, every knuckle in 3D."""
