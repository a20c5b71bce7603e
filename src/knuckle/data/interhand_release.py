"""Where the files of InterHand2.6M lie: release v1.0, release v0.0, and re-packed copies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from knuckle.data.interhand_files import LabelFiles
from knuckle.data.json_stream import MissingDataError
from knuckle.errors import InputError

SPLITS = ("train", "val", "test")
#: Folder of release v0.0 by whose annotations it holds.
_OLD_FOLDER = {"all": "all", "human": "human_annot", "machine": "machine_annot"}


@dataclass(frozen=True)
class Release:
    """Where the files of one split lie."""

    files: LabelFiles  # the label files
    images: Path  # folder that ``file_name`` is relative to
    layout: str  # "v1.0", "v0.0" or "re-packed"
    #: File with the ids of the annotations made by people, where there is one.
    human_list: Path | None = None


def find_release(root: Path, split: str, annotation: str = "all") -> Release:
    """Look for the label files of a split below ``root``.

    Raises:
        MissingDataError: none of the known layouts is there.
    """
    if split not in SPLITS:
        raise InputError(f"InterHand2.6M has the splits {', '.join(SPLITS)}, asked for {split!r}")
    if (found := _release_at(root, split, annotation)) is not None:
        return found
    stem = f"InterHand2.6M_{split}"
    expected = f"annotations/{split}/{stem}_data.json"
    found_of = {each: _release_at(root, each, annotation) for each in SPLITS}
    if others := [each for each, at in found_of.items() if at and at.layout != "re-packed"]:
        raise MissingDataError(
            f"{root} has {' and '.join(others)} of InterHand2.6M and no {split}: expected "
            f"{expected}; unpack the annotations of that split too, or give --split {others[0]}"
        )
    raise MissingDataError(
        f"{root} is not InterHand2.6M: expected {expected} (v1.0), "
        f"annotations/{_OLD_FOLDER[annotation]}/{stem}_data.json (v0.0) or one *{split}*_data.json "
        f"beside its pictures (re-packed); found {', '.join(_names_in(root)[:8]) or 'nothing'}"
    )


def _release_at(root: Path, split: str, annotation: str) -> Release | None:
    """The label files of a split in any of the known layouts; None where there are none."""
    stem = f"InterHand2.6M_{split}"
    new, old = root / "annotations" / split, root / "annotations" / _OLD_FOLDER[annotation]
    images = _image_folder(root, split)
    if (new / f"{stem}_data.json").exists():
        lists = (folder / f"aid_human_annot_{split}.txt" for folder in (new, new.parent, root))
        human = next((path for path in lists if path.exists()), None)
        return Release(_label_files(new, stem), images, "v1.0", human)
    if (old / f"{stem}_data.json").exists():
        return Release(_label_files(old, stem), images, "v0.0")
    packed = [path for path in sorted(root.glob("*_data.json")) if _split_named(path) == split]
    if len(packed) == 1:
        stem = packed[0].name.removesuffix("_data.json")
        return Release(_label_files(root, stem), root, "re-packed")
    return None


def _split_named(path: Path) -> str:
    """The split in the name of a re-packed label file; train if there is none."""
    return next((split for split in SPLITS if split in path.name.lower()), "train")


def _names_in(root: Path) -> list[str]:
    """What lies in a folder, label files first."""
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    return sorted(names, key=lambda name: (not name.endswith(".json"), name))


def _label_files(folder: Path, stem: str) -> LabelFiles:
    return LabelFiles(*(folder / f"{stem}_{part}.json" for part in ("data", "camera", "joint_3d")))


def _image_folder(root: Path, split: str) -> Path:
    """``images/<split>``, in the root or in the folder that the release's archives unpack to."""
    inner = sorted(root.glob(f"*/images/{split}"))
    return root / "images" / split if (root / "images").exists() or not inner else inner[0]
