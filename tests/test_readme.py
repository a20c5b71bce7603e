"""What the pages say is so: code runs, commands parse, files are there."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from knuckle import cli
from knuckle.cli import parsing
from knuckle.train.recipe import Recipe

REPOSITORY = Path(__file__).resolve().parent.parent
README = REPOSITORY / "README.md"
PAGES = [
    README,
    REPOSITORY / "CONTRIBUTING.md",
    # The scripts of closed questions are in the commits that the page names.
    *sorted(page for page in (REPOSITORY / "docs").glob("*.md") if page.name != "closed.md"),
    *sorted((REPOSITORY / "examples").glob("*.md")),
]
CLIP = REPOSITORY / "src/knuckle/demo/hands.mp4"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def command_lines(page: Path) -> Iterator[str]:
    """Shell commands: in indented blocks, continued lines joined, comments cut off."""
    text = re.sub(r"\\\n\s*", " ", prose(page))
    for line in re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE):
        for part in re.split(r"\s#\s|;", line)[0].split("&&"):
            yield part.strip()


def commands(program: str) -> list[tuple[str, list[str]]]:
    """(page, arguments) of every command line on any page that calls ``program``."""
    found = []
    for page in PAGES:
        for line in command_lines(page):
            words = shlex.split(line)
            if words and Path(words[0]).name == program:
                found.append((page.name, words[1:]))
    return found


def parsed(arguments: list[str]) -> object:
    """The verb that ``knuckle ARGUMENTS`` would run; exits where it would."""
    return parsing.parsed(arguments, cli.VERBS)


def test_the_lines_of_the_readme_run_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = blocks(README, "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    (tmp_path / "ten_lines.py").write_text(code)
    shutil.copy(CLIP, tmp_path / "hands.mp4")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("ten_lines.py")
    lines = capsys.readouterr().out.splitlines()
    printed = [re.fullmatch(r" +\d\.\d\d s  hand \d+ \((\w+)\) \[.*\]", line) for line in lines]
    assert all(printed)
    # The first 31 frames show one hand, a right one.
    assert sum(match[1] == "right" for match in printed if match) >= 25


class TestCommands:
    def test_there_are_some(self) -> None:
        assert len(commands("knuckle")) > 8
        assert len(commands("make")) >= 2

    @pytest.mark.parametrize(("page", "arguments"), commands("knuckle"))
    def test_knuckle_takes_them(self, page: str, arguments: list[str]) -> None:
        try:
            verb = parsed(arguments)
        except SystemExit as ended:  # --help ends with 0
            assert ended.code == 0
        except parsing.UsageError as error:
            pytest.fail(f"{page}: knuckle {arguments}: {error}")
        else:
            assert type(verb) is cli.VERBS[arguments[0]]

    def test_knuckle_takes_those_of_the_makefile(self) -> None:
        lines = re.findall(r"\$\(BIN\)/knuckle ([^>\n]*)", (REPOSITORY / "Makefile").read_text())
        assert {line.split()[0] for line in lines} == {"track", "train", "data"}
        for line in lines:
            parsed(re.sub(r"\$\(\w+\)", "value", line).split())

    def test_an_unknown_flag_would_be_noticed(self) -> None:
        with pytest.raises(parsing.UsageError, match="does not know --no-such-flag"):
            parsed(["track", "hands.mp4", "--no-such-flag"])

    @pytest.mark.parametrize(("page", "arguments"), commands("make"))
    def test_make_has_the_targets(self, page: str, arguments: list[str]) -> None:
        targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        assert arguments[0] in targets, f"{page}: make {arguments[0]}"

    @pytest.mark.parametrize(("page", "arguments"), commands("python"))
    def test_python_has_the_modules_and_files(self, page: str, arguments: list[str]) -> None:
        if arguments[0] == "-m":
            assert find_spec(arguments[1]), f"{page}: python -m {arguments[1]}"
        else:
            assert (REPOSITORY / arguments[0]).is_file(), f"{page}: python {arguments[0]}"

    @pytest.mark.parametrize(("page", "arguments"), commands("pip"))
    def test_pip_knows_the_extras(self, page: str, arguments: list[str]) -> None:
        project = (REPOSITORY / "pyproject.toml").read_text()
        for extra in re.findall(r"\.\[([a-z,]+)\]", " ".join(arguments)):
            for name in extra.split(","):
                assert re.search(rf"^{name} = \[", project, re.MULTILINE), f"{page}: [{name}]"


class TestPaths:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_links_lead_somewhere(self, page: Path) -> None:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(page)):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_named_files_are_there(self, page: Path) -> None:
        folders = "src|docs|recipes|tools|tests|benchmarks|examples"
        named = re.findall(rf"(?<![\w./-])((?:{folders})/[\w./-]*\w)", prose(page))
        for path in named:
            made = path.startswith("src/knuckle/weights")
            assert made or (REPOSITORY / path).exists(), f"{page.name} names {path}"

    def test_the_tree_is_the_tree(self) -> None:
        (tree,) = (
            block
            for block in blocks(REPOSITORY / "CONTRIBUTING.md", "")
            if block.startswith("src/knuckle/")
        )
        named = set()
        for line in tree.splitlines()[1:]:
            folder = REPOSITORY / "src/knuckle" if line.startswith("  ") else REPOSITORY
            entries = re.split(r" {2,}", line.strip())[0].split()
            for entry in entries:
                path = folder / entry
                assert path.is_dir() if entry.endswith("/") else path.is_file(), f"{path} is named"
                named.add(path.name)
        rooms = {
            path.name
            for path in (REPOSITORY / "src/knuckle").iterdir()
            if path.is_dir() and any(path.glob("*.py"))
        }
        assert rooms <= named


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")], ids=str)
def test_printed_recipes_are_recipes(page: Path, tmp_path: Path) -> None:
    for text in blocks(page, "toml"):
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        assert Recipe.load(path).sources


@pytest.mark.parametrize("path", sorted((REPOSITORY / "recipes").glob("*.toml")), ids=str)
def test_recipes_can_be_read(path: Path) -> None:
    assert Recipe.load(path).name == path.stem
