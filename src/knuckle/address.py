"""Names of files and sources: what they stand for, and how they may be shown and kept."""

from __future__ import annotations

import os
from pathlib import Path

#: Systems take names of 255 bytes.
_LONGEST_STEM = 200
#: Stands for a host where it cannot be told from a password.
HIDDEN = "hidden"


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path as a person gives it: ``~`` is the home folder where no shell has said so before.

    Raises:
        TypeError: it is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"expected the path of a file or folder, as text or a pathlib.Path, got {path!r:.40} "
            f"({type(path).__name__})"
        )
    return Path(os.path.expanduser(path))


def without_secrets(source: str) -> str:
    """The name of a source without user, password, query and fragment; paths stay as they are.

    A password should not hold ``/``, ``?`` and ``#``, and people type such ones all the same. Then
    the host is what stands behind the last ``@``; where that ``@`` may as well be part of the
    query, nothing but the scheme is left.
    """
    scheme, mark, rest = source.partition("://")
    return f"{scheme}://{_up_to(_place(rest), '?#')}" if mark else source


def shown(name: str) -> str:
    """A name of a file as it can be shown anywhere, also one in another alphabet than UTF-8's."""
    return name.encode("utf-8", "backslashreplace").decode()


def short(stem: str) -> str:
    """A name in UTF-8 that leaves room for what is put behind it, such as that of a folder."""
    return os.fsdecode(os.fsencode(stem)[:_LONGEST_STEM]).encode(errors="ignore").decode() or stem


def _place(address: str) -> str:
    """Host, path and query of an address, without user and password."""
    before, at, after = address.rpartition("@")
    host = _up_to(address, "/?#")
    if _up_to(before, "?#") == before:  # no query begins before the last @
        return after if "@" in host or ":" in before else address
    if not at or ("@" not in before and ":" not in host):
        return address  # the @ is in the query
    is_port = host.rpartition(":")[2].isdecimal()
    return HIDDEN if "@" in before or is_port else after


def _up_to(text: str, ends: str) -> str:
    """What stands before the first of some characters."""
    return text[: min((text.find(end) for end in ends if end in text), default=len(text))]
