"""Lab Streaming Layer: hands beside EEG, EMG and markers, on one clock (needs pylsl)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from knuckle.hand import JOINT_NAMES, SIDES
from knuckle.output.errors import optional
from knuckle.results import Frame, HandPose
from knuckle.send.sender import Sender

#: What is said of a joint, with XDF's names for it and units.
_TOLD = (
    ("x", "PositionX", "meters"),
    ("y", "PositionY", "meters"),
    ("z", "PositionZ", "meters"),
    ("score", "Confidence", "normalized"),
)
_CHANNELS = len(SIDES) * len(JOINT_NAMES) * len(_TOLD)


class LslSender(Sender):
    """A stream of type ``MoCap``: one sample a frame, 168 channels, NaN where a hand is not seen.

    Left hand first, then right: 21 joints each with x, y, z in the camera frame (m) and the
    joint's score. Samples are as far apart as frames were taken, on LSL's clock.
    """

    needs_port = False

    def __init__(self, host: str, port: int = 0) -> None:
        """Announce a stream of the name ``host``; the port is of no use, LSL finds its own.

        Raises:
            OutputError: pylsl is not installed.
        """
        pylsl = optional("pylsl", "lsl", "lsl://")
        self._clock = pylsl.local_clock
        self._later_s = float("inf")
        self._outlet: Any = pylsl.StreamOutlet(_described(pylsl, host))

    def send(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Send the surest hand of each side."""
        sample = np.full((len(SIDES), len(JOINT_NAMES), len(_TOLD)), np.nan, np.float32)
        for hand in sorted(hands, key=lambda hand: hand.score):
            of_side = sample[SIDES.index(hand.side)]
            of_side[:, :3], of_side[:, 3] = hand.joints_mm / 1000, hand.joint_score
        # The clocks differ by a constant, which the frame that came here fastest shows best.
        self._later_s = min(self._later_s, self._clock() - frame.time_s)
        self._outlet.push_sample(sample.ravel().tolist(), frame.time_s + self._later_s)

    def close(self) -> None:
        """End the stream."""
        self._outlet = None


def _described(pylsl: Any, name: str) -> Any:
    info = pylsl.StreamInfo(
        name,
        "MoCap",
        _CHANNELS,
        pylsl.IRREGULAR_RATE,  # cameras drop frames
        "float32",
        f"knuckle-{name}",  # who listened before a restart goes on listening
    )
    channels = info.desc().append_child("channels")
    for side in SIDES:
        for joint in JOINT_NAMES:
            for label, kind, unit in _TOLD:
                channel = channels.append_child("channel")
                channel.append_child_value("label", f"{side}_{joint}_{label}")
                channel.append_child_value("marker", f"{side}_{joint}")
                channel.append_child_value("type", kind)
                channel.append_child_value("unit", unit)
    info.desc().append_child_value("manufacturer", "Knuckle")
    return info
