"""Draws the import graph along the way of a frame, from the imports themselves, into the docs.

    python tools/draw_architecture.py          # rewrites the picture in docs/architecture.md
    python tools/draw_architecture.py --check  # says whether it is what the imports say

The picture is Mermaid: text in the document, drawn by whatever displays it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "knuckle"
DOCUMENT = ROOT / "docs" / "architecture.md"
#: The room whose modules are drawn one by one; of the others, only the rooms.
ROOM = "pipeline"
#: Rooms that a frame passes through; the ground floor below them is left out.
ROOMS = ("pose", "stages", "track")
#: Imported by everybody: drawn, these would hide the rest.
_EVERYWHERE = ("settings",)
_BEGIN, _END = "```mermaid\n", "```\n"


def imported(path: Path) -> Iterator[str]:
    """Modules of this package that a file imports, without the package's name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("knuckle"):
            module = (node.module or "").removeprefix("knuckle").removeprefix(".")
            for alias in node.names:
                below = f"{module}.{alias.name}".strip(".")
                is_module = (PACKAGE / Path(*below.split("."))).with_suffix(".py").exists()
                yield below if is_module else module


def arrows() -> list[tuple[str, str]]:
    """(who, whom) of the drawn modules and rooms, but for those that others imply."""
    found = set()
    for path in sorted((PACKAGE / ROOM).glob("*.py")):
        if path.stem.startswith("_") or path.stem in _EVERYWHERE:
            continue
        for module in imported(path):
            room, _, inner = module.partition(".")
            if room == ROOM and inner and inner not in _EVERYWHERE:
                found.add((path.stem, inner))
            elif room in ROOMS:
                found.add((path.stem, f"{room}/"))
    return sorted(
        (who, whom)
        for who, whom in found
        if not any(who == a and whom in _reached(found, b) for a, b in found if b != whom)
    )


def _reached(found: set[tuple[str, str]], start: str) -> set[str]:
    """What ``start`` imports, and what that imports."""
    direct = {whom for who, whom in found if who == start}
    return direct.union(*(_reached(found, whom) for whom in direct))


def picture() -> str:
    """The Mermaid text."""
    lines = ["graph TD"]
    lines += [f"    {_node(who)} --> {_node(whom)}" for who, whom in arrows()]
    return "\n".join(lines) + "\n"


def _node(name: str) -> str:
    if name.endswith("/"):
        return f'{name[:-1]}_room["{name}"]'
    return name


def drawn(text: str) -> str:
    """A document with its picture drawn anew."""
    before, rest = text.split(_BEGIN, 1)
    after = rest.split(_END, 1)[1]
    return before + _BEGIN + picture() + _END + after


@dataclass(frozen=True)
class DrawArchitecture:
    """Draw the picture of the way of a frame."""

    check: bool = False
    """Change nothing; fail if the picture is not what the imports say."""

    def run(self) -> None:
        """Draw or check."""
        text = DOCUMENT.read_text(encoding="utf-8")
        if not self.check:
            DOCUMENT.write_text(drawn(text), encoding="utf-8")
        elif drawn(text) != text:
            raise SystemExit(f"{DOCUMENT.name} is out of date: run tools/draw_architecture.py")


if __name__ == "__main__":
    import tyro

    tyro.cli(DrawArchitecture).run()
