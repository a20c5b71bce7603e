"""The Rerun viewer while hands are seen: ``knuckle live --rerun`` (needs rerun-sdk)."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from knuckle.camera import Camera
from knuckle.errors import NotWrittenError
from knuckle.output.rerun_log import RerunLog
from knuckle.results import Frame, HandPose
from knuckle.send.sender import Sender

#: Where the viewer listens by default.
HOST, PORT = "127.0.0.1", 9876
#: How long a viewer may take to start, and how long the last frames may take to leave.
_STARTS_S, _LEAVES_S = 60.0, 2.0
_POLL_S = 0.1


class RerunViewer(Sender):
    """Shows picture, 2D, 3D, masks and angles in a viewer, which is started if none listens."""

    def __init__(self, host: str = HOST, port: int = PORT) -> None:
        """Wait for the viewer.

        Raises:
            OutputError: rerun-sdk is not installed.
            OSError: no viewer listens there, and none could be started.
        """
        self._log = RerunLog()
        self._begun = False
        if not _listens(host, port):
            _start(host, port)
        self._log.stream.connect_grpc(f"rerun+http://{host}:{port}/proxy")

    def send(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Show a frame and its hands."""
        if not self._begun:
            height, width = frame.image.shape[:2]
            camera = frame.camera or Camera.assume(width, height)
            self._log.begin(camera, (width, height))
            self._begun = True
        self._log.log(frame, hands)

    def close(self) -> None:
        """Send no more; the viewer stays open."""
        with suppress(RuntimeError):  # it was closed before
            self._log.stream.flush(timeout_sec=_LEAVES_S)
        self._log.stream.disconnect()


def _start(host: str, port: int) -> None:
    """Start a viewer on this machine and wait until it listens."""
    place, advice = f"{host}:{port}", f"start one with: rerun --port {port}"
    if host != HOST:
        raise NotWrittenError(f"expected a Rerun viewer at {place}, found none; {advice}")
    viewer = subprocess.Popen(
        [sys.executable, "-m", "rerun_cli", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it outlives us, as people expect of a window
    )
    end = time.monotonic() + _STARTS_S
    while time.monotonic() < end and viewer.poll() is None:
        if _listens(host, port):
            return
        time.sleep(_POLL_S)
    raise NotWrittenError(
        f"the Rerun viewer does not start at {place}, perhaps for want of a screen; {advice}, "
        "which says why"
    )


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
