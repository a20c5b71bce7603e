"""Latency from a frame to the packet sent for it, for every way of ``knuckle live --send``.

    python benchmarks/latency.py --frames 200

Frames of a video wait in memory and are handed to the tracker at a camera's rate; a listener in a
separate process notes when each arrives. The latency of a camera, its cable and its driver comes on
top: it cannot be measured from inside the machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

import knuckle
from knuckle.results import Frame
from knuckle.send import SENDERS, Sender, open_senders

#: Frames before those that count: the detector's, and while caches fill.
_WARM = 20
#: A frame that was not heard of by then is lost.
_LOST_S = 10.0
_END_OF_FRAME = b"/VMC/Ext/OK"


def listen_udp(port: int, heard: Callable[[], None]) -> None:
    """Whole frames are datagrams, those of OSC end with one of their own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", port))
        while True:
            said = listening.recv(65536)
            if said.startswith(b"{") or _END_OF_FRAME in said:
                heard()


def listen_ws(port: int, heard: Callable[[], None]) -> None:
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{port}") as client:
        while True:
            json.loads(client.recv())
            heard()


def listen_lsl(port: int, heard: Callable[[], None]) -> None:
    import pylsl

    (stream,) = pylsl.resolve_byprop("name", f"latency-{port}", timeout=30)
    inlet = pylsl.StreamInlet(stream)
    while True:
        inlet.pull_sample()
        heard()


LISTENERS = {"osc": listen_udp, "udp": listen_udp, "ws": listen_ws, "lsl": listen_lsl}


def _listen(kind: str, port: int, told: Connection) -> None:
    LISTENERS[kind](port, lambda: told.send(time.monotonic()))


def measured(kind: str, frames: list[Frame], fps: float) -> np.ndarray:
    """(frames, 4) ms: from a frame to its hands, from those to who listens; processor time of both.

    The last is this process's alone: what the listener spends is not in it.
    """
    tracker = knuckle.HandTracker(threads=1)
    port = _free_port()
    address = f"lsl://latency-{port}" if kind == "lsl" else f"{kind}://127.0.0.1:{port}"
    processes = multiprocessing.get_context("spawn")
    hears, told = processes.Pipe(duplex=False)
    (sender,) = open_senders([address])
    listener = processes.Process(target=_listen, args=(kind, port, told), daemon=True)
    listener.start()
    took = []
    with sender:
        _wait_for(sender, frames[0], hears)
        for number, frame in enumerate(frames):
            due = time.monotonic() + 1 / fps
            began, began_s = time.monotonic(), time.process_time()
            hands = tracker(frame)
            known, known_s = time.monotonic(), time.process_time()
            sender.send(frame, hands)
            sent_s = time.process_time()
            if not hears.poll(_LOST_S):
                raise TimeoutError(f"{kind}: frame {number} was not heard of")
            took.append((known - began, hears.recv() - known, known_s - began_s, sent_s - known_s))
            time.sleep(max(due - time.monotonic(), 0))
    listener.kill()
    listener.join()
    return 1000 * np.array(took[_WARM:])


def _wait_for(sender: Sender, frame: Frame, hears: Connection) -> None:
    """Until the listener hears; what it heard meanwhile is forgotten."""
    while not hears.poll(0.2):
        sender.send(frame, [])
    time.sleep(1)
    while hears.poll():
        hears.recv()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?", default=knuckle.demo_clip())
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--fps", type=float, default=30.0)
    options = parser.parse_args()
    frames: list[Frame] = []
    with knuckle.open_source(str(options.source)) as source:
        for frame in source:
            frames.append(frame)
            if len(frames) == options.frames + _WARM:
                break
    print("Medians; other programs change processor time least.")
    print(
        "| sent by | hands known, ms | and heard of, ms | 9 of 10 within | processor time of both |"
    )
    print("|---|---|---|---|---|")
    for kind in SENDERS:
        ms = measured(kind, frames, options.fps)
        known, heard, known_cpu, sent_cpu = np.median(ms, axis=0)
        latest = np.percentile(ms[:, :2].sum(axis=1), 90)
        print(
            f"| {kind} | {known:.1f} | {heard:.2f} | {latest:.1f} "
            f"| {known_cpu:.1f}, {sent_cpu:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
