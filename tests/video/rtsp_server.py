"""A small RTSP camera on loopback: H.264 as RTP inside the RTSP connection (RFC 2326, 6184).

It loops over ``clips.picture``, in real time, for as many clients as call. What goes wrong with
cameras can be done to it: ``hang_up``, ``freeze``, ``vanish``, a password, a wrong path.
"""

from __future__ import annotations

import base64
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

import av

from clips import picture

N_PICTURES = 60
_PAYLOAD_TYPE = 96
_CLOCK_HZ = 90_000
#: Any but 0, which libav takes for none.
_FIRST_STAMP = 1_234_567
#: Small enough that key pictures come in several packets.
_MAX_PAYLOAD = 300
_SPS, _PPS, _FU_A = 7, 8, 28


class RtspServer:
    """Serves ``rtsp://127.0.0.1:<port>/hands`` until the ``with`` block ends.

    Args:
        fps: pictures a second.
        password: that of the user ``knuckle``, if one is wanted.

    Attributes:
        calls: sessions that were asked to play.
        sent: pictures sent, over all sessions.
        silent: True answers every request and sends no picture.
    """

    def __init__(self, *, fps: float = 50.0, password: str | None = None) -> None:
        self.fps, self.password = fps, password
        self.pictures = _encode(fps)
        self.calls, self.sent, self.silent = 0, 0, False
        self.sessions: set[_Session] = set()
        self._server = _Listener(("127.0.0.1", 0), _Session)
        self._server.camera = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str = "hands", credentials: str = "") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{path}"

    def hang_up(self) -> None:
        """End every connection; who calls again is served."""
        for session in tuple(self.sessions):
            session.end()

    def freeze(self) -> None:
        """Send nothing more on the connections that there are, and leave them open."""
        for session in tuple(self.sessions):
            session.frozen = True

    def vanish(self) -> None:
        """End every connection and answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.vanish()


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    camera: RtspServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are no news."""


