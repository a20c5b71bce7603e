"""The page of results is measured again without losing what was written by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import run
from run import as_markdown, by_hand, sections_of

PAGE = Path(run.__file__).with_name("RESULTS.md")


def test_the_page_is_its_parts() -> None:
    head, sections = sections_of(PAGE.read_text())
    assert "\n".join([head, *sections.values()]) == PAGE.read_text()
    assert set(run.PARTS) - set(sections) == {"Synthetic capture"}  # takes hours


def test_notes_stay_when_a_part_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text("# Results\n\nHead\n\n## Speed\n\nold\n\n### Notes\n\nnote\n\n## Mine\n\nown\n")
    monkeypatch.setattr(run, "PAGE", page)
    monkeypatch.setattr(run, "_measure", lambda title, peer: (f"## {title}\n\nnew\n", True))
    monkeypatch.setattr("sys.argv", ["run.py", "--only", "Speed"])
    assert run.main() == 0
    assert page.read_text() == (
        "# Results\n\nHead\n\n## Speed\n\nnew\n\n### Notes\n\nnote\n\n## Mine\n\nown\n"
    )
    assert by_hand("## Speed\n\nold\n") == ""


def test_tables_stand_alone() -> None:
    assert as_markdown("120 frames\n| a |\n|---|\n| 1 |\n") == "120 frames\n\n| a |\n|---|\n| 1 |"
    assert as_markdown("Title   \n┃ a ┃\n") == "```text\nTitle\n┃ a ┃\n```"
