"""What can be wrong with a source. Each message is one sentence: expected, found, do next."""

from __future__ import annotations

from knuckle.errors import KnuckleError


class SourceError(KnuckleError, RuntimeError):
    """A source cannot give (more) frames."""


class SourceNotFoundError(SourceError):
    """Nothing is there: no such file, no such camera, no answer."""


class SourceUnreadableError(SourceError):
    """Something is there, but it is not what its name promises."""


class SourceEmptyError(SourceError):
    """It can be read and holds not a single frame."""


class SourceBrokenError(SourceError):
    """It broke off in the middle; every frame before the break has been delivered."""
