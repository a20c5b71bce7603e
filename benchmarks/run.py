"""Every measurement of the project on one page: ``make benchmark`` writes benchmarks/RESULTS.md.

    python benchmarks/run.py [--only "Real hands"] [--mediapipe-python .venv-peers/bin/python]

Each part is a script in this folder; this one runs them on the same two processors, one after the
other, and puts their tables under the command, the machine and the date. What is written by hand
stays: the text before the first part, parts that no script of this list prints, and every ``### ``
within a part. With ``--only`` the other parts of the page stay as they are.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import knuckle

HERE = Path(__file__).resolve().parent
PAGE = HERE / "RESULTS.md"

#: Title -> script and its arguments; ``{peer}`` becomes the flag that names MediaPipe's Python.
PARTS: dict[str, Sequence[str]] = {
    "Real hands": ("real_hands.py", "{peer}"),
    "Hand-free pictures": ("hand_free.py", "{peer}"),
    "Photographs": ("photographs.py", "{peer}"),
    "Given the true 2D": ("given_2d.py",),
    "The teacher's convention": ("convention.py", "{peer}"),
    "Stress set": ("stress.py", "--count", "25", "{peer}"),
    "Odds": ("odds.py",),
    "Calibration": ("calibration.py", "--plot", "docs/reliability.png"),
    "Masks": ("masks.py",),
    "Two views": ("stereo.py", "{peer}"),
    "Video": ("video.py", "{peer}"),
    "Killed runs": ("kills.py",),
    "Long video": ("memory.py", "--minutes", "60"),
    "Speed": ("speed.py", "{peer}"),
    "Speed, two hands": (
        "speed.py",
        "--video",
        "src/knuckle/demo/hands.mp4",
        "--max-hands",
        "2",
        "{peer}",
    ),
    "Rendering": ("render_speed.py",),
    "Shards": ("pack_speed.py",),
    "Synthetic capture": ("capture.py", "--frames", "20000", "--cameras", "16"),
    "Fitting": ("fitting.py",),
    "Smoothing": ("smoothing.py", "--clips", "12"),
    "Two hands": ("two_hands.py",),
    "Opening InterHand2.6M": ("interhand_index.py",),
}


def main() -> int:
    """Run the parts asked for and write the page; the exit code is 1 if a part failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="this part, not all")
    parser.add_argument("--mediapipe-python", type=Path, help="python with mediapipe==0.10.21")
    options = parser.parse_args()
    head, sections = sections_of(PAGE.read_text())
    failed = []
    for title in options.only or PARTS:
        text, ok = _measure(title, options.mediapipe_python)
        print(text)
        if ok:
            sections[title] = text + by_hand(sections.get(title, ""))
        else:
            failed.append(title)
    PAGE.write_text("\n".join([head, *sections.values()]))
    if failed:
        print(f"failed: {', '.join(failed)}; their old tables stay", file=sys.stderr)
    return bool(failed)


def _measure(title: str, peer: Path | None) -> tuple[str, bool]:
    """One part's section of the page, and whether it went through."""
    flag = [] if peer is None else ["--mediapipe-python", str(peer)]
    arguments: list[str] = []
    for argument in PARTS[title]:
        arguments += flag if argument == "{peer}" else [argument]
    command = [sys.executable, str(HERE / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, cwd=HERE.parent, text=True, capture_output=True, check=False)
    if done.returncode:
        return f"{title}: {done.stderr.strip()}", False
    shown = " ".join(["python", f"benchmarks/{arguments[0]}", *arguments[1:]])
    return f"## {title}\n\n    {shown}\n\n{_where()}\n\n{as_markdown(done.stdout)}\n", True


def as_markdown(printed: str) -> str:
    """What a script printed: tables stand alone, those that are drawn with lines as they are."""
    printed = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    if "┃" in printed:
        return f"```text\n{printed}\n```"
    return re.sub(r"([^\n|])\n\|", r"\1\n\n|", printed)


def _where() -> str:
    """Machine, date and version, in a line."""
    cores = len(os.sched_getaffinity(0))
    today = datetime.date.today().isoformat()
    python = platform.python_version()
    return f"{_processor()}, {cores} cores, Python {python}, {today}, knuckle {knuckle.__version__}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else []
    return names[0].strip() if names else platform.machine()


def sections_of(page: str) -> tuple[str, dict[str, str]]:
    """What stands before the first part, and the parts by title, in their order."""
    head, *parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    titles = [part.splitlines()[0].removeprefix("## ").strip() for part in parts]
    texts = [f"{part.strip()}\n" for part in parts]
    return f"{head.strip()}\n", dict(zip(titles, texts, strict=True))


def by_hand(section: str) -> str:
    """What was written by hand below the tables of a part: from its first ``### `` on."""
    start = section.find("\n### ")
    return section[start:] if start >= 0 else ""


if __name__ == "__main__":
    sys.exit(main())
