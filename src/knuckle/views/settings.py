"""Settings of a rig's tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from knuckle.errors import InputError
from knuckle.hand import N_JOINTS
from knuckle.pipeline.settings import check_counts, check_numbers


@dataclass(frozen=True)
class RigSettings:
    """Settings of ``RigTracker``.

    Attributes:
        max_hands: at most so many hands at a time, in each camera as well.
        smooth: steady the hands over about 50 ms; off, each frame stands alone.
        one_person: all hands are of one size, which is then known from both.
        least_views: so many cameras must see a hand for it to begin. It goes on with one.
        bone_lengths_mm: (20,) in the order of ``hand.BONES``, if they are known.
        lock_looks: after so many looks the bones stay as they are, once they are known well.
        memory_s: for so long a hand that nobody sees may come back as the same.
        weights_dir: folder with other networks than those in the package.
        workers: cameras that are looked at at a time; by default one a processor.
    """

    max_hands: int = 2
    smooth: bool = True
    one_person: bool = True
    least_views: int = 2
    bone_lengths_mm: tuple[float, ...] | None = None
    lock_looks: int = 60
    memory_s: float = 1.0
    weights_dir: str | Path | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        check_counts(self, "max_hands", "least_views", "lock_looks")
        if self.workers is not None:
            check_counts(self, "workers")
        check_numbers(self, "memory_s")
        if not self.memory_s >= 0:
            raise InputError(f"memory_s must not be negative, got {self.memory_s}")
        lengths = self.bone_lengths_mm
        if lengths is not None and (len(lengths) != N_JOINTS - 1 or min(lengths) <= 0):
            raise InputError("bone_lengths_mm must be 20 positive lengths, as hand.BONES has them")
