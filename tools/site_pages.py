"""What the site adds to the pages in ``docs/``: a hook of MkDocs, see ``mkdocs.yml``.

Some pages live where people look for them in a repository (README, changelog, results); they become
pages of the site, and so does the help of every verb. Links are written for the repository; here
those to pages are redirected to the pages of the site, and those to other files become plain text.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
#: Page of the site -> where it is in the repository, if not in docs/.
ELSEWHERE = {
    "about.md": "README.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "RESULTS.md": "benchmarks/RESULTS.md",
    "examples/05_fine_tune.md": "examples/05_fine_tune.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are elsewhere, and that of the command line."""
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    files.append(File.generated(config, "cli.md", content=command_line()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links for the repository into links for the site."""
    here = page.file.src_uri
    source = ELSEWHERE.get(here, f"docs/{here}")
    pages = {where: name for name, where in ELSEWHERE.items()}

    def for_site(link: re.Match[str]) -> str:
        picture, text, target, anchor = link.groups()
        if "://" in target:
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        on_site = pages.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if on_site is None or files.get_file_from_path(on_site) is None:
            return text
        relative = posixpath.relpath(on_site, posixpath.dirname(here) or ".")
        return f"{picture}[{text}]({relative}{anchor or ''})"

    parts = _FENCED.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(for_site, part) for part in parts)


def command_line() -> str:
    """The page with the help of every verb."""
    os.environ["COLUMNS"] = "80"
    sections = [_CLI_HEAD, *(_section(words) for words in _verbs())]
    return "\n\n".join(sections) + "\n"


def _verbs() -> list[list[str]]:
    from knuckle.cli import VERBS

    groups = {name: _actions(name) for name in VERBS}
    return [[name, *action] for name, actions in groups.items() for action in actions]


def _actions(verb: str) -> list[list[str]]:
    """What a verb can be asked to do, as words; the empty one where there is no choice."""
    choice = re.search(r"^usage: .*?\{([\w,-]+)\}$", _help([verb]), re.MULTILINE)
    return [[word] for word in choice[1].split(",")] if choice else [[]]


def _section(words: list[str]) -> str:
    return f"## knuckle {' '.join(words)}\n\n```text\n{_help(words).strip()}\n```"


def _help(words: list[str]) -> str:
    from knuckle.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return said.getvalue()


_CLI_HEAD = """# The command line

The output of `knuckle VERB --help`. Exit codes: 0 done; 2 an error, with a one-sentence message;
130 interrupted. However a run ends, everything computed so far is in its files."""
