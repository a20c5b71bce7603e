"""What can go wrong with results. Each message is one sentence: expected, found, do next."""

from __future__ import annotations

from knuckle.errors import KnuckleError


class OutputError(KnuckleError, RuntimeError):
    """Results cannot be written or read."""
