"""Datagrams of JSON: one a frame, each a line as in ``hands.jsonl``."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress

from knuckle.output.json_lines import line_of
from knuckle.results import Frame, HandPose
from knuckle.send.sender import Sender


class DatagramSender(Sender):
    """Sends to one place, whether or not anybody listens there."""

    def __init__(self, host: str, port: int) -> None:
        """Look the place up.

        Raises:
            OSError: there is no such host.
        """
        places = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, place = places[0]
        self._place: tuple = place
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # to all of a network

    def _tell(self, payload: bytes) -> None:
        """Send a datagram; it is lost if nothing listens there, or the network is gone or full."""
        with suppress(OSError):
            self._socket.sendto(payload, self._place)

    def close(self) -> None:
        """Send no more."""
        self._socket.close()


class UdpSender(DatagramSender):
    """Sends a frame as one datagram of JSON, with the fields of ``docs/formats.md``."""

    def send(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Send ``{"frame": …, "time_s": …, "n_hands": …, "hands": […]}``."""
        self._tell(line_of(frame, hands).encode())
