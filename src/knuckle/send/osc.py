"""Open Sound Control over UDP: the VMC protocol for avatars, and plain joints for all others."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from knuckle.results import Frame, HandPose
from knuckle.send.udp import DatagramSender
from knuckle.send.vmc import bone_rotations, wrist_pose

_IMMEDIATELY = b"#bundle\0" + struct.pack(">Q", 1)


class OscSender(DatagramSender):
    """Sends two bundles a hand, and one a frame that says that all is well.

    * ``/VMC/Ext/Bone/Pos`` name, position (0: bones keep the avatar's lengths), quaternion: each of
      a hand's 15 finger bones, from its parent bone, as avatars take them.
    * ``/VMC/Ext/Tra/Pos`` ``LeftHand`` or ``RightHand``, position (m), quaternion: the wrist, seen
      from the camera.
    * ``/knuckle/left`` or ``/knuckle/right``, 63 numbers: ``joints_mm``.
    * ``/VMC/Ext/OK`` 1 and ``/VMC/Ext/T`` seconds: once a frame.
    """

    def send(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Send the surest hand of each side; an avatar has no more."""
        of_side = {hand.side: hand for hand in sorted(hands, key=lambda hand: hand.score)}
        for hand in of_side.values():
            self._tell(bundle(_bones_of(hand)))  # apart: a network carries 1,500 bytes
            self._tell(bundle(_place_of(hand)))
        alive = [message("/VMC/Ext/OK", 1), message("/VMC/Ext/T", float(frame.time_s))]
        self._tell(bundle(alive))


def _bones_of(hand: HandPose) -> list[bytes]:
    return [
        message("/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, *turn.tolist())
        for name, turn in bone_rotations(hand).items()
    ]


def _place_of(hand: HandPose) -> list[bytes]:
    place, turn = wrist_pose(hand)
    name = f"{hand.side.title()}Hand"
    return [
        message("/VMC/Ext/Tra/Pos", name, *place.tolist(), *turn.tolist()),
        message(f"/knuckle/{hand.side}", *np.ravel(hand.joints_mm).tolist()),
    ]


def message(address: str, *values: str | int | float) -> bytes:
    """An OSC 1.0 message: strings, 32-bit integers and 32-bit floats."""
    tags, packed = ",", b""
    for value in values:
        if isinstance(value, str):
            tags, packed = tags + "s", packed + _string(value)
        elif isinstance(value, int):
            tags, packed = tags + "i", packed + struct.pack(">i", value)
        else:
            tags, packed = tags + "f", packed + struct.pack(">f", value)
    return _string(address) + _string(tags) + packed


def bundle(messages: Sequence[bytes]) -> bytes:
    """An OSC bundle that is due at once."""
    return _IMMEDIATELY + b"".join(struct.pack(">i", len(each)) + each for each in messages)


def _string(text: str) -> bytes:
    """Ended by one to four zeros, so that its length is a multiple of four."""
    encoded = text.encode("ascii")
    return encoded + b"\0" * (4 - len(encoded) % 4)
