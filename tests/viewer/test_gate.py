"""The page is for people at this machine, not for other pages in their browser."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import viser
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from fakes import SIZE, frame, pose
from knuckle.output import SINKS, RunInfo, open_recording
from knuckle.output.errors import OutputError
from knuckle.viewer.gate import Gate, gated
from knuckle.viewer.play import view
from knuckle.viewer.stage import Stage, StageSettings

ANYWHERE = StageSettings(port=18180)


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """host:port of a page that shows a hand."""
    with Stage(ANYWHERE, "test", size=SIZE, max_hands=1) as stage:
        yield urlsplit(stage.url).netloc


def first_message(place: str, *, origin: str | None) -> bytes:
    """What a web socket from a page of this origin receives, as browsers open them."""
    spoken = Subprotocol(f"viser-v{viser.__version__}")
    with connect(
        f"ws://{place}",
        origin=None if origin is None else Origin(origin),
        subprotocols=[spoken],
        compression=None,
        max_size=None,
        proxy=None,
    ) as socket:
        return bytes(socket.recv(timeout=10))  # type: ignore[arg-type]


def test_its_own_page_sees_the_pictures(place: str) -> None:
    assert len(first_message(place, origin=f"http://{place}")) > 100
    assert len(first_message(place, origin=None)) > 100  # no browser


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "http://evil.example",
            "https://evil.example:8080",
            "null",
            "file://",
            "http://localhost:1",
        ),
        *("http://127.0.0.1", "http://127.0.0.1.evil.example:18180", "chrome-extension://abc"),
    ],
)
def test_another_page_gets_nothing(place: str, origin: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        first_message(place, origin=origin)
    assert caught.value.response.status_code == 403


def asked(place: str, host: str | None, origin: str | None = None) -> tuple[int, bytes]:
    """The answer to a request for the page itself."""
    with closing(http.client.HTTPConnection(place, timeout=10)) as connection:
        connection.putrequest("GET", "/", skip_host=True)
        for name, value in (("Host", host), ("Origin", origin)):
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        with connection.getresponse() as answer:
            return answer.status, answer.read()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:18180", "127.0.0.1.evil.example"])
def test_nor_under_another_name(place: str, host: str) -> None:
    """A name of somebody else can be made to lead here after his page was loaded from it."""
    status, body = asked(place, host)
    assert status == 403 and b"<html" not in body
    assert asked(place, f"127.0.0.1:{place.split(':')[1]}", "http://evil.example")[0] == 403
    assert asked(place, "localhost:9")[0] == 200  # through a tunnel: pages of that name are ours


@pytest.mark.parametrize(
    ("served_on", "host", "let_in"),
    [
        ("127.0.0.1", "localhost:8080", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("127.0.0.1", "192.168.0.7:8080", False),
        ("192.168.0.7", "192.168.0.7:8080", True),
        ("camera.lan", "Camera.LAN:8080", True),
        ("camera.lan", "evil.example:8080", False),
        ("0.0.0.0", "192.168.0.7:8080", True),
        ("0.0.0.0", "[fe80::1]:8080", True),
        ("::", "10.0.0.1", True),
        ("0.0.0.0", "evil.example:8080", False),
        ("0.0.0.0", "me@192.168.0.7", False),
        ("0.0.0.0", "[::1", False),
    ],
)
def test_names_that_are_ours(served_on: str, host: str, let_in: bool) -> None:
    assert (Gate(served_on).refusal(Headers({"Host": host})) is None) == let_in


def test_a_viser_that_opens_no_door_is_not_used() -> None:
    with pytest.raises(OutputError, match="this version of viser"), gated(Gate("localhost")):
        pass


def test_an_address_of_another_machine_is_refused_at_once() -> None:
    with pytest.raises(OutputError, match=r"cannot serve on 192\.0\.2\.1:18180"):
        Stage(StageSettings("192.0.2.1", 18180), "test", size=SIZE, max_hands=1)


def test_an_address_in_a_result_is_not_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked_for: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked_for.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://me:secret@127.0.0.1:{server.server_port}/clip.mp4"
        with SINKS["npz"](tmp_path, RunInfo.of("clip.mp4", SIZE)) as sink:
            sink.write(frame(0), [pose(track_id=0)])
        for name in (address, f"cache:{address}", address.replace("//", "/"), "//server/clip.mp4"):
            recording = open_recording(tmp_path)
            object.__setattr__(recording.info, "source", name)
            turns = iter(range(2))
            view(recording, None, ANYWHERE, keep_on=lambda t=turns: next(t, None) is not None)
        server.shutdown()
    assert asked_for == []
    said = capsys.readouterr().out
    assert "the hands are shown alone, --video FILE" in said and "secret" not in said.split("\n")[0]
