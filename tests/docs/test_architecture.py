"""The picture in docs/architecture.md is what the imports say, and the page names what there is."""

import re
import sys
from pathlib import Path

from knuckle.pipeline import frame, propose

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import draw_architecture  # noqa: E402

TEXT = draw_architecture.DOCUMENT.read_text(encoding="utf-8")


def test_the_picture_is_what_the_imports_say() -> None:
    assert draw_architecture.drawn(TEXT) == TEXT, "run tools/draw_architecture.py"


def test_no_arrow_goes_both_ways() -> None:
    arrows = set(draw_architecture.arrows())
    assert arrows and not any((whom, who) in arrows for who, whom in arrows)


def test_files_and_names_on_the_page_exist() -> None:
    package = ROOT / "src" / "knuckle"
    for path in re.findall(r"`((?:pipeline|track)/\w+\.py)`", TEXT):
        assert (package / path).is_file(), path
    assert all(hasattr(frame, name) for name in ("MOST_CROPS", "MOST_FOLLOWED"))
    assert propose.AFTER
