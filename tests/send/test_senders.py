"""What is sent is read by other people's programs: python-osc, websockets, liblsl, Rerun."""

from __future__ import annotations

import errno
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pylsl
import pytest
import rerun_cli
from pythonosc.osc_bundle import OscBundle
from rerun.chunk import RrdReader
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from clips import write_video
from fakes import FakeTracker, frame, pose, scene
from knuckle.cli import main
from knuckle.errors import NotWrittenError
from knuckle.hand import JOINT_NAMES
from knuckle.output import OutputError
from knuckle.output.records import hand_records
from knuckle.send import SENDERS, open_senders, sending
from knuckle.send.rerun_viewer import RerunViewer

# Streams of this process are announced to this machine alone.
pylsl.set_config_content("[multicast]\nResolveScope = machine\n[log]\nlevel = -3\n")


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        yield listening


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def address_of(kind: str) -> str:
    return f"{kind}://127.0.0.1:{free_port()}" if SENDERS[kind].needs_port else f"{kind}://hands"


@pytest.mark.parametrize("kind", SENDERS)
def test_nobody_has_to_listen(kind: str) -> None:
    (sender,) = open_senders([address_of(kind)])
    with sender:
        for each in scene(5):
            sender.send(*each)


@pytest.mark.parametrize("kind", SENDERS)
def test_closing_twice_is_closing_once(kind: str) -> None:
    (sender,) = open_senders([address_of(kind)])
    sender.close()
    sender.close()


