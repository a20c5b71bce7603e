"""Photographs with a teacher's labels that are held out of training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from knuckle.data.convention import own_joints
from knuckle.data.photograph_labels import LabelledPhoto, labelled_photos
from knuckle.data.photographs import is_validation

#: A labelled hand is found where joints are so near on average, as a share of its extent.
FOUND = 0.3


def held_back(data: Path, labels: Path) -> Iterator[LabelledPhoto]:
    """The photographs, not frames of videos, that networks have not seen."""
    for photo in labelled_photos(labels, data):
        if photo.record["frame"] is None and is_validation(photo.group):
            yield photo


def joints_of(photo: LabelledPhoto) -> np.ndarray:
    """(N, 21, 2) px of the labelled hands, in the project's convention."""
    hands = [own_joints(np.array(hand["joints_px"])) for hand in photo.hands]
    return np.array(hands).reshape(-1, 21, 2)
