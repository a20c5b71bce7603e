"""Pictures that show no hand, packed as a store: what a network must not take for one.

    python -m knuckle.data.hand_free ../shared/data/no_hands runs/data/hand_free.npz

Every picture below the folder was checked by eye; its first folder is its group,
some of which are held back (``photographs.HAND_FREE_HELD_BACK``). ``tools/decoys.py`` then marks in
them what networks take for hands.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tyro

from knuckle.data.photograph_labels import LabelledPhoto
from knuckle.data.photograph_packing import PackedPicture, Packing, shrink, store_of
from knuckle.data.photographs import HAND_FREE, PhotographStore
from knuckle.errors import InputError, NotFoundError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def pack_hand_free(root: Path, packing: Packing | None = None) -> PhotographStore:
    """The pictures below a folder as a store of pictures without hands.

    Raises:
        FileNotFoundError: there are none.
        ValueError: one of them cannot be read.
    """
    pictures = list(_pictures(root, packing or Packing(frame_px=800, frame_quality=90)))
    if not pictures:
        raise NotFoundError(f"no pictures ({', '.join(_SUFFIXES)}) below {root}")
    return store_of(pictures)


def _pictures(root: Path, packing: Packing) -> Iterator[PackedPicture]:
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in _SUFFIXES):
        bgr = cv2.imread(str(path))
        if bgr is None:
            raise InputError(f"{path} cannot be read: remove it or repair it")
        name = path.relative_to(root).with_suffix("")
        record = {
            "dataset": HAND_FREE.rstrip("/"), "hands": [], "uncertain": [], "complete": True,
        }  # fmt: skip
        photo = LabelledPhoto(
            image=np.ascontiguousarray(bgr[..., ::-1]),
            record=record,
            key="-".join(name.parts).replace(".", "_"),
            group=HAND_FREE + name.parts[0],
        )
        yield shrink(photo, packing)


def main(root: Path, out: Path, /) -> None:
    """Pack pictures that show no hand.

    Args:
        root: The folder that holds them, in a folder for each source.
        out: The npz file to write.
    """
    store = pack_hand_free(root)
    store.save(out)
    held_back = len(store.part("validation"))
    print(f"{len(store)} pictures, {held_back} of them held back: {out}")


if __name__ == "__main__":
    tyro.cli(main)
