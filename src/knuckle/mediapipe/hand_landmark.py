"""MediaPipe's names for the 21 joints, and the pairs that it draws lines between."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import chain, pairwise

from knuckle.hand import FINGERS


class HandLandmark(IntEnum):
    """The 21 joints in our order, by MediaPipe's names."""

    WRIST = 0
    THUMB_CMC = 1
    THUMB_MCP = 2
    THUMB_IP = 3
    THUMB_TIP = 4
    INDEX_FINGER_MCP = 5
    INDEX_FINGER_PIP = 6
    INDEX_FINGER_DIP = 7
    INDEX_FINGER_TIP = 8
    MIDDLE_FINGER_MCP = 9
    MIDDLE_FINGER_PIP = 10
    MIDDLE_FINGER_DIP = 11
    MIDDLE_FINGER_TIP = 12
    RING_FINGER_MCP = 13
    RING_FINGER_PIP = 14
    RING_FINGER_DIP = 15
    RING_FINGER_TIP = 16
    PINKY_MCP = 17
    PINKY_PIP = 18
    PINKY_DIP = 19
    PINKY_TIP = 20


def _chain(finger: int) -> tuple[tuple[int, int], ...]:
    return tuple(pairwise(FINGERS[finger].tolist()))


HAND_PALM_CONNECTIONS = ((0, 1), (0, 5), (9, 13), (13, 17), (5, 9), (0, 17))
HAND_THUMB_CONNECTIONS = _chain(0)
HAND_INDEX_FINGER_CONNECTIONS = _chain(1)
HAND_MIDDLE_FINGER_CONNECTIONS = _chain(2)
HAND_RING_FINGER_CONNECTIONS = _chain(3)
HAND_PINKY_FINGER_CONNECTIONS = _chain(4)

#: 21 pairs, in no order, as ``mp.solutions.hands`` has them.
HAND_CONNECTIONS = frozenset(chain(HAND_PALM_CONNECTIONS, *map(_chain, range(5))))


@dataclass
class Connection:
    """A line from one landmark to another."""

    start: int
    end: int


def _connections(pairs: tuple[tuple[int, int], ...]) -> list[Connection]:
    return [Connection(*pair) for pair in pairs]


class HandLandmarksConnections:
    """The same lines as lists of ``Connection``, as the Tasks API has them."""

    Connection = Connection
    # The one line that differs: from the thumb's base to the index finger's, not from the wrist.
    HAND_PALM_CONNECTIONS = _connections(((0, 1), (1, 5), (9, 13), (13, 17), (5, 9), (0, 17)))
    HAND_THUMB_CONNECTIONS = _connections(HAND_THUMB_CONNECTIONS)
    HAND_INDEX_FINGER_CONNECTIONS = _connections(HAND_INDEX_FINGER_CONNECTIONS)
    HAND_MIDDLE_FINGER_CONNECTIONS = _connections(HAND_MIDDLE_FINGER_CONNECTIONS)
    HAND_RING_FINGER_CONNECTIONS = _connections(HAND_RING_FINGER_CONNECTIONS)
    HAND_PINKY_FINGER_CONNECTIONS = _connections(HAND_PINKY_FINGER_CONNECTIONS)
    HAND_CONNECTIONS = HAND_PALM_CONNECTIONS + _connections(tuple(chain(*map(_chain, range(5)))))
