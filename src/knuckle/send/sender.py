"""A sender tells another program of the hands of every frame, and never waits for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from knuckle.closable import Closable
from knuckle.results import Frame, HandPose


class Sender(Closable):
    """Sends to one place. Who does not listen misses it: the newest frame is what counts."""

    #: Whether an address is ``HOST:PORT``; else it is a name.
    needs_port: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, host: str, port: int) -> None:
        """Begin to send, or to serve, there."""

    @abstractmethod
    def send(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Tell of one frame: all its hands, which may be none."""
