"""The clip of ``make demo`` and the truth about it, both made by ``tools/make_demo_clip.py``."""
