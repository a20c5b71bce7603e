"""Records of rows: what is taken apart and joined again is the same."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from knuckle.rows import Rows


@dataclass(frozen=True, eq=False)
class Inner(Rows):
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Outer(Rows):
    names: tuple[str, ...]
    inner: Inner
    unknown: np.ndarray | None = None


def numbered(n: int) -> Outer:
    return Outer(tuple(map(str, range(n))), Inner(np.arange(3 * n).reshape(n, 3)))


def same(one: Outer, other: Outer) -> bool:
    assert one.unknown is None and other.unknown is None
    return one.names == other.names and np.array_equal(one.inner.values, other.inner.values)


@given(st.integers(0, 6), st.data())
def test_parts_joined_are_the_whole(n, data):
    cut = data.draw(st.integers(0, n))
    parts = [numbered(n).take(range(cut)), numbered(n).take(range(cut, n))]
    assert same(Outer.joined(parts), numbered(n))


@given(st.lists(st.booleans(), max_size=6))
def test_a_mask_takes_what_its_numbers_take(mask):
    whole, chosen = numbered(len(mask)), np.array(mask, bool)
    assert same(whole.take(chosen), whole.take(np.flatnonzero(chosen)))
    assert whole.take(chosen).names == tuple(str(i) for i in np.flatnonzero(chosen))
