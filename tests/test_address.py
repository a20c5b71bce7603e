"""Secrets in an address are neither shown nor kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knuckle.address import without_secrets
from knuckle.camera import Camera
from knuckle.output import RunInfo

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
