"""The verb that serves the page on which hands are found in the browser."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from knuckle.cli.verb import Folder, Weights


@dataclass(frozen=True)
class Web:
    """Serve a page that tracks hands in the browser itself: no picture leaves the machine."""

    port: int = 8080
    """Serve on this port; the page can only be reached from this machine."""
    build: Folder = None
    """Instead of serving, write the page into this folder, for any static web server."""
    site: Folder = None
    """Folder of a built page, as written by make web; by default the one in the package."""
    weights: Weights = None

    def run(self) -> int:
        """Serve until interrupted, or write the folder."""
        from knuckle.web import lay_out, page_files, serve

        if self.build is not None:
            print(lay_out(Path(self.build), self.weights, self.site))
            return 0
        with page_files(self.weights, self.site) as files, serve(files, self.port) as server:
            print(f"http://localhost:{server.server_address[1]}/ (Ctrl-C ends it)", flush=True)
            with suppress(KeyboardInterrupt):
                server.serve_forever()
        return 0
