"""Serves the page to this machine, and to nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from knuckle.errors import InputError, NotWrittenError, reason_of

_LOOPBACK = "127.0.0.1"
#: Names under which a browser may ask for this machine. A page of another site that has its name
#: point at this machine (DNS rebinding) comes with that name, and gets nothing.
_OWN_NAMES = ("127.0.0.1", "localhost")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
_HEADERS = {
    # The first two let the page share memory between threads; nothing of others can be embedded.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}


def serve(files: Mapping[str, Path | bytes], port: int = 8080) -> ThreadingHTTPServer:
    """Listen on this machine, on any free port for 0; call ``serve_forever`` on what comes back.

    Raises:
        ValueError: there is no such port.
        OSError: nobody can listen on it, as somebody else does.
    """
    if not 0 <= port < 65536:
        raise InputError(f"a port is a number from 0 (any) to 65535, got {port}")
    try:
        return ThreadingHTTPServer((_LOOPBACK, port), partial(_Handler, files))
    except OSError as error:
        raise NotWrittenError(
            f"cannot serve on port {port} ({reason_of(error)}): give another one as --port, or 0 "
            "for any that is free"
        ) from error


class _Handler(BaseHTTPRequestHandler):
    """Gives the files of a table, and knows no paths of the disk."""

    def __init__(self, files: Mapping[str, Path | bytes], *args: object) -> None:
        self._files = files
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer with a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with what would be told of a file."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the command's output is for people."""

    def _answer(self, *, with_body: bool) -> None:
        if not self._is_meant():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "this page is for this machine alone")
            return
        place = _place_of(self.path)
        content = self._files.get(place)
        body = _read(content) if isinstance(content, Path) else content
        if body is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        kind = _TYPES.get(PurePosixPath(place).suffix, "application/octet-stream")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            with suppress(ConnectionError):  # the page was left or loaded anew meanwhile
                self.wfile.write(body)

    def end_headers(self) -> None:
        """End them with those that every answer has."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _is_meant(self) -> bool:
        """Whether the request names this machine, at this port, and nobody else."""
        _, port = self.connection.getsockname()
        named = self.headers.get_all("Host", [])
        return len(named) == 1 and named[0] in {f"{name}:{port}" for name in _OWN_NAMES}


def _place_of(asked: str) -> str:
    """The place of a file, of what a request asks for; of what is no address, none of the page."""
    try:
        return urlsplit(asked).path.lstrip("/") or "index.html"
    except ValueError:
        return asked


def _read(path: Path) -> bytes | None:
    """A file of the page; None where it has gone since the page was opened."""
    try:
        return path.read_bytes()
    except OSError:
        return None
