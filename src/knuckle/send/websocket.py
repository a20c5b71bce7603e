"""A WebSocket for pages and programs of this machine (needs websockets): a frame, a message."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from knuckle.output.errors import optional
from knuckle.output.json_lines import line_of
from knuckle.results import Frame, HandPose
from knuckle.send.sender import Sender

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

#: Pages of this machine, and programs, which say nothing. A page from elsewhere must not read where
#: the visitor's hands are.
_WELCOME = [None, re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")]


class WebSocketSender(Sender):
    """Serves every client the newest frame as soon as the client has taken the one before."""

    def __init__(self, host: str, port: int) -> None:
        serve = optional("websockets.sync.server", "viewer", "ws://").serve
        self._news = threading.Condition()
        self._line, self._number, self._closed = "", 0, False
        self._server = serve(self._attend, host, port, origins=_WELCOME, compression=None)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def send(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Let all clients have it; they never hold the sender up."""
        with self._news:
            self._line, self._number = line_of(frame, hands), self._number + 1
            self._news.notify_all()

    def close(self) -> None:
        """Part with all clients."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._thread.join()

    def _attend(self, client: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        told = 0
        try:
            while True:
                with self._news:
                    while not self._closed and self._number == told:
                        self._news.wait()
                    if self._closed:
                        return
                    line, told = self._line, self._number
                client.send(line)
        except ConnectionClosed:
            return
