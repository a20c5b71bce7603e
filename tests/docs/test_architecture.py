"""The picture in docs/architecture.md is what the imports say, and the page names what there is."""

import re
import sys
from dataclasses import fields
from pathlib import Path

from knuckle.pipeline import frame, propose
from knuckle.track.decisions import Decisions

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import draw_architecture  # noqa: E402

TEXT = draw_architecture.DOCUMENT.read_text(encoding="utf-8")


def test_the_picture_is_what_the_imports_say() -> None:
    assert draw_architecture.drawn(TEXT) == TEXT, "run tools/draw_architecture.py"


def test_no_arrow_goes_both_ways() -> None:
    arrows = set(draw_architecture.arrows())
    assert arrows and not any((whom, who) in arrows for who, whom in arrows)


def test_the_numbers_that_decide_are_counted() -> None:
    """A number more is one to be told of."""
    told = {path: int(n) for n, path in re.findall(r"(\d+) in\s+`(\w+/\w+)\.py`", TEXT)}
    counted = {path: _numbers_in(path) for path in ("pipeline/judge", "pipeline/settings")}
    assert told == {**counted, "track/decisions": len(fields(Decisions))}


def _numbers_in(path: str) -> int:
    """Constants at the top of a module that are numbers, or rows of them."""
    text = (ROOT / "src" / "knuckle" / f"{path}.py").read_text(encoding="utf-8")
    lines = re.findall(r"^([A-Z][A-Z_, ]+) = (?:[\d.]|np\.array)", text, re.MULTILINE)
    return sum(len(names.split(",")) for names in lines)


def test_files_and_names_on_the_page_exist() -> None:
    package = ROOT / "src" / "knuckle"
    for path in re.findall(r"`((?:pipeline|track)/\w+\.py)`", TEXT):
        assert (package / path).is_file(), path
    assert all(hasattr(frame, name) for name in ("MOST_CROPS", "MOST_FOLLOWED"))
    assert propose.AFTER
