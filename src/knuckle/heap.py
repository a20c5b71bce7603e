"""What a command holds stays the same for hours, where the C library would let it grow."""

from __future__ import annotations

import sys
from contextlib import suppress

#: ``M_MMAP_THRESHOLD`` of glibc's ``malloc.h``.
_MMAP_THRESHOLD = -3
#: Frames and what is computed from whole frames are larger, what is kept of hands is smaller.
_LARGE_BYTES = 256 * 1024


def keep_large_arrays_apart() -> None:
    """Give large arrays pages of their own, which go back to the system with them; once, early.

    glibc does so by itself only until the first of them is freed: from then on it cuts frames out
    of its heaps (the threshold is *dynamic*, mallopt(3)), between small things that stay, and needs
    more and more of them. Only a program may decide that for its process, so commands call it and
    the library does not. Other C libraries have no such setting, and nothing is done.
    """
    if sys.platform != "linux":
        return
    import ctypes  # not needed to print a help text elsewhere

    with suppress(OSError, AttributeError):  # musl has no mallopt
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
