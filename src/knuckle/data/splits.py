"""Dividing a data set into train, val and test without letting one hand's pose into two of them.

Pictures of InterHand2.6M come in bursts: some hundred cameras see each moment, and moments follow
each other. A split drawn per picture tests on what it was trained on. So whole groups are dealt
out: people where there are enough of them, else recording sessions, else sequences, else moments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from knuckle.data.labelled import Groups
from knuckle.errors import InputError

PARTS = ("train", "val", "test")
#: What the project's user asked for.
SHARES = (0.70, 0.15, 0.15)
#: A level is coarse enough to be taken if every part comes this near to its share.
TOLERANCE = 0.05


@dataclass(frozen=True, eq=False)
class Split:
    """Which part every record belongs to."""

    part: np.ndarray  # (N,) int, index into ``PARTS``
    level: str  # what was kept whole: "subject", "capture", "sequence", "step", or "record"
    shares: tuple[float, float, float]  # (3,) shares of records that came out
    groups: tuple[int, int, int]  # number of groups in each part
    wanted: tuple[float, float, float] = field(default=SHARES)

    def rows(self, name: str) -> np.ndarray:
        """Rows of one part."""
        return np.flatnonzero(self.part == PARTS.index(name))

    def __str__(self) -> str:
        parts = ", ".join(
            f"{name} {share:.1%} ({count} groups)"
            for name, share, count in zip(PARTS, self.shares, self.groups, strict=True)
        )
        return f"by {self.level}: {parts}"


#: From coarse to fine: what must not be cut, as one number a record.
_LEVELS = tuple(item.name for item in fields(Groups))


def split_by_groups(
    groups: Groups,
    shares: tuple[float, float, float] = SHARES,
) -> Split:
    """Deal whole groups out, as near to the shares as the coarsest sensible grouping allows.

    Levels are tried from coarse to fine; the first whose parts all come within ``TOLERANCE`` of
    their shares is taken, else the one that comes nearest. A level with unknown groups (-1), or
    whose groups finer levels cut across, is made whole first: see ``_units``. Single records are
    dealt out only where nothing known about them would fill three parts.

    Args:
        groups: where each record comes from.
        shares: of train, val and test; they add up to 1.

    Raises:
        ValueError: no record, or shares that do not add up to 1.
    """
    if len(groups) == 0:
        raise InputError("there is nothing to split: the data set is empty")
    if not np.isclose(sum(shares), 1) or min(shares) < 0:
        raise InputError(f"shares must be positive and add up to 1, got {shares}")
    best: tuple[float, Split] | None = None
    for level in [*_LEVELS, "record"]:
        units = _units(groups, level)
        if units is None:
            continue
        split = _deal(units, level, shares)
        off = max(abs(got - want) for got, want in zip(split.shares, shares, strict=True))
        if best is None or off < best[0] - 1e-12:
            best = off, split
        if off <= TOLERANCE:
            break
    assert best is not None  # the level "record" always gives a split
    return best[1]


def _units(groups: Groups, level: str) -> np.ndarray | None:
    """(N,) number of the unit that each record must stay with, or None if the level is unknown.

    A sequence may show two people, a person may come twice: groups of the finer levels that share
    a record are joined, so that what is whole at this level is whole at every finer one.
    """
    if level not in _LEVELS:
        return np.arange(len(groups)) if _may_be_cut(groups) else None
    own, *finer = (getattr(groups, name) for name in _LEVELS[_LEVELS.index(level) :])
    if (own < 0).any():
        return None
    units = _number(own)
    for column in finer:
        if (column >= 0).all():
            units = _join(units, _number(column))
    return units


def _may_be_cut(groups: Groups) -> bool:
    """Whether single records may be dealt out: no moment is known, and too few groups to deal."""
    columns = [getattr(groups, name) for name in _LEVELS]
    enough = any((own >= 0).all() and len(np.unique(own)) >= len(PARTS) for own in columns)
    return not enough and bool((groups.step < 0).all())


def _number(column: np.ndarray) -> np.ndarray:
    return np.unique(column, return_inverse=True)[1].ravel()


def _join(coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """Merge the coarse groups that a fine group touches: connected components, smallest label."""
    n_coarse, n_fine = int(coarse.max()) + 1, int(fine.max()) + 1
    of_coarse, of_fine = np.divmod(np.unique(coarse * n_fine + fine), n_fine)  # the pairs there are
    label = np.arange(n_coarse)
    while True:
        lowest = np.full(n_fine, n_coarse)
        np.minimum.at(lowest, of_fine, label[of_coarse])
        after = label.copy()
        np.minimum.at(after, of_coarse, lowest[of_fine])
        if np.array_equal(after, label):
            return _number(label)[coarse]
        label = after


def _deal(units: np.ndarray, level: str, shares: tuple[float, float, float]) -> Split:
    """Largest unit first to the part that lacks most, then moves and swaps while they help."""
    sizes = np.bincount(units).astype(np.float64)
    wanted = np.array(shares) * sizes.sum()
    tie = np.random.default_rng(0).permutation(len(sizes))
    owner = np.zeros(len(sizes), int)
    filled = np.zeros(3)
    counts = np.zeros(3, int)
    for dealt, unit in enumerate(np.lexsort((tie, -sizes))):
        lack = wanted - filled
        empty = (counts == 0) & (wanted > 0)
        if len(sizes) - dealt <= empty.sum():  # just enough are left that no part stays empty
            lack = np.where(empty, lack, -np.inf)
        owner[unit] = int(np.argmax(lack))
        filled[owner[unit]] += sizes[unit]
        counts[owner[unit]] += 1
    _improve(owner, filled, sizes, wanted)
    counts = np.bincount(owner, minlength=3)
    return Split(
        part=owner[units],
        level=level,
        shares=_three(filled / sizes.sum()),
        groups=(int(counts[0]), int(counts[1]), int(counts[2])),
        wanted=shares,
    )


def _improve(owner: np.ndarray, filled: np.ndarray, sizes: np.ndarray, wanted: np.ndarray) -> None:
    """Move and swap units between parts, in place, while the distance from the shares falls.

    No part is emptied. Many small units deal themselves out well enough: only the largest few
    hundred are tried.
    """

    def helps(from_part: int, to_part: int, amount: float) -> bool:
        lack = wanted - filled
        before = lack[from_part] ** 2 + lack[to_part] ** 2
        return (lack[from_part] + amount) ** 2 + (lack[to_part] - amount) ** 2 < before - 1e-9

    def move(unit: int, to_part: int) -> None:
        filled[owner[unit]] -= sizes[unit]
        filled[to_part] += sizes[unit]
        owner[unit] = to_part

    largest = np.argsort(-sizes, kind="stable")[:200]
    improved = True
    while improved:
        improved = False
        for a in largest:
            for part in range(len(PARTS)):
                alone = np.count_nonzero(owner == owner[a]) == 1
                if part != owner[a] and not alone and helps(owner[a], part, sizes[a]):
                    move(a, part)
                    improved = True
            for b in largest:
                here, there = owner[a], owner[b]
                if here != there and helps(here, there, sizes[a] - sizes[b]):
                    move(a, there)
                    move(b, here)
                    improved = True


def _three(values: np.ndarray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def leaks(groups: Groups, part: np.ndarray) -> dict[str, int]:
    """Groups that stand in more than one part: level -> how many, for all known levels.

    Args:
        groups: where each record comes from.
        part: (N,) int, the part of each record.
    """
    found = {}
    for level in _LEVELS:
        column = getattr(groups, level)
        known = column >= 0
        if not known.any():
            continue
        pairs = np.unique(_number(column[known]) * len(PARTS) + part[known])
        found[level] = int((np.bincount(pairs // len(PARTS)) > 1).sum())
    return found


def described_leaks(found: dict[str, int], division: str) -> str:
    """``leaks`` in a sentence."""
    some = [f"{n} {level}{'s' if n > 1 else ''}" for level, n in found.items() if n]
    if not found:
        return f"{division}: nothing is known of people, captures, sequences or moments"
    if not some:
        return f"{division}: no {' and no '.join(found)} stands in two parts"
    return f"{division}: {', '.join(some)} in more than one part"


def write_split(path: Path, split: Split, keys: Sequence[str], dataset: str) -> None:
    """Write a split with its shares, so that others can use the same one.

    Args:
        path: a JSON file.
        split: what ``split_by_groups`` gave.
        keys: (N,) keys of the records.
        dataset: its name, for the reader of the file.
    """
    content = {
        "dataset": dataset,
        "level": split.level,
        "wanted": dict(zip(PARTS, split.wanted, strict=True)),
        "shares": dict(zip(PARTS, split.shares, strict=True)),
        "groups": dict(zip(PARTS, split.groups, strict=True)),
        "parts": {name: [keys[row] for row in split.rows(name)] for name in PARTS},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1))
    partial.rename(path)
