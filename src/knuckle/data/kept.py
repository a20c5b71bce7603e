"""Records of arrays that are kept in a file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from knuckle.errors import InputError, NotFoundError
from knuckle.limits import open_npz


class Kept:
    """A dataclass of arrays that one npz file holds.

    Attributes:
        WHAT: the record is, for people.
        AGAIN: how to make it.
    """

    WHAT: ClassVar[str]
    AGAIN: ClassVar[str]

    def save(self, path: str | Path) -> None:
        """Write the file; it replaces an older one only when it is complete."""
        path = Path(path)
        partial = path.with_name(f"partial-{path.name}")
        arrays = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds something else.
        """
        if not Path(path).exists():
            raise NotFoundError(f"{path} does not exist: expected {cls.WHAT}; {cls.AGAIN}")
        names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
        with open_npz(Path(path), cls.WHAT, cls.AGAIN) as arrays:
            if missing := set(names) - set(arrays.files):
                lacks = f"it has no {sorted(missing)}"
                raise InputError(f"{path} is not {cls.WHAT}: {lacks}; {cls.AGAIN}")
            return cls(**{name: arrays[name] for name in names})
