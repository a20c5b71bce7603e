"""Who may see the page: pictures of people are shown on it.

A browser lets any page of the web talk to this machine. It says in ``Origin`` which page asks and
in ``Host`` what that page called us: a page of our own calls us by a name that is ours, and its
origin is that very name. Everything else is turned away before a picture is sent.
"""

from __future__ import annotations

import http
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import websockets.asyncio.server
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from knuckle.output.errors import OutputError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: ``--host`` that stands for every address of this machine.
_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})
#: Only one server is opened at a time: what opens it is looked up by name in a shared module.
_OPENING = threading.Lock()


class Gate:
    """Decides about requests to a page."""

    def __init__(self, host: str) -> None:
        self.host = host.strip("[]").lower()  # that the page is served on

    def refusal(self, headers: Headers) -> str | None:
        """Why a request with these headers is turned away; None if it is let in."""
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) != 1 or not self._is_ours(_name_in(hosts[0])):
            return "this page is served under another name"
        if any(not _is_origin_of(origin, hosts[0]) for origin in origins):
            return "another page may not look at this one"
        return None

    def _is_ours(self, name: str | None) -> bool:
        if name is None:
            return False
        if name in _LOOPBACK or name == self.host:
            return True
        # A number is no name that somebody else could point at this machine.
        return self.host in _EVERY_ADDRESS and (_is_number(name) or name in _own_names())

    def __call__(self, request: Request) -> Response | None:
        """The answer to a request that is turned away; None if it is let in."""
        why = self.refusal(request.headers)
        if why is None:
            return None
        body = f"{why}\n".encode()
        headers = Headers({"Content-Type": "text/plain", "Content-Length": str(len(body))})
        return Response(http.HTTPStatus.FORBIDDEN, "Forbidden", headers, body)


@contextmanager
def gated(gate: Gate) -> Iterator[None]:
    """While a viser server is being opened: put a gate before everything that it serves.

    viser has no door of its own for this. It opens its server by ``websockets``' ``serve``, which
    is given the gate here.

    Raises:
        OutputError: this viser opens its server in another way, which would have no gate.
    """
    module = vars(websockets.asyncio.server)
    serve = module["serve"]
    opened = threading.Event()

    def serve_gated(*given: Any, process_request: Callable[..., Any], **options: Any) -> Any:
        opened.set()
        return serve(*given, process_request=_behind(gate, process_request), **options)

    with _OPENING:
        module["serve"] = serve_gated
        try:
            yield
        finally:
            module["serve"] = serve
    if not opened.is_set():
        raise OutputError(
            "the page cannot be kept from other pages of the browser with this version of viser: "
            "pip install 'viser>=1.0,<1.2'"
        )


def port_to_serve_on(host: str, port: int) -> int:
    """The port, a free one for 0; an address that is none of this machine's is refused.

    viser goes on to the next port whatever is wrong, and waits for ever.

    Raises:
        OutputError: nothing can be served there.
    """
    try:
        kind, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.bind(address)
            return port or int(probe.getsockname()[1])
    except OSError as error:
        raise OutputError(
            f"cannot serve on {host}:{port} ({error.strerror or error}): give an address of this "
            "machine as --host, or leave it out"
        ) from None


def _behind(gate: Gate, process_request: Callable[..., Any]) -> Callable[..., Any]:
    def answer(connection: Any, request: Request) -> Any:
        return gate(request) or process_request(connection, request)

    return answer


def _name_in(host: str) -> str | None:
    """The name in a ``Host`` header, without the port; None if it is none."""
    try:
        parts = urlsplit(f"//{host.strip()}")
        return None if parts.path or parts.username is not None else parts.hostname
    except ValueError:
        return None


def _is_origin_of(origin: str, host: str) -> bool:
    """Whether a page of this origin was served by the server that is called ``host``."""
    scheme, mark, place = origin.strip().lower().partition("://")
    return bool(mark) and scheme in ("http", "https") and place == host.strip().lower()


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local"}
