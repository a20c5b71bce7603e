"""Words that make no verb are told in one sentence, whatever box the parser draws around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from knuckle.cli import VERBS, main
from knuckle.cli.parsing import UsageError, parsed, sentence_of

MISTAKES = [
    ([], "no verb was given, expected one of track, "),
    (["trak"], "there is no verb 'trak', did you mean track? knuckle --help"),
    (["--zzz"], "knuckle does not know --zzz"),
    (["track", "--overlayy"], "knuckle track does not know --overlayy, did you mean --overlay? "),
    (["track", "a.mp4", "--max-hands", "two"], "--max-hands must be a whole number, got 'two'"),
    (["track", "a.mp4", "--hand-length-mm", "big"], "--hand-length-mm must be a number, got 'big'"),
    (["track", "a.mp4", "--format"], "--format needs a value"),
    (["view"], "knuckle view needs RESULT"),
    (["bench", "--overlay"], "knuckle bench needs SOURCE"),
    (["view", "a", "b"], "knuckle view does not know b"),
    (["camera"], "knuckle camera needs one of calibrate, rig, "),
    (["data", "rendr"], "knuckle data does not know rendr, expected one of render, "),
    (["data", "synth"], "knuckle data synth needs FOLDER and --frames INT: knuckle data synth --h"),
    (["track", "a.mp4", "--up", "Z"], "expected one of '-x', '-y', '-z', 'x', 'y', 'z', got 'Z'"),
    (["data", "render", "foo", "out", "--count", "3"], "expected one of 'crops', 'plain', "),
]


@pytest.mark.parametrize("columns", ["50", "400"])
@pytest.mark.parametrize(("arguments", "told"), MISTAKES, ids=lambda each: " ".join(each)[:30])
def test_a_mistake_is_one_sentence(
    arguments: list[str],
    told: str,
    columns: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"knuckle: {told}")
    assert err.count("\n") == 1 and "│" not in err and "  " not in err
    assert out == ""


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_proposes_only_what_it_takes(verb: str) -> None:
    with pytest.raises(UsageError, match=f"knuckle {verb}.* --help says what it takes") as told:
        parsed([verb, "a.mp4", "--overlayy"], VERBS)
    assert ("did you mean --overlay?" in str(told.value)) == (verb in ("track", "bench"))


@pytest.mark.parametrize("words", [["plot", "-dash"], ["track", "--dash", "b", "-o", "-dash"]])
def test_what_is_there_may_begin_with_a_dash(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        parsed(words, VERBS)
    for name in ("-dash", "--dash", "--raw"):
        (tmp_path / name).mkdir()
    given = [f"./{word}" if word in ("-dash", "--dash") else word for word in words]
    assert parsed(words, VERBS) == parsed(given, VERBS)
    assert parsed(["track", "a", "--raw"], VERBS).raw  # what makes a verb is not touched


@pytest.mark.parametrize(
    ("verb", "given"),
    [(["track"], ["a.mp4", "--raw"]), (["camera", "rig"], ["a.mp4"]), (["plot"], ["folder"])],
)
def test_help_is_the_same_whatever_is_given(
    verb: list[str], given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its usage lacked what was there already."""
    told = []
    for words in (verb, [*verb, *given]):
        with pytest.raises(SystemExit):
            parsed([*words, "--help"], VERBS)
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] and told[0].startswith(f"usage: knuckle {' '.join(verb)} [-h]")


def test_terminals_without_lines_are_told_the_same() -> None:
    box = " Unrecognized options \n -----\n  Unrecognized options: rendr  \n  -----\n"
    box += "  Available subcommands: render,\n  synth\n  -----\n  For full helptext, run ...\n"
    assert sentence_of(box, "knuckle data") == (
        "knuckle data does not know rendr, expected one of render, synth: "
        "knuckle data --help says what it takes"
    )


def test_words_of_a_parser_that_nobody_knows_are_kept() -> None:
    box = "╭─ Some fault ─╮\n│ The flux is   │\n│ --low.  │\n│ ───── │\n│ See nothing │\n╰──────╯\n"
    assert sentence_of(box, "knuckle track") == (
        "The flux is --low: knuckle track --help says what it takes"
    )
