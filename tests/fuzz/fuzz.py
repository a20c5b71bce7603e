"""Throw damaged files at every reader: ``make fuzz``.

Each input is a small valid file of some kind with a few bytes or numbers changed. Whoever reads it
may succeed, or must raise a ``KnuckleError`` that names the file and says what to do. Inputs are
read in a child process, which is given 20 s for each and is started anew after a crash or a hang.

    python tests/fuzz/fuzz.py --count 3000 --seed 0 [--target camera]

The same seed gives the same inputs. What went wrong is kept, with its input, in build/fuzz.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from targets import RECIPES, TARGETS

SECONDS_A_CASE = 20.0
#: Peak of the child's memory, MB; a child that has taken more is given up.
MOST_MB = 1000
#: What libraries say of themselves, and nobody should have to read.
_RAW = re.compile(
    r"could not (broadcast|convert)|cannot reshape|object (is not|has no)|unsupported operand|"
    r"index out of range|invalid literal|\[Errno|Traceback|unexpected keyword|not subscriptable|"
    r"codec can't decode|argument must be|OpenCV\("
)
_NUMBERS = (b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999", b"null", b"[]", b"{}", b'"a"')


@dataclass(frozen=True)
class Options:
    """What to try."""

    count: int = 3000
    """Inputs in all, spread evenly over the targets."""
    seed: int = 0
    """Another seed gives other inputs."""
    target: str | None = None
    """Only this one."""
    keep: Path = Path("build/fuzz")
    """Folder for inputs that went wrong."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with a few changes of the kinds that files really suffer."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(6)
        if kind == 0:  # broken off
            del changed[at:]
        elif kind == 1 and changed:  # a bit, near the header as often as anywhere
            at = rng.choice((rng.randrange(len(changed)), rng.randrange(min(len(changed), 256))))
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 2:  # a piece lost
            del changed[at : at + rng.randrange(1, 64)]
        elif kind == 3:  # a piece twice
            changed[at:at] = changed[at : at + rng.randrange(1, 64)]
        elif kind == 4:  # other bytes
            changed[at : at + 4] = rng.randbytes(4)
        else:  # a number of the text is another one
            numbers = list(re.finditer(rb"-?\d+(\.\d+)?|true|null", bytes(changed[:100_000])))
            if numbers:
                start, end = rng.choice(numbers).span()
                changed[start:end] = rng.choice(_NUMBERS)
    return bytes(changed)


def verdict(read: Callable[[], object], place: str) -> tuple[str, str]:
    """(what happened, the message): ``read``, ``told``, ``raw`` or ``traceback``."""
    from knuckle.errors import KnuckleError

    try:
        read()
    except KnuckleError as error:
        text = str(error)
        return ("raw" if place not in text or _RAW.search(text) else "told"), text
    except BaseException:
        return "traceback", traceback.format_exc(limit=-4)
    return "read", ""


def child(pipe: Connection, folder: str) -> None:
    """Read what is asked for, one input after the other."""
    warnings.simplefilter("ignore")
    os.environ["XDG_CACHE_HOME"] = folder  # where indices of labels are kept
    for recipe in RECIPES.glob("*.toml"):  # whose kinds are imported when they are named
        TARGETS["recipe"].read(Path(folder), recipe)
    pipe.send("ready")
    while (asked := pipe.recv()) is not None:
        target, path = asked
        # A damaged label may send the reader to another file, which is named then.
        place = str(Path(folder) / target)
        found = verdict(lambda t=target, p=path: TARGETS[t].read(Path(folder), p), place)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send((*found, peak_mb))


class Reader:
    """The child process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=child, args=(theirs, str(self._folder)), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # "ready": everything is imported

    def __call__(self, target: str, path: Path) -> tuple[str, str, float]:
        """Have an input read: what happened, the message, peak MB."""
        self._pipe.send((target, path))
        try:
            if self._pipe.poll(SECONDS_A_CASE):
                found = self._pipe.recv()
                if found[2] <= MOST_MB:
                    return found
                found = ("memory", f"{found[2]:.0f} MB, {found[0]}: {found[1]}", found[2])
            else:
                found = ("hang", f"no answer within {SECONDS_A_CASE:g} s", 0.0)
        except EOFError:
            found = ("crash", f"exit code {self._process.exitcode}", 0.0)
        self._process.kill()
        self._process.join()
        self._start()
        return found

    def close(self) -> None:
        """End it."""
        self._pipe.send(None)
        self._process.join(5)


def fuzz(options: Options) -> int:
    """Try all inputs; returns how many went wrong."""
    names = list(TARGETS) if options.target is None else [options.target]
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    wrong, peak_mb = 0, 0.0
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        files = {name: TARGETS[name].make(folder / name) for name in names}
        reader = Reader(folder)
        for number in range(options.count):
            name = names[number % len(names)]
            rng = random.Random(f"{options.seed}/{name}/{number}")
            path = rng.choice(files[name])
            whole = path.read_bytes()
            path.write_bytes(damaged(whole, rng))
            found, message, used_mb = reader(name, path)
            peak_mb = max(peak_mb, used_mb)
            counts[name][found] += 1
            if found not in ("read", "told"):
                wrong += 1
                options.keep.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, options.keep / f"{name}-{number}-{path.name}")
                print(f"{name} {number} {path.name}: {found}: {message}", flush=True)
            path.write_bytes(whole)
        reader.close()
    for name, count in counts.items():
        print(f"{name:18}", ", ".join(f"{n} {kind}" for kind, n in sorted(count.items())))
    print(f"{options.count} inputs, {wrong} wrong, peak {peak_mb:.0f} MB")
    return wrong


if __name__ == "__main__":
    import tyro

    sys.exit(min(fuzz(tyro.cli(Options)), 1))
