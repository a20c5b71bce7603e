"""Secrets in an address are neither shown nor kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.address import without_secrets
from knuckle.camera import Camera
from knuckle.errors import NotWrittenError
from knuckle.output import RunInfo
from knuckle.views import Rig
from rigs import rig as make_rig

WORDS = st.text("abcdefgh0123456789", min_size=5, max_size=9)
#: Also what should have been written as %2F, and what people write all the same.
PASSWORDS = st.text("xyz/#?@:&=%", min_size=1, max_size=9).map(lambda text: f"SECRET{text}SECRET")


@given(user=WORDS, password=PASSWORDS, host=WORDS, path=WORDS, token=PASSWORDS)
def test_no_secret_is_left(user: str, password: str, host: str, path: str, token: str) -> None:
    shown = without_secrets(f"rtsp://{user}:{password}@{host}:554/{path}?token={token}")
    assert "SECRET" not in shown
    assert without_secrets(shown) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:p@ss@host:554/a?b=1", "rtsp://host:554/a"),
        ("rtsp://token@host/a", "rtsp://host/a"),
        ("rtsp://me:a/b#c?d@host/a", "rtsp://host/a"),
        ("rtsp://me:12/3@host/a", "rtsp://host/a"),
        ("rtsp://me:se?ret@host:554/a", "rtsp://host:554/a"),
        ("rtsp://me:secret@host/a?mail=me@home", "rtsp://hidden"),
        ("http://host:80/a?mail=me@home", "http://hidden"),
        ("http://host/a?mail=me@home", "http://host/a"),
        ("http://host/a@b", "http://host/a@b"),
        ("http://host:80/a#part", "http://host:80/a"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("clips/what?is@this#.mp4", "clips/what?is@this#.mp4"),
        ("0", "0"),
    ],
)
def test_what_is_shown(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


def test_results_keep_none() -> None:
    camera = Camera(600, 600, 319.5, 239.5)
    info = RunInfo.of("rtsp://me:secret@host/a?key=secret", (640, 480), camera=camera)
    assert "secret" not in info.to_json()
    older = info.to_json().replace("rtsp://host/a", "rtsp://me:secret@host/a?key=secret")
    assert RunInfo.from_json(older, "hands.npz").source == "rtsp://host/a"


@pytest.mark.parametrize("load", [Camera.load, Rig.load])
@pytest.mark.parametrize("given", [{}, None, 3])
def test_what_is_no_path_is_told_as_such(load: Callable[[object], object], given: object) -> None:
    with pytest.raises(TypeError, match=r"expected the path of a file .* got"):
        load(given)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    for saved in (Camera(500.0, 500.0, 320.0, 240.0), make_rig(2)):
        with pytest.raises(NotWrittenError, match=r"none.*no such file.*make the folder"):
            saved.save(tmp_path / "none" / "file")