class _Session(socketserver.StreamRequestHandler):
    """One client: answers its requests, and sends pictures in a thread once it asks to play."""

    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.camera = self.server.camera
        self.playing, self.frozen = threading.Event(), False
        self.writing = threading.Lock()
        self.camera.sessions.add(self)

    def finish(self) -> None:
        self.camera.sessions.discard(self)
        self.playing.clear()

    def end(self) -> None:
        self.playing.clear()
        with suppress(OSError):  # it has hung up itself
            self.request.shutdown(socket.SHUT_RDWR)

    def handle(self) -> None:
        while line := self._next_request():
            method, target, _ = line.decode().split(" ", 2)
            headers = self._headers()
            if not self._may_enter(headers):
                status, answer, body = "401 Unauthorized", _CHALLENGE, ""
            elif not target.split("/", 3)[-1].startswith("hands"):
                status, answer, body = "404 Not Found", {}, ""
            else:
                status, (answer, body) = "200 OK", self._answer(method, headers)
            self._reply(status, {"CSeq": headers["cseq"], **answer}, body)
            if status == "200 OK" and method == "PLAY":
                self.camera.calls += 1
                self.playing.set()
                threading.Thread(target=self._play, daemon=True).start()
            if method == "TEARDOWN":
                return

    def _next_request(self) -> bytes:
        """Its first line; the client's receiver reports, which come between, are passed over."""
        while (first := self.rfile.read(1)) == b"$":
            _, length = struct.unpack(">BH", self.rfile.read(3))
            self.rfile.read(length)
        return first + self.rfile.readline()

    def _headers(self) -> dict[str, str]:
        lines = iter(lambda: self.rfile.readline().decode().strip(), "")
        return {
            name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)
        }

    def _may_enter(self, headers: dict[str, str]) -> bool:
        if self.camera.password is None:
            return True
        expected = base64.b64encode(f"knuckle:{self.camera.password}".encode()).decode()
        return headers.get("authorization") == f"Basic {expected}"

    def _answer(self, method: str, headers: dict[str, str]) -> tuple[dict[str, str], str]:
        """Headers and body of the reply to a request that may be made."""
        session = {"Session": "1"}
        if method == "OPTIONS":
            return {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"}, ""
        if method == "DESCRIBE":
            sdp = _describe(self.camera.pictures[0])
            return {"Content-Type": "application/sdp", "Content-Base": self.camera.url() + "/"}, sdp
        if method == "SETUP":
            assert "interleaved" in headers["transport"], "expected RTP inside the connection"
            return {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", **session}, ""
        return session, ""  # PLAY, GET_PARAMETER, TEARDOWN

    def _reply(self, status: str, headers: dict[str, str], body: str) -> None:
        lines = [f"RTSP/1.0 {status}", *(f"{name}: {value}" for name, value in headers.items())]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self._write("\r\n".join([*lines, "", body]).encode())

    def _play(self) -> None:
        started_s, sequence, index = time.monotonic(), 0, 0
        while self.playing.is_set():
            if not (self.frozen or self.camera.silent):
                stamp = _FIRST_STAMP + round(index * _CLOCK_HZ / self.camera.fps)
                units = self.camera.pictures[index % N_PICTURES]
                for packet in rtp_packets(units, sequence, stamp):
                    sequence += 1
                    try:
                        self._write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                    except OSError:
                        return
                self.camera.sent += 1
            index += 1
            time.sleep(max(0.0, started_s + index / self.camera.fps - time.monotonic()))

    def _write(self, data: bytes) -> None:
        with self.writing:
            self.request.sendall(data)


_CHALLENGE = {"WWW-Authenticate": 'Basic realm="camera"'}


def _encode(fps: float) -> list[list[bytes]]:
    """The NAL units of each picture of one loop; every tenth can be begun with."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 64, 48, "yuv420p"
    codec.time_base = Fraction(1, round(fps))
    codec.options = {"tune": "zerolatency", "g": "10", "crf": "10", "preset": "ultrafast"}
    frames = [av.VideoFrame.from_ndarray(picture(index)) for index in range(N_PICTURES)]
    packets = []
    for index, frame in enumerate(frames):
        frame.pts = index
        packets += codec.encode(frame.reformat(format="yuv420p"))
    packets += codec.encode(None)
    assert len(packets) == N_PICTURES
    return [_nal_units(bytes(packet)) for packet in packets]


def _nal_units(annex_b: bytes) -> list[bytes]:
    """Split at the start codes."""
    pieces = annex_b.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [piece for piece in pieces if piece]


def _describe(units: list[bytes]) -> str:
    """The session description (RFC 4566) of a stream that begins with these units."""
    sets = [base64.b64encode(unit).decode() for unit in units if unit[0] & 31 in (_SPS, _PPS)]
    return "\r\n".join(
        [
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=hands",
            "c=IN IP4 127.0.0.1",
            "t=0 0",
            f"m=video 0 RTP/AVP {_PAYLOAD_TYPE}",
            f"a=rtpmap:{_PAYLOAD_TYPE} H264/{_CLOCK_HZ}",
            f"a=fmtp:{_PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={','.join(sets)}",
            "a=control:track0",
            "",
        ]
    )


def rtp_packets(units: list[bytes], sequence: int, stamp: int) -> Iterator[bytes]:
    """The RTP packets of one picture, large units in fragments; the last has the marker."""
    payloads = [payload for unit in units for payload in _fragments(unit)]
    for offset, payload in enumerate(payloads):
        marker = 0x80 if offset == len(payloads) - 1 else 0
        number = (sequence + offset) & 0xFFFF
        yield struct.pack(">BBHII", 0x80, marker | _PAYLOAD_TYPE, number, stamp, 1) + payload


def _fragments(unit: bytes) -> Iterator[bytes]:
    if len(unit) <= _MAX_PAYLOAD:
        yield unit
        return
    indicator, kind, data = (unit[0] & 0xE0) | _FU_A, unit[0] & 31, unit[1:]
    for at in range(0, len(data), _MAX_PAYLOAD):
        first, last = at == 0, at + _MAX_PAYLOAD >= len(data)
        yield bytes([indicator, first << 7 | last << 6 | kind]) + data[at : at + _MAX_PAYLOAD]
