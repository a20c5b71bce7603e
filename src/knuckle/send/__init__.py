"""Hands to other programs while they are seen: ``knuckle live --send``.

A new way is one file with a ``Sender``, and one line in ``SENDERS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from knuckle.errors import InputError, KnuckleError, NotWrittenError, reason_of, refuse_single
from knuckle.results import Frame, HandPose
from knuckle.send.lsl import LslSender
from knuckle.send.osc import OscSender
from knuckle.send.sender import Sender
from knuckle.send.udp import UdpSender
from knuckle.send.websocket import WebSocketSender

__all__ = ["SENDERS", "Sender", "open_senders", "sending"]

#: By the beginning of the address that ``--send`` takes.
SENDERS: dict[str, type[Sender]] = {
    "osc": OscSender,
    "udp": UdpSender,
    "ws": WebSocketSender,
    "lsl": LslSender,
}


def open_senders(addresses: Sequence[str]) -> list[Sender]:
    """Open a sender for each address, such as ``osc://127.0.0.1:39539``.

    Raises:
        TypeError: the addresses are no list.
        ValueError: an address is not one of a sender.
        OSError: nothing can be sent or served there.
    """
    refuse_single(addresses, "addresses")
    with ExitStack() as opened:
        senders = [opened.enter_context(_open(address)) for address in addresses]
        opened.pop_all()  # all are open: the caller closes them
    return senders


def _open(address: str) -> Sender:
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:  # a port that is no number
        url, host, port = urlsplit(""), None, None
    kind = SENDERS.get(url.scheme)
    if kind is not None and not kind.needs_port and re.fullmatch(r"[\w.-]+", url.netloc):
        return _opened(kind, address, url.netloc, 0)
    if kind is None or not kind.needs_port or not host or not port:
        ways = ", ".join(f"{name}://{_place_of(kind)}" for name, kind in SENDERS.items())
        raise InputError(f"cannot send to {address!r}: expected one of {ways}")
    return _opened(kind, address, host, port)


def _opened(kind: type[Sender], address: str, host: str, port: int) -> Sender:
    try:
        return kind(host, port)
    except KnuckleError:
        raise
    except (OSError, UnicodeError) as error:  # no host is called so
        raise NotWrittenError(
            f"cannot send to {address!r} ({reason_of(error)}): expected a host that is there, and "
            "for ws:// one of this machine's addresses with a port that is free"
        ) from error


def _place_of(kind: type[Sender]) -> str:
    return "127.0.0.1:PORT" if kind.needs_port else "NAME"


def sending(
    tracker: Callable[[Frame], Sequence[HandPose]], senders: Sequence[Sender]
) -> Callable[[Frame], Sequence[HandPose]]:
    """The tracker, which also sends each frame's hands, before anything else is done with them."""

    def track(frame: Frame) -> Sequence[HandPose]:
        hands = tracker(frame)
        for sender in senders:
            sender.send(frame, hands)
        return hands

    return track
