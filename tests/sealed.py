"""Runs a program in a process that the kernel ends at its first socket of the internet's.

    python sealed.py FILE.py ARGUMENTS …      # or: -m MODULE ARGUMENTS …

A filter of system calls (seccomp) holds for everything in the process and all that it starts,
whatever language it is written in: ``socket(AF_INET or AF_INET6, …)`` is answered with SIGSYS.
Sockets within the machine (AF_UNIX), which event loops wake themselves with, stay allowed.
"""

from __future__ import annotations

import ctypes
import platform
import runpy
import socket
import struct
import sys

#: By machine: what seccomp calls it, and its number of ``socket``.
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_NUMBER_AT, _MACHINE_AT, _ARGUMENT_AT = 0, 4, 16  # in struct seccomp_data
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def seal() -> None:
    """From here on, an internet socket ends this process."""
    machine, number = _MACHINES[platform.machine()]
    code = b"".join(
        struct.pack("HBBI", *line)
        for line in (
            (_LOAD, 0, 0, _MACHINE_AT),
            (_EQUAL, 0, 6, machine),  # calls in another machine's manner are refused as well
            (_LOAD, 0, 0, _NUMBER_AT),
            (_EQUAL, 0, 3, number),
            (_LOAD, 0, 0, _ARGUMENT_AT),
            (_EQUAL, 2, 0, int(socket.AF_INET)),
            (_EQUAL, 1, 0, int(socket.AF_INET6)),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _KILL),
        )
    )
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (
        (_NO_NEW_PRIVILEGES, 1, 0, 0, 0),
        (_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "the kernel does not take the filter")


if __name__ == "__main__":
    seal()
    if sys.argv[1] == "-m":
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")
