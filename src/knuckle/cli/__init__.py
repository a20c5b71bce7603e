"""The command ``knuckle``: one verb, one dataclass; its fields are the flags, their texts the help.

What a verb does lives in the room it belongs to and is imported when it runs, so that help comes
at once and nothing asks for libraries that it does not use.

Exit codes: 0 done; 2 an error, told in one sentence; 130 interrupted (143: terminated). However a
run ends, what it has computed is in its files.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from knuckle.address import at_home
from knuckle.cli.cameras import CameraVerb
from knuckle.cli.corpora import Corpus
from knuckle.cli.data import Data
from knuckle.cli.networks import Export, Quantise
from knuckle.cli.parsing import UsageError, parsed
from knuckle.cli.tracking import Bench, Convert, Live, Plot, Track, View
from knuckle.cli.training import Evaluate, Train
from knuckle.cli.verb import EXIT_ERROR, EXIT_SIGNAL, Verb
from knuckle.cli.web import Web
from knuckle.errors import INTERRUPTS, KnuckleError, NotWrittenError, Stopped, hearing, reason_of
from knuckle.release import VERSION

#: The extra of ``pip install knuckle[…]`` that brings a library.
EXTRAS = {
    **dict.fromkeys(("torch", "lightning", "numba", "jaxtyping", "onnx"), "train"),
    **dict.fromkeys(("viser", "trimesh", "matplotlib", "websockets"), "viewer"),
    "pyarrow": "parquet",
    **dict.fromkeys(("ezc3d", "pandas"), "science"),
    "rerun": "rerun",
}

VERBS: dict[str, Callable[..., Verb]] = {
    "track": Track,
    "corpus": Corpus,
    "live": Live,
    "view": View,
    "plot": Plot,
    "convert": Convert,
    "web": Web,
    "bench": Bench,
    "train": Train,
    "evaluate": Evaluate,
    "export": Export,
    "quantise": Quantise,
    "data": Data,
    "camera": CameraVerb,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb that ``arguments`` say, by default those of the command line; the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _stand_in_for_closed_streams()
    _print_whatever_names_hold()
    warnings.formatwarning = _warning_as_sentence
    try:
        with _flushing_stdout():
            if arguments == ["--version"]:
                print(f"knuckle {VERSION}")
                return 0
            verb = parsed([_at_home(each) for each in _without_dashes(arguments)], VERBS)
    except UsageError as error:
        return _fail(str(error))
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        return _fail(_unprinted(error))
    except KeyboardInterrupt:
        return _interrupted()
    return run_verb(verb)


def _without_dashes(arguments: list[str]) -> list[str]:
    """What stands behind ``--`` are names, whatever they begin with."""
    if "--" not in arguments:
        return arguments
    at = arguments.index("--")
    names = [f"./{name}" if name.startswith("-") else name for name in arguments[at + 1 :]]
    return arguments[:at] + names


def _at_home(argument: str) -> str:
    """Shells leave ``~`` as it stands behind ``=`` and in quotes."""
    flag, equals, value = (
        argument.partition("=") if argument.startswith("--") else ("", "", argument)
    )
    return f"{flag}{equals}{at_home(value)}" if value.startswith("~") else argument


def _stand_in_for_closed_streams() -> None:
    """What the shell has closed (``2>&-``) leads nowhere.

    Else the next file that is opened would get its number, and what libraries print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _print_whatever_names_hold() -> None:
    """Names of files need not be of an alphabet that a terminal has."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _warning_as_sentence(message: Warning | str, *place: object, **more: object) -> str:
    """A warning without its place in the program, which is of no use on the command line."""
    return f"knuckle: {message}\n"


@contextmanager
def _flushing_stdout() -> Iterator[None]:
    """What is printed inside has left when it ends: at exit it is too late to say why it cannot."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise NotWrittenError(_unprinted(error)) from None


def _unprinted(error: OSError) -> str:
    return (
        f"what is printed here cannot be written ({reason_of(error)}): send it elsewhere; results "
        "are in their files"
    )


def run_verb(verb: Verb) -> int:
    """Run a verb; turn what users can put right into one sentence and an exit code."""
    heard: list[int] = []
    try:
        with _flushing_stdout(), _ended_by_signals(heard):
            return verb.run()
    except KnuckleError as error:
        return _fail(str(error))
    except BrokenPipeError:
        return _reader_gone()
    except (OSError, ValueError) as error:
        if os.environ.get("KNUCKLE_TRACEBACK"):
            raise
        return _fail(_sentence_of(error))
    except ImportError as error:
        if heard:  # as a library was imported, which has made its own error of it
            return _interrupted(heard[0])
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None or not isinstance(error, ModuleNotFoundError):
            raise
        return _fail(f"this needs {error.name}: pip install 'knuckle[{extra}]'")
    except Stopped as stop:
        print(f"knuckle: {stop}", file=sys.stderr)
        return EXIT_SIGNAL + stop.signal_number
    except KeyboardInterrupt:
        return _interrupted()


def _ended_by_signals(heard: list[int]) -> AbstractContextManager[None]:
    """Signals from outside end a verb as Ctrl-C does: files are closed, no worker is left.

    Verbs that know better, as tracking and training do, listen for themselves.

    Those that came are added to ``heard``.
    """
    own = os.getpid()

    def end(number: int, _: object) -> None:
        heard.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if os.getpid() == own:
            raise Stopped(number, "ended from outside")
        signal.signal(number, signal.SIG_DFL)  # a worker, which has inherited this
        os.kill(os.getpid(), number)

    usual = (signal.SIG_DFL, signal.default_int_handler)
    return hearing((n for n in INTERRUPTS if signal.getsignal(n) in usual), end)


def _sentence_of(error: OSError | ValueError) -> str:
    """What went wrong, for people; an error that was not foreseen says how to see where."""
    if isinstance(error, OSError) and error.strerror:  # told by the system, not by Knuckle
        reason = error.strerror.lower()
        where = error.filename or "a file, or what is printed here"
        return (
            f"cannot read or write {where} ({reason}): check the path, its permissions and the "
            "space on the disk"
        )
    return f"{error} (KNUCKLE_TRACEBACK=1 shows where)"


def _reader_gone() -> int:
    """The reader of the output, as ``head`` in a pipe, has closed it: nothing more is written."""
    with suppress(OSError, ValueError):  # what has not left goes nowhere, and without complaint
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_SIGNAL + signal.SIGPIPE


def _interrupted(number: int = signal.SIGINT) -> int:
    print("knuckle: interrupted", file=sys.stderr)
    return EXIT_SIGNAL + number


def _fail(sentence: str) -> int:
    print(f"knuckle: {sentence}", file=sys.stderr)
    return EXIT_ERROR
