"""Records with a row for each of N things: take, replace and join rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import chain
from typing import Any, Self

import numpy as np


class Rows:
    """A dataclass each of whose fields has N rows.

    A field is an array with the rows along axis 0, a tuple of N values, another such record, a
    tuple of such records, or None.
    """

    def take(self, rows: np.ndarray | Sequence[int]) -> Self:
        """The rows of these numbers in this order, or those that a mask selects."""
        chosen = rows if isinstance(rows, np.ndarray) else np.asarray(rows, int)
        return self._each_from([self], lambda values: _taken(values[0], chosen))

    def with_rows(self, rows: np.ndarray, others: Self) -> Self:
        """The same rows, but those of these numbers, or of a mask, replaced by ``others``."""
        return self._each_from([self, others], lambda values: _replaced(values[0], values[1], rows))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The rows of several records, at least one, in order."""
        return parts[0]._each_from(parts, _joined)

    def _each_from(self, parts: Sequence[Self], make: Any) -> Self:
        """The same record with each field made of what the parts have there."""
        names = [item.name for item in fields(self)]  # type: ignore[arg-type]
        made = {name: make([getattr(part, name) for part in parts]) for name in names}
        return replace(self, **made)  # type: ignore[type-var]


def _taken(value: Any, rows: np.ndarray) -> Any:
    if isinstance(value, Rows):
        return value.take(rows)
    if _is_of_records(value):
        return tuple(record.take(rows) for record in value)
    if isinstance(value, tuple):
        return tuple(value[i] for i in np.arange(len(value))[rows])
    return None if value is None else value[rows]


def _replaced(value: Any, new: Any, rows: np.ndarray) -> Any:
    if isinstance(value, Rows):
        return value.with_rows(rows, new)
    if _is_of_records(value):
        return tuple(a.with_rows(rows, b) for a, b in zip(value, new, strict=True))
    if value is None:
        return None
    if isinstance(value, tuple):
        there = dict(zip(np.arange(len(value))[rows].tolist(), new, strict=True))
        return tuple(there.get(i, old) for i, old in enumerate(value))
    changed = value.copy()
    changed[rows] = new
    return changed


def _is_of_records(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Rows)


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Rows):
        return first.joined(values)
    if _is_of_records(first):
        return tuple(each[0].joined(each) for each in zip(*values, strict=True))
    if isinstance(first, tuple):
        return tuple(chain.from_iterable(values))
    return None if first is None else np.concatenate(values)
