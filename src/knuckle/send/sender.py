"""A sender tells another program of the hands of every frame, and never waits for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from knuckle.closable import Closable
from knuckle.results import Frame, HandPose


class Sender(Closable):
    """Sends to one place. Who does not listen misses it: the newest frame is what counts."""

    @abstractmethod
    def __init__(self, host: str, port: int) -> None:
        """Begin to send there, or to serve there whoever asks."""

    @abstractmethod
    def send(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Tell of one frame: all its hands, which may be none."""
