"""The site of the documents builds without a warning, loads nothing from elsewhere, and is so."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import knuckle
from knuckle.cli import VERBS

ROOT = Path(__file__).resolve().parents[2]
#: What a page loads by itself, as against links that a reader may follow.
_LOADED = re.compile(r'<(?:script|img|iframe)[^>]*\bsrc="([^"]+)"|<link[^>]*\bhref="([^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        patch.setenv("COLUMNS", "80")
        place = tmp_path_factory.mktemp("site")
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(place), strict=True))
    return place


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for pair in _LOADED.findall(page.read_text()):
            assert not "".join(pair).startswith(("http", "//")), page.name


def test_the_public_names_are_in_the_reference(site: Path) -> None:
    reference = " ".join(page.read_text() for page in (site / "api").glob("*.html"))
    names = set(knuckle.__all__) - {"__version__"}
    assert names <= set(re.findall(r'id="knuckle\.[\w.]*?\.?(\w+)"', reference))


def test_every_verb_is_in_the_command_line(site: Path) -> None:
    page = (site / "cli.html").read_text()
    assert set(VERBS) <= set(re.findall(r'id="knuckle-(\w+)', page))
    assert "usage: knuckle camera calibrate" in page


@pytest.mark.parametrize("page", ["quickstart", "howto", "questions"])
def test_the_lines_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from knuckle.cli import main

    shutil.copy(knuckle.demo_clip(), tmp_path / "hands.mp4")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / f"docs/{page}.md").read_text(), re.DOTALL)
    assert blocks
    if any("hands-hands" in block for block in blocks):
        assert main(["track", "hands.mp4", "--format", "npz"]) == 0
    for block in blocks:
        exec(compile(block, page, "exec"), {"__name__": page})
