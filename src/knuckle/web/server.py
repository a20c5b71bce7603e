"""Serves the page to this machine, and to nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

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
    """Listen on this machine; call ``serve_forever`` on what comes back.

    Args:
        files: by their place, see ``page_files``.
        port: 0 for any free one.

    Raises:
        OSError: somebody else listens on this port.
    """
    return ThreadingHTTPServer((_LOOPBACK, port), partial(_Handler, files))


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
        place = urlsplit(self.path).path.lstrip("/") or "index.html"
        content = self._files.get(place)
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = content.read_bytes() if isinstance(content, Path) else content
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
        """Whether the request names this machine, at this port."""
        _, port = self.connection.getsockname()
        return self.headers.get("Host", "") in {f"{name}:{port}" for name in _OWN_NAMES}
