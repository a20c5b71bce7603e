"""What must be closed, and is when its ``with`` block ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closable(ABC):
    """Something with a ``close`` method, for use in a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Free what it holds; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
