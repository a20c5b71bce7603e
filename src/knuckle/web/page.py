"""The files of the page: what ``make web`` built, the networks, and what the page is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from knuckle.address import at_home
from knuckle.errors import NotFoundError, NotWrittenError, reason_of
from knuckle.stages import NetworkFile, needed, weights_folder
from knuckle.web.settings import page_settings

#: What the page cannot do without, of what ``make web`` builds.
_INDEX = "index.html"
#: Networks that the page uses beside those that everything needs, where they are there.
_OPTIONAL = ("pair",)


@contextmanager
def page_files(
    weights_dir: str | Path | None = None, site_dir: str | Path | None = None
) -> Iterator[Mapping[str, Path | bytes]]:
    """Every file of the page, by its place: ``index.html`` or ``weights/keypoints.onnx``.

    The two folders hold other networks, and another built page, than the package.

    Raises:
        FileNotFoundError: the page has not been built, or a network is missing.
    """
    with _site_folder(site_dir) as site:
        if not (site / _INDEX).is_file():
            raise NotFoundError(
                f"the page is not built: expected {site / _INDEX}; run make web in a clone of the "
                "repository (it needs Node.js with npm), then pip install . takes it along"
            )
        weights = _weights(weights_folder(weights_dir))
        pages = {path.name: path for path in sorted(site.iterdir()) if path.is_file()}
        networks = {f"weights/{kind}.onnx": path for kind, path in weights.items()}
        settings = json.dumps(page_settings(weights)).encode()
        yield {**pages, **networks, "settings.json": settings}


def lay_out(
    folder: str | Path,
    weights_dir: str | Path | None = None,
    site_dir: str | Path | None = None,
) -> Path:
    """Write the page into a folder that any static web server can serve.

    More than one thread a hand needs two headers from that server, ``Cross-Origin-Opener-Policy:
    same-origin`` and ``Cross-Origin-Embedder-Policy: require-corp``. Cameras need https, or
    localhost.

    Returns:
        The folder.

    Raises:
        OSError: something cannot be written there.
    """
    folder = at_home(folder)
    with page_files(weights_dir, site_dir) as files:
        for place, content in files.items():
            _lay(content, folder / place)
    return folder


def _lay(content: Path | bytes, path: Path) -> None:
    """Write a file of the page."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            path.write_bytes(content)
    except shutil.SameFileError:
        pass  # the folder of the built page itself: what it lacks is put beside it
    except OSError as error:  # of a copy, the system names the file that was read
        raise NotWrittenError(
            f"cannot write {path} ({reason_of(error)}): expected room for the page in a folder "
            "that can be written into; free some space, or choose another one"
        ) from error


@contextmanager
def _site_folder(site_dir: str | Path | None) -> Iterator[Path]:
    if site_dir is not None:
        yield Path(site_dir)
        return
    site = resources.files("knuckle") / "web" / "site"
    if not site.is_dir():  # not built; in a zip there is nothing to unpack either
        yield Path(str(site))
        return
    with resources.as_file(site) as folder:
        yield folder


def _weights(folder: NetworkFile) -> dict[str, Path]:
    """File of each network, by kind."""
    files = {kind: Path(str(folder / f"{kind}.onnx")) for kind in (*needed(), *_OPTIONAL)}
    missing = [str(files[kind]) for kind in needed() if not files[kind].is_file()]
    if missing:
        raise NotFoundError(
            f"there is no {missing[0]}: expected a folder that knuckle export wrote; leave it out "
            "for the networks of the package"
        )
    return {kind: path for kind, path in files.items() if path.is_file()}
