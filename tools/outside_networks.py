"""Processor time of a tracked frame outside the networks, alternating between checkouts.

    git worktree add ../before COMMIT
    python tools/outside_networks.py ../before/src src --hands 1

Each checkout tracks frames of the shipped clip, forwards and backwards, in its own process; they
alternate, and each frame's best round counts, so that a loaded machine affects them alike. The time
for cutting crops is listed separately. After a network every cache is cold, and calls cost more
than what they compute; ``--remembered`` reuses the networks' answers from the round before, so that
only the work itself is measured. Every round starts a new video, so that its queries are identical.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

#: Frames of the clip that show both hands all the time.
_FIRST, _LAST = 60, 85
#: To and fro before the frames that count, in every round: by then the bones of a track are learnt.
_WARM_UP = 2
_STAGES = ("look", "poses", "detect")


class Clock:
    """Processor time of this thread: of networks, and of the pipeline's stages without them."""

    def __init__(self, remembered: bool) -> None:
        from knuckle.pipeline.networks import Networks
        from knuckle.stages import Network

        self.spent: dict[str, float] = {}
        self._remembered, self._answers, self._networks = remembered, dict[Any, Any](), 0.0
        self.frame, self._calls = 0, 0
        self._watch_network(Network)
        for name in _STAGES:
            self._watch(Networks, name)

    def start(self, frame: int) -> None:
        """Forget what was spent; the next frame has this number."""
        self.spent = dict.fromkeys((*_STAGES, "networks"), 0.0)
        self.frame, self._calls, self._networks = frame, 0, 0.0

    def _watch_network(self, network: type) -> None:
        run = network.__call__  # type: ignore[operator]

        def timed(this: Any, **inputs: np.ndarray) -> Any:
            began = time.thread_time()
            key = (self.frame, self._calls, *(array.shape for array in inputs.values()))
            self._calls += 1
            if not self._remembered or key not in self._answers:
                self._answers[key] = run(this, **inputs)
            self._networks += time.thread_time() - began
            return self._answers[key]

        network.__call__ = timed  # type: ignore[operator]

    def _watch(self, owner: type, name: str) -> None:
        work = getattr(owner, name)

        def timed(*arguments: Any) -> Any:
            began, before = time.thread_time(), self._networks
            try:
                return work(*arguments)
            finally:
                inside = self._networks - before
                self.spent[name] += time.thread_time() - began - inside
                self.spent["networks"] += inside

        setattr(owner, name, timed)


def serve(hands: int, remembered: bool) -> None:
    """Track a round for every line that comes in; answer with seconds (frame, column)."""
    from knuckle import HandTracker, open_source
    from knuckle.demo import demo_clip

    clock, tracker = Clock(remembered), HandTracker(max_hands=hands, threads=1)
    with open_source(demo_clip()) as source:
        frames = list(source)[_FIRST:_LAST]
    frames += frames[-2:0:-1]
    for number in range(10**9):
        if number and not sys.stdin.readline():
            return
        rows = []
        for k, frame in enumerate(frames * (_WARM_UP + 1)):
            again = replace(frame, time_s=k / 30)  # back to 0: a new video
            clock.start(k)
            began = time.thread_time()
            tracker(again)
            rows.append([time.thread_time() - began, *clock.spent.values()])
        if number:
            print(json.dumps(rows[-len(frames) :]), flush=True)


@dataclass(frozen=True)
class OutsideNetworks:
    """Compare checkouts."""

    sources: tyro.conf.Positional[tuple[Path, ...]]
    """Folders that hold the package knuckle: src of checkouts; the first is compared with."""
    hands: int = 2
    """Follow so many, 1 or 2."""
    rounds: int = 16
    """Of each frame, the best of so many counts."""
    remembered: bool = False
    """Do not run the networks again."""

    def run(self) -> None:
        """Measure and print."""
        workers = [self._worker(source) for source in self.sources]
        rounds: list[list[Any]] = [[] for _ in workers]
        for number in range(self.rounds):
            for k in np.roll(range(len(workers)), number).tolist():
                stdin, stdout = workers[k].stdin, workers[k].stdout
                assert stdin is not None and stdout is not None
                stdin.write("\n")
                stdin.flush()
                rounds[k].append(json.loads(stdout.readline()))
        first = 0.0
        print(
            f"{'ms a frame':<40}{'lift, place':>12}{'tracker':>9}{'both':>8}{'share':>7}{'cut':>7}"
        )
        for source, worker, own in zip(self.sources, workers, rounds, strict=True):
            worker.communicate()
            best = 1000 * np.min(own, axis=0)  # (frames, columns)
            whole, cut, poses, detect, networks = best[best[:, 3] == 0].mean(axis=0)
            tracker = whole - cut - poses - detect - networks
            first = first or poses + tracker
            print(
                f"{str(source)[-39:]:<40}{poses:>12.2f}{tracker:>9.2f}{poses + tracker:>8.2f}"
                f"{(poses + tracker) / first:>7.2f}{cut:>7.2f}"
            )

    def _worker(self, source: Path) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, "serve", str(self.hands), str(int(self.remembered))]
        path = {"PYTHONPATH": str(source.resolve())}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=os.environ | path, **pipes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), sys.argv[3] == "1")
    else:
        tyro.cli(OutsideNetworks).run()
