"""A hand of the project's own: its shape, its poses, its picture."""
