"""Runs a generator in a thread of its own, a few items ahead of whoever consumes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from typing import Generic, TypeVar

T = TypeVar("T")

#: How often a waiting thread looks whether it was asked to stop. ``stop`` must be safe in a signal
#: handler, so it may not take the lock and cannot wake anybody.
_POLL_S = 0.05
_CLOSE_S = 2.0


class Background(Generic[T]):
    """Iterates over ``items``, a generator, while a thread produces them, ``depth`` of them ahead.

    It is closed when the iteration ends, however it ends. With ``newest``, for live sources, where
    a late frame is worse than a missing one, only the newest item is handed out: the one that waits
    is dropped (and counted) instead of making the producer wait.
    """

    def __init__(
        self, items: Generator[T, None, None], *, depth: int, newest: bool = False
    ) -> None:
        self.dropped = 0  # items thrown away because of ``newest``
        self._items = items
        self._depth = 1 if newest else depth
        self._newest = newest
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._finished = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._produce, name="knuckle-source", daemon=True)
        self._thread.start()

    def __iter__(self) -> Background[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            while not self._ready and not self._finished and not self._stopped:
                self._changed.wait(_POLL_S)
            if self._stopped:
                raise StopIteration
            if self._ready:
                item = self._ready.popleft()
                self._changed.notify_all()
                return item
        self._thread.join()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    def stop(self) -> None:
        """End the iteration; takes no lock."""
        self._stopped = True

    def close(self) -> None:
        """End the iteration and let the producer free what it holds.

        A producer that waits for a dead network is left to its own timeout.
        """
        self.stop()
        self._thread.join(_CLOSE_S)
        self._ready.clear()

    def _produce(self) -> None:
        try:
            for item in self._items:
                if not self._offer(item):
                    break
        except BaseException as error:  # handed over to the consumer, whatever it is
            self._error = error
        finally:
            self._items.close()
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _offer(self, item: T) -> bool:
        """Put one item into the queue; False if nobody wants any more."""
        with self._changed:
            while len(self._ready) >= self._depth and not self._stopped:
                if self._newest:
                    self._ready.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait(_POLL_S)
            if self._stopped:
                return False
            self._ready.append(item)
            self._changed.notify_all()
            return True