@pytest.mark.parametrize(
    "address",
    [
        "osc://", "osc://127.0.0.1", "http://127.0.0.1:1", "nonsense", "udp://host:many",
        "lsl://", "lsl://hands:9000",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_told_of(address: str) -> None:
    with pytest.raises(ValueError, match="expected one of osc://"):
        open_senders([address])


@pytest.mark.parametrize(
    ("address", "library", "extra"),
    [("lsl://hands", "pylsl", "lsl"), ("ws://127.0.0.1:1", "websockets.sync.server", "viewer")],
)
def test_a_library_that_is_missing_is_named(
    address: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(OutputError, match=rf"pip install 'knuckle\[{extra}\]'"):
        open_senders([address])


def test_a_datagram_of_json_has_the_fields_of_the_files(listener: socket.socket) -> None:
    hands = [pose(side="left", track_id=3)]
    (sender,) = open_senders([f"udp://127.0.0.1:{listener.getsockname()[1]}"])
    with sender:
        sender.send(frame(7), hands)
    said = json.loads(listener.recv(65536))
    assert (said["frame"], said["n_hands"], said["hands"][0]["track_id"]) == (7, 1, 3)
    expected = hand_records(frame(7), hands)["joints_mm"][0]
    np.testing.assert_allclose(said["hands"][0]["joints_mm"], expected, atol=6e-4)


def test_osc_is_read_by_python_osc(listener: socket.socket) -> None:
    hand = pose(side="left")
    (sender,) = open_senders([f"osc://127.0.0.1:{listener.getsockname()[1]}"])
    with sender:
        sender.send(frame(3), [hand])
    datagrams = [listener.recv(65536) for _ in range(3)]
    assert max(map(len, datagrams)) <= 1500  # what a network carries in one piece
    messages = [message for datagram in datagrams for message in OscBundle(datagram)]
    bones = [m for m in messages if m.address == "/VMC/Ext/Bone/Pos"]
    assert len(bones) == 15
    assert all(len(m.params) == 8 for m in bones)
    assert bones[0].params[0] == "LeftThumbProximal"
    np.testing.assert_allclose([np.linalg.norm(m.params[4:]) for m in bones], 1, atol=1e-6)
    (joints,) = [m for m in messages if m.address == "/knuckle/left"]
    np.testing.assert_allclose(np.reshape(joints.params, (21, 3)), hand.joints_mm, rtol=1e-6)
    (wrist,) = [m for m in messages if m.address == "/VMC/Ext/Tra/Pos"]
    assert wrist.params[0] == "LeftHand"
    assert [m.params for m in messages if m.address == "/VMC/Ext/OK"] == [[1]]


def test_a_client_gets_the_newest_frame() -> None:
    port = free_port()
    (sender,) = open_senders([f"ws://127.0.0.1:{port}"])
    with sender:
        for each in scene(5):
            sender.send(*each)
        with connect(f"ws://127.0.0.1:{port}") as client:
            assert json.loads(client.recv(timeout=10))["frame"] == 4
            sender.send(frame(9), [])
            assert json.loads(client.recv(timeout=10))["frame"] == 9


def test_a_page_from_elsewhere_is_turned_away() -> None:
    port = free_port()
    (sender,) = open_senders([f"ws://127.0.0.1:{port}"])
    with sender, pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{port}", origin="https://evil.example")


def test_lsl_is_read_by_liblsl() -> None:
    left, right = pose(side="left"), pose(side="right")
    (sender,) = open_senders(["lsl://Knuckle-Test"])
    with sender:
        (found,) = pylsl.resolve_byprop("name", "Knuckle-Test", timeout=20)
        inlet = pylsl.StreamInlet(found)
        inlet.open_stream(timeout=20)
        sender.send(frame(0), [left, right])
        time.sleep(0.15)  # late, as a busy machine is
        sender.send(frame(3), [right])
        samples, times = zip(*(inlet.pull_sample(timeout=20) for _ in range(2)), strict=True)
        about = inlet.info()
    said = np.reshape(samples, (2, 2, 21, 4))
    np.testing.assert_allclose(said[0, 0, :, :3], left.joints_mm / 1000, rtol=1e-5)
    np.testing.assert_allclose(said[0, 1, :, 3], right.joint_score, rtol=1e-5)
    assert np.isnan(said[1, 0]).all() and np.isfinite(said[1, 1]).all()
    assert times[1] - times[0] == pytest.approx(frame(3).time_s - frame(0).time_s, abs=1e-3)
    channel = about.desc().child("channels").child("channel")
    assert channel.child_value("label") == f"left_{JOINT_NAMES[0]}_x"
    assert (channel.child_value("unit"), about.type()) == ("meters", "MoCap")


@pytest.mark.filterwarnings("ignore:RRD file has no footer")  # the viewer was interrupted
def test_rerun_shows_what_is_sent(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "heard.rrd"
    program = Path(rerun_cli.__file__).with_name("rerun")
    command = [program, "--port", str(port), "--save", str(path)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdout=quiet, stderr=quiet, preexec_fn=_heed_interrupts
    ) as viewer:
        _wait_until_it_listens(port)
        with RerunViewer(port=port) as sender:
            for each in scene(3):
                sender.send(*each)
        time.sleep(0.5)
        viewer.send_signal(signal.SIGINT)
    places = {chunk.entity_path for chunk in RrdReader(str(path)).stream().to_chunks()}
    assert {"/world/camera", "/world/camera/picture"} <= places
    assert any(place.startswith("/world/hands/") for place in places)


@pytest.mark.parametrize("address", ["udp://nowhere.invalid:9000", "osc://a..b:9000", "ws://{}"])
def test_a_place_that_is_not_there_or_taken_is_told_with_its_address(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = address.format(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(NotWrittenError, match=rf"^cannot send to '{address}' \(.*a host that"):
            open_senders([address])


def test_a_network_that_goes_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation whose wireless network came back had ended meanwhile."""
    (sender,) = open_senders([f"udp://127.0.0.1:{free_port()}"])
    with sender:
        assert sender._socket.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        gone = OSError(errno.ENETUNREACH, "Network is unreachable")
        monkeypatch.setattr(sender, "_socket", _Failing(gone, sender._socket))
        sender.send(*scene(1)[0])


class _Failing:
    def __init__(self, error: OSError, real: socket.socket) -> None:
        self._error, self.close = error, real.close

    def sendto(self, *_: object) -> None:
        raise self._error


def test_no_viewer_is_started_on_other_machines() -> None:
    with pytest.raises(NotWrittenError, match="expected a Rerun viewer"):
        RerunViewer("127.0.0.2", free_port())


def _heed_interrupts() -> None:
    """A shell has what it runs in the background ignore interrupts, and children with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_until_it_listens(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens at {port}")


def test_a_tracker_that_sends_gives_the_same_hands(listener: socket.socket) -> None:
    hands = [pose()]
    (sender,) = open_senders([f"udp://127.0.0.1:{listener.getsockname()[1]}"])
    with sender:
        assert sending(lambda frame: hands, [sender])(frame(0)) is hands
    assert json.loads(listener.recv(65536))["n_hands"] == 1


def test_live_sends_what_it_sees(
    listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "clip.mp4", 3)
    monkeypatch.setattr("knuckle.cli.tracking._tracker", lambda *_, **__: FakeTracker())
    address = f"udp://127.0.0.1:{listener.getsockname()[1]}"
    arguments = ["live", "--source", str(tmp_path / "clip.mp4"), "--send", address]
    assert main([*arguments, "--port", str(free_port())]) == 0
    assert [json.loads(listener.recv(65536))["frame"] for _ in range(3)] == [0, 1, 2]


def test_live_says_what_it_cannot_send_to_before_it_opens_a_camera(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("knuckle.cli.tracking._tracker", lambda *_, **__: FakeTracker())
    assert main(["live", "--source", "none.mp4", "--send", "tcp://x"]) == 2
    assert "expected one of osc://" in capsys.readouterr().err
