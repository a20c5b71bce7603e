"""What can go wrong with results. Each message is one sentence: expected, found, do next."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from knuckle.errors import KnuckleError


class OutputError(KnuckleError, RuntimeError):
    """Results cannot be written or read."""


def optional(module: str, extra: str, what: str) -> Any:
    """A module that need not be installed, and that ``pip install knuckle[EXTRA]`` brings.

    ``what`` needs it, as the message says.

    Raises:
        OutputError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        library = module.partition(".")[0]
        raise OutputError(f"{what} needs {library}: pip install 'knuckle[{extra}]'") from None
