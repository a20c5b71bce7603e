"""Samples packed into tar files in WebDataset's layout, for reading at the disk's speed.

A sample is two or three members that follow each other: ``key.jpg``, ``key.map.png`` if there are
masks, ``key.json``; dots and slashes of a key, which would end it, stand there as in URLs
(``%2E``). Any WebDataset reader can read them. Shards are written under a temporary name and
renamed when complete, so that a shard that exists is whole and an interrupted run can resume.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.errors import InputError, KnuckleError, NotWrittenError, reading, reason_of
from knuckle.limits import check_picture
from knuckle.sample import HandLabel, Sample

JPEG_QUALITY = 92
_JPEG_END = b"\xff\xd9"
#: Asked with the key and the group of a sample, before its picture is decoded.
Wanted = Callable[[str, str], bool]
#: Digits after the point that are kept of each array of a label; and those that hold yes or no.
_DIGITS = {"joints_px": 2, "joints_mm": 2, "sigma_px": 3, "bone_depth": 4}
_BOOLEAN = ("valid", "visible")


def write_shard(path: Path, samples: Iterable[Sample], *, quality: int = JPEG_QUALITY) -> int:
    """Write one shard, whole or not at all; returns the number of samples in it.

    Raises:
        NotWrittenError: the disk is full, or nothing can be written there.
    """
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = _write_members(partial, samples, quality)
        partial.rename(path)
    except OSError as error:
        # A sample that cannot be read is no fault of the shard: it names another file.
        if isinstance(error, KnuckleError) or error.filename not in (None, str(partial)):
            raise
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise NotWrittenError(
            f"cannot write the shard {path} ({reason_of(error)}): free some space, or give another "
            "folder; the shards before it are whole, and the same line goes on behind them"
        ) from error
    return count


def _write_members(partial: Path, samples: Iterable[Sample], quality: int) -> int:
    count = 0
    with tarfile.open(partial, "w") as tar:
        for sample in samples:
            for name, content in _members(sample, quality):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            count += 1
    return count


def count_samples(path: Path) -> int:
    """How many samples a shard holds.

    Raises:
        ValueError: the file is not a shard.
    """
    with (
        reading(path, "a whole shard", "delete it and make it again", also=(tarfile.TarError,)),
        tarfile.open(path) as tar,
    ):
        return sum(name.endswith(".json") for name in tar.getnames())


def _all(key: str, group: str) -> bool:
    return True


def read_shard(path: Path, wanted: Wanted = _all) -> Iterator[Sample]:
    """The samples of one shard that are wanted, in order.

    Raises:
        ValueError: the file is not a shard, or a sample in it is broken.
    """
    with (
        reading(path, "a whole shard", "pack it again", also=(tarfile.TarError, cv2.error)),
        tarfile.open(path) as tar,
    ):
        members: dict[str, bytes] = {}
        for info in tar:
            stream = tar.extractfile(info)
            if stream is None:
                continue
            key, _, kind = info.name.partition(".")
            members[kind] = stream.read()
            if kind == "json":  # always the last member of a sample
                key = unquote(key)
                if wanted is _all or wanted(key, json.loads(members["json"])["group"]):
                    yield decode(key, members)
                members = {}


def read(
    paths: Sequence[Path],
    rng: np.random.Generator | None = None,
    *,
    shuffle: int = 0,
    wanted: Callable[[Path], Wanted] = lambda path: _all,
) -> Iterator[Sample]:
    """Samples of many shards; with ``rng``, shards and a window of ``shuffle`` samples mixed.

    Args:
        paths: the shards.
        rng: source of randomness.
        shuffle: size of the window.
        wanted: of each shard, which of its samples.
    """
    paths = list(paths)
    if rng is not None:
        paths = [paths[i] for i in rng.permutation(len(paths))]
    window: list[Sample] = []
    for path in paths:
        for sample in read_shard(path, wanted(path)):
            if rng is None or shuffle == 0:
                yield sample
                continue
            window.append(sample)
            if len(window) >= shuffle:
                pick = int(rng.integers(len(window)))
                window[pick], window[-1] = window[-1], window[pick]
                yield window.pop()
    if rng is not None and window:
        for pick in rng.permutation(len(window)):
            yield window[pick]


def _members(sample: Sample, quality: int) -> Iterator[tuple[str, bytes]]:
    """The files of one sample, as (name, content), the labels last."""
    key = _quoted(sample.key)
    bgr = cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    yield f"{key}.jpg", jpeg.tobytes()
    if sample.hand_map is not None:
        yield f"{key}.map.png", cv2.imencode(".png", sample.hand_map)[1].tobytes()
    labels = {
        "hands": [_hand_to_json(hand) for hand in sample.hands],
        "camera": asdict(sample.camera) if sample.camera else None,
        "ignore_xyxy": sample.ignore_xyxy.tolist(),
        "decoys_xyxy": sample.decoys_xyxy.tolist(),
        "complete": sample.complete,
        "group": sample.group,
        "derived": list(sample.derived),
        "license": sample.license,
    }
    yield f"{key}.json", json.dumps(labels).encode()


def _quoted(key: str) -> str:
    """A key as the name of a member; ``urllib.parse.unquote`` undoes it."""
    return key.replace("%", "%25").replace(".", "%2E").replace("/", "%2F")


def decode(key: str, members: dict[str, bytes]) -> Sample:
    """A sample from the contents of its files; older shards do not say all of it."""
    if "jpg" not in members or "json" not in members:
        raise InputError(f"sample {key}: expected jpg and json, got {sorted(members)}")
    labels = json.loads(members["json"])
    for kind in ("jpg", "map.png"):
        check_picture(members.get(kind, b""), f"{key}.{kind}")
    if not members["jpg"].rstrip(b"\0").endswith(_JPEG_END):  # a decoder would fill it up with grey
        raise InputError(f"sample {key}: its image is cut off; pack it again")
    bgr = cv2.imdecode(np.frombuffer(members["jpg"], np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"sample {key}: its image cannot be decoded")
    hand_map = None
    if "map.png" in members:
        hand_map = cv2.imdecode(np.frombuffer(members["map.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    camera = labels["camera"]
    if camera is not None:
        camera = Camera(**{**camera, "distortion": tuple(camera["distortion"])})
    return Sample(
        image=cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB),
        hands=tuple(_hand_from_json(hand) for hand in labels["hands"]),
        camera=camera,
        hand_map=hand_map,
        ignore_xyxy=_boxes(labels["ignore_xyxy"]),
        decoys_xyxy=_boxes(labels.get("decoys_xyxy", [])),
        complete=labels["complete"],
        key=key,
        group=labels["group"],
        derived=tuple(labels.get("derived", ())),
        license=labels.get("license", ""),
    )


def _boxes(values: list) -> np.ndarray:
    return np.asarray(values, dtype=np.float64).reshape(-1, 4)


def _hand_to_json(hand: HandLabel) -> dict[str, object]:
    values: dict[str, object] = {"side": hand.side}
    for name in (*_BOOLEAN, *_DIGITS):
        array = getattr(hand, name)
        values[name] = None if array is None else _listed(array, _DIGITS.get(name, 0))
    return values


def _listed(values: np.ndarray, digits: int) -> list:
    """Numbers as JSON has them; what is unknown (NaN) is null."""
    if values.dtype == bool:
        return values.astype(int).tolist()
    listed = np.round(values, digits).astype(object)
    listed[~np.isfinite(values)] = None
    return listed.tolist()


def _hand_from_json(values: dict) -> HandLabel:
    types = dict.fromkeys(_BOOLEAN, bool) | dict.fromkeys(_DIGITS, np.float64)
    arrays = {
        name: np.asarray(values[name], dtype=dtype)
        for name, dtype in types.items()
        if values.get(name) is not None
    }
    return HandLabel(side=values["side"], **arrays)
