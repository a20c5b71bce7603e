"""Fixtures shared by all tests."""

from pathlib import Path

import pytest
from hypothesis import settings

from dot_world import DotNetworks

REPOSITORY = Path(__file__).resolve().parent.parent

# A busy machine is not a bug, and the same commit gives the same answer.
settings.register_profile("knuckle", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("knuckle")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the repository; tests that use it run wherever it is present."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not on this machine")
    return folder


@pytest.fixture(scope="session")
def dot_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of networks that read the hands of ``dot_world``."""
    return DotNetworks().write(tmp_path_factory.mktemp("dot_weights"))


@pytest.fixture
def few_poses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small stock of poses and views: what is tested of a run is not how well it learns."""
    monkeypatch.setattr("knuckle.train.poses._POSES", 256)
    monkeypatch.setattr("knuckle.train.poses._VIEWS", 256)


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations draw no plots, which take most of their time on a handful of pictures."""
    monkeypatch.setattr("knuckle.evaluate.report.write_plots", lambda *_: [])
