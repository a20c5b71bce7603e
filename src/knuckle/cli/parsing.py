"""From the words of a command line to a verb; words that make none are told in one sentence."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

import tyro

from knuckle.cli.verb import EXIT_ERROR, Verb
from knuckle.errors import KnuckleError

CONFIG = (
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
)
_DESCRIPTION = (
    "Real-time 3D hand tracking on a CPU, from ordinary video.\n"
    "--version prints the version; knuckle VERB --help explains a verb."
)
#: What Python says of text that is no number, and what people call such a number.
_NUMBERS = {
    "invalid literal for int() with base 10": "a whole number",
    "could not convert string to float": "a number",
}


class UsageError(KnuckleError):
    """The words of a command line make no verb."""


def parsed(arguments: Sequence[str], verbs: Mapping[str, Callable[..., Verb]]) -> Verb:
    """The verb that was asked for.

    A verb that is known is parsed alone, so that what is like its options in others is not
    proposed. Words that make none are read once more, with what is there under a name that begins
    with a dash taken for that.

    Raises:
        UsageError: a word is missing, unknown or of the wrong kind.
        SystemExit: help was asked for, and printed.
    """
    try:
        return _parsed(arguments, verbs)
    except UsageError:
        named = [f"./{each}" if _is_name(each) else each for each in arguments]
        with contextlib.suppress(UsageError):
            if named != list(arguments):
                return _parsed(named, verbs)
        raise


def _is_name(word: str) -> bool:
    return word.startswith("-") and os.path.lexists(word)


def _parsed(arguments: Sequence[str], verbs: Mapping[str, Callable[..., Verb]]) -> Verb:
    name = arguments[0] if arguments else ""
    if name in verbs:
        words = _asking_alone(arguments[1:], verbs[name])
        return _told_in_a_sentence(
            f"knuckle {name}",
            lambda: tyro.cli(verbs[name], prog=f"knuckle {name}", args=words, config=CONFIG),
        )
    if not name.startswith("-"):
        raise UsageError(_no_such(name, verbs))
    return _told_in_a_sentence(
        "knuckle",
        lambda: tyro.extras.subcommand_cli_from_dict(
            dict(verbs), prog="knuckle", description=_DESCRIPTION, args=arguments, config=CONFIG
        ),
    )


def _asking_alone(words: Sequence[str], verb: Callable[..., Verb]) -> Sequence[str]:
    """Words that ask for help, without all others but an action: the usage lacks what is given."""
    asking = [word for word in words if word in ("-h", "--help")]
    has_actions = "action" in getattr(verb, "__dataclass_fields__", ())
    return [*(words[:1] if has_actions else ()), *asking] if asking else words


def _no_such(name: str, verbs: Mapping[str, object]) -> str:
    likely = get_close_matches(name, verbs, n=1)
    found = f"there is no verb {name!r}" if name else "no verb was given"
    meant = f"did you mean {likely[0]}?" if likely else f"expected one of {', '.join(verbs)}:"
    return f"{found}, {meant} knuckle --help says what each does"


def _told_in_a_sentence(words: str, parse: Callable[[], Verb]) -> Verb:
    """Parse; what tyro draws into a box on standard error becomes a sentence."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return parse()
    except SystemExit as ended:
        if ended.code != EXIT_ERROR:
            raise
        raise UsageError(sentence_of(box.getvalue(), words)) from None


def sentence_of(box: str, words: str) -> str:
    """What is wrong with a command line that began with ``words``, as ``knuckle track``.

    The box is as tyro draws it, wrapped to whatever width.
    """
    wrong, *hints = _paragraphs(box)
    text = _joined(wrong)
    # The help of an action, as ``knuckle data synth``, knows more, where one was given.
    whole = _joined([text, *map(_joined, hints)])
    words = max(re.findall(rf"({words}(?: [\w-]+)*) --help", whole), key=len, default=words)
    told = _number(text) or _unknown(text, hints, words) or _missing(text, wrong, words)
    told = told or _choice(text) or text.rstrip(".")
    return f"{told}{'' if told.endswith('?') else ':'} {words} --help says what it takes"


def _paragraphs(box: str) -> list[list[str]]:
    """The rows between the rules of a box: what is wrong, and then what tyro has to say to it.

    Where the terminal knows no lines, the box is one of spaces and hyphens: its title stands
    before the first rule, not in its frame.
    """
    found: list[list[str]] = [[]]
    for row in box.splitlines():
        if row[:1] in "╭╰":
            continue
        inside = row.strip("│").rstrip()
        if len(inside) > 2 and set(inside.strip()) <= {"─", "-"}:
            found.append([])
        else:
            found[-1].append(inside)
    return found[1:] if "│" not in box and len(found) > 1 else found


def _joined(rows: Sequence[str]) -> str:
    return " ".join(" ".join(rows).split())


def _options(rows: Sequence[str]) -> list[str]:
    """What tyro lists, one in a row of its own before the rows that explain it."""
    return [row.strip() for row in rows if re.match(r" {4,6}\S", row)]


def _number(text: str) -> str | None:
    option = re.match(r"Error parsing (\S+):", text)
    for said, kind in _NUMBERS.items():
        value = re.search(re.escape(said) + r": ('.*?'|\".*?\")", text)
        if option and value:
            return f"{option[1]} must be {kind}, got {value[1]}"
    return None


def _unknown(text: str, hints: Sequence[Sequence[str]], words: str) -> str | None:
    unknown = re.match(r"Unrecognized options: ([^ ,]*)", text)
    if unknown is None:
        return None
    told = f"{words} does not know {unknown[1]}"
    for hint in hints:
        if actions := re.match(r"Available subcommands: (.*)", _joined(hint)):
            return f"{told}, expected one of {actions[1]}"
        if flags := [option.split()[0] for option in _options(hint) if option.startswith("--")]:
            return f"{told}, did you mean {flags[0].rstrip(',')}?"
    return told


def _missing(text: str, wrong: Sequence[str], words: str) -> str | None:
    if option := re.match(r"Missing value for argument '(--?\w.*?)'", text):
        return f"{option[1]} needs a value"
    if place := re.match(r"Missing value for argument '(?:\w+\.)*(\w+)'", text):
        return f"{words} needs {place[1].upper()}"
    if actions := re.match(r"Expected one of \{(.*)\}", text):
        return f"{words} needs one of {actions[1]}"
    if whose := re.match(r"Missing from (.*?):", text):
        return f"{whose[1]} needs {' and '.join(_options(wrong))}"
    return None


def _choice(text: str) -> str | None:
    choice = re.match(r"invalid choice (.*) for argument .* Expected one of \((.*)\)", text)
    if choice is None:
        return None
    names = choice[2].split(", ")
    if "'None'" in names:  # what is left out; tyro has these as a set, in any order
        names = sorted(name for name in names if name != "'None'")
    return f"expected one of {', '.join(names)}, got {choice[1]}"
